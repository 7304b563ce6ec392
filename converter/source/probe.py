"""What a file is, by its own bytes; and opening a disk of any format.

The bytes decide, not the name. But when a name claims another format, that is said: the file is
damaged or was renamed, and taking it as raw would hand off nonsense.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.errors import DamagedInputError, GuestRefusedError
from converter.model import ByteRange, ContainerFormat, DiskFormat, SourceDisk
from converter.source import compressed, qcow2, vdi, vhd, vhdx, vmdk
from converter.source.reader import Reader, damaged, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_HEAD: Final = 65536
_CLAIMS: Final = {
    ".ova": ContainerFormat.OVA,
    ".ovf": ContainerFormat.OVF,
    ".vmdk": ContainerFormat.VMDK,
    ".vhd": ContainerFormat.VHD,
    ".vpc": ContainerFormat.VHD,
    ".vhdx": ContainerFormat.VHDX,
    ".qcow2": ContainerFormat.QCOW2,
    ".vdi": ContainerFormat.VDI,
    ".gz": ContainerFormat.COMPRESSED_RAW,
    ".xz": ContainerFormat.COMPRESSED_RAW,
    ".zst": ContainerFormat.COMPRESSED_RAW,
    ".bz2": ContainerFormat.COMPRESSED_RAW,
}
# What is not a disk, and would be taken for a raw one.
_FOREIGN: Final = (
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a rar archive"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"QED\0", "a QED image"),
    (b"WithoutFreeSpace", "a Parallels image"),
    (b"WithouFreSpacExt", "a Parallels image"),
)


def detect(reader: Reader, *, claimed: str | None = None) -> ContainerFormat:
    """Tell the format of a file from its first and last bytes.

    `claimed` is the ending that says what it should be; by default that of the file's name.

    Raises `DamagedInputError` ``disk-size-zero`` for an empty file, ``format-mismatch`` when its
    name claims another format; `GuestRefusedError` ``format-unknown`` for what is no disk.
    """
    if reader.length == 0:
        raise damaged("disk-size-zero", reader.name, "disk-image-size=0 has invalid format")
    head = reader.head(_HEAD)
    found = _by_magic(reader, head)
    ending = reader.file.path.suffix.lower() if claimed is None else claimed
    expected = _CLAIMS.get(ending, found)
    if found is not expected:
        raise DamagedInputError(
            "format-mismatch",
            f"{reader.name}: is named as {expected.value}, but its content is {found.value}",
            hint="if the content is right, rename the file; if not, it is damaged: export it again",
        )
    if found is ContainerFormat.RAW:
        _refuse_foreign(reader, head)
    return found


def _by_magic(  # noqa: PLR0911 - a table
    reader: Reader, head: bytes
) -> ContainerFormat:
    if head.startswith((vmdk.MAGIC, vmdk.COWD, vmdk.SESPARSE)) or _is_descriptor(head):
        return ContainerFormat.VMDK
    if head.startswith(vhdx.MAGIC):
        return ContainerFormat.VHDX
    if head.startswith(qcow2.MAGIC):
        return ContainerFormat.QCOW2
    if head[vdi.SIGNATURE_AT :].startswith(vdi.SIGNATURE):
        return ContainerFormat.VDI
    if head[257:262] == b"ustar":
        return ContainerFormat.OVA
    if compressed.kind(head):
        return ContainerFormat.COMPRESSED_RAW
    if head.startswith(vhd.COOKIE) or vhd.has_footer(reader):
        return ContainerFormat.VHD
    if b"<Envelope" in head[:4096] or b":Envelope" in head[:4096]:
        return ContainerFormat.OVF
    return ContainerFormat.RAW


def _is_descriptor(head: bytes) -> bool:
    return head.lstrip()[:21].lower() == b"# disk descriptorfile"


def _refuse_foreign(reader: Reader, head: bytes) -> None:
    what = next((what for magic, what in _FOREIGN if head.startswith(magic)), None)
    if what is None and reader.length < 512:
        what = f"only {reader.length} bytes long"
    if what is not None:
        raise GuestRefusedError(
            "format-unknown",
            f"{reader.name}: is {what}, not a disk image",
            hint="give an OVA, VMDK, VHD, VHDX, qcow2, VDI or raw image",
        )


def open_disk(  # noqa: PLR0911 - a table
    reader: Reader,
    form: ContainerFormat,
    *,
    work: Path,
    find: Callable[[str], ByteRange] | None = None,
) -> SourceDisk:
    """Open a file of the format `form` as one disk; `find` gives the files beside it by name."""
    match form:
        case ContainerFormat.VMDK:
            return _open_vmdk(reader, find or (lambda name: beside(reader.file.path, name)))
        case ContainerFormat.VHD:
            return vhd.open_vhd(reader)
        case ContainerFormat.VHDX:
            return vhdx.open_vhdx(reader)
        case ContainerFormat.QCOW2:
            return qcow2.open_qcow2(reader)
        case ContainerFormat.VDI:
            return vdi.open_vdi(reader)
        case ContainerFormat.COMPRESSED_RAW:
            return _open_compressed(reader, work)
        case ContainerFormat.RAW:
            return SourceDisk(reader.file.path.name, DiskFormat.RAW, "", reader.length, reader.file)
        case ContainerFormat.OVA | ContainerFormat.OVF:
            raise GuestRefusedError(
                "container-nested",
                f"{reader.name}: an {form.value} inside another container",
                hint="unpack the outer container",
            )


def _open_vmdk(reader: Reader, find: Callable[[str], ByteRange]) -> SourceDisk:
    head = reader.head(512)
    if head.startswith(vmdk.SESPARSE):
        raise vmdk.sesparse(reader.name)
    if head.startswith(vmdk.COWD):
        raise GuestRefusedError(
            "vmdk-child",
            f"{reader.name}: is a vmfsSparse VMDK, a snapshot of ESX",
            hint="consolidate the machine's snapshots and export it again",
        )
    if head.startswith(vmdk.MAGIC):
        return vmdk.open_sparse(reader)
    return vmdk.open_descriptor(reader, find)


def _open_compressed(reader: Reader, work: Path) -> SourceDisk:
    unpacked = compressed.unpack(reader, work)
    with Reader(whole(unpacked)) as inner:
        found = _by_magic(inner, inner.head(_HEAD))
        if found is not ContainerFormat.RAW:
            raise GuestRefusedError(
                "container-nested",
                f"{reader.name}: a compressed {found.value}; only raw disks are read compressed",
                hint="decompress it, and give what is inside",
            )
        return SourceDisk(
            reader.file.path.name, DiskFormat.RAW, "compressed", inner.length, inner.file
        )


def beside(path: Path, name: str) -> ByteRange:
    """Give the file `name` that lies in the same directory as `path`.

    Raises `GuestRefusedError` ``foreign-file`` for a name that leads anywhere else,
    `DamagedInputError` ``member-missing`` when it is not there.
    """
    directory = path.parent.resolve()
    if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise _leads_away(path, name)
    target = directory / name
    if not target.exists():
        raise DamagedInputError(
            "member-missing",
            f"{path}: names the file {name!r}, which is not beside it",
            hint="copy all files of the export into one directory",
        )
    if target.resolve().parent != directory:
        raise _leads_away(path, name)
    return whole(target)


def _leads_away(path: Path, name: str) -> GuestRefusedError:
    return GuestRefusedError(
        "foreign-file",
        f"{path}: names the file {name!r}; only files in its own directory are opened",
        hint="export the machine again, with all its files in one directory",
    )
