"""OVA: a tar (POSIX.1 ustar, pax, GNU) of one OVF, its disks and perhaps a manifest.

Members are never unpacked: each is a stretch of the archive. Only plain files with plain names
count as members; a link, a device or a name with a path in it is refused.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Final

from converter.errors import DamagedInputError, GuestRefusedError
from converter.model import ByteRange
from converter.source import manifest, ovf
from converter.source.reader import Reader, damaged, truncated

if TYPE_CHECKING:
    from pathlib import Path

    from converter.model import SourceDisk

_MAX_MEMBERS: Final = 1000


def open_ova(reader: Reader, *, work: Path) -> list[SourceDisk]:
    """Open the disks of an OVA, in its OVF's order; its manifest is verified first."""
    members = _members(reader)
    descriptors = [name for name in members if name.lower().endswith(".ovf")]
    if len(descriptors) != 1:
        raise damaged(
            "ova-no-ovf", reader.name, f"holds {len(descriptors)} OVF descriptors, not one"
        )

    def find(name: str) -> ByteRange:
        if name not in members:
            raise DamagedInputError(
                "member-missing",
                f"{reader.name}: has no member {name!r}, which its OVF or manifest names",
                hint="the archive is incomplete: export the machine again",
            )
        return members[name]

    for name in members:
        if name.lower().endswith(".mf"):
            with Reader(members[name]) as listed:
                manifest.verify(listed, find)
    with Reader(members[descriptors[0]]) as descriptor:
        if descriptor.length > ovf.LIMIT:
            raise damaged("ovf-invalid", reader.name, f"an OVF of {descriptor.length} bytes")
        data = descriptor.read(0, descriptor.length)
    return ovf.open_disks(reader.name, data, find, work=work)


def _members(reader: Reader) -> dict[str, ByteRange]:
    members: dict[str, ByteRange] = {}
    path = reader.file.path
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                _check_member(reader, member, members)
                members[member.name] = ByteRange(path, member.offset_data, member.size)
    except tarfile.TarError as error:
        raise damaged("ova-tar-damaged", reader.name, f"the archive is damaged: {error}") from error
    return members


def _check_member(reader: Reader, member: tarfile.TarInfo, members: dict[str, ByteRange]) -> None:
    name = member.name
    if not member.isreg() or member.issparse():
        raise _refused(reader, f"its member {name!r} is not a plain file")
    if "/" in name or name in ("", ".", ".."):
        raise _refused(reader, f"its member {name!r} has a path in its name")
    if name in members:
        raise _refused(reader, f"it has two members named {name!r}")
    if len(members) >= _MAX_MEMBERS:
        raise _refused(reader, f"it has more than {_MAX_MEMBERS} members")
    if member.offset_data + member.size > reader.length:
        raise truncated(reader.name, member.offset_data + member.size, reader.length)


def _refused(reader: Reader, what: str) -> GuestRefusedError:
    return GuestRefusedError(
        "ova-member",
        f"{reader.name}: {what}",
        hint="export the machine again, or make the OVA with ovftool",
    )
