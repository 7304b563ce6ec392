"""What a file is, by its own bytes; and opening a disk of any format.

The bytes decide, not the name. But when a name claims another format, that is said: the file is
damaged or was renamed, and taking it as raw would hand off nonsense.
"""

from __future__ import annotations

import codecs
import re
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from converter.disk.table import read_table
from converter.errors import DamagedInputError, GuestRefusedError
from converter.formats import FormatError
from converter.model import ByteRange, ContainerFormat, DiskFormat, SourceDisk
from converter.source import compressed, ova, qcow2, vdi, vhd, vhdx, vmdk
from converter.source.reader import Reader, size_zero, whole

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
    ".raw": ContainerFormat.RAW,
    ".gz": ContainerFormat.COMPRESSED_RAW,
    ".xz": ContainerFormat.COMPRESSED_RAW,
    ".zst": ContainerFormat.COMPRESSED_RAW,
    ".bz2": ContainerFormat.COMPRESSED_RAW,
}
_GIVE: Final = "give an OVA, VMDK, VHD, VHDX, qcow2, VDI or raw image"
FORMAT_UNSUPPORTED: Final = "Disk validation failed [Unsupported file format]"
_UNPACK: Final = "unpack it, and give the disk that is in it"
_CONVERT: Final = "convert it first: qemu-img convert -O qcow2 NAME NAME.qcow2"
# What is not a disk, and would be taken for a raw one: its first bytes, what it is, what to do.
_FOREIGN: Final = (
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a rar archive", _UNPACK),
    (b"\x04\x22\x4d\x18", "compressed with lz4", _UNPACK),
    (b"\x89LZO", "compressed with lzop", _UNPACK),
    (b"LZIP", "compressed with lzip", _UNPACK),
    (b"\x5d\0\0", "compressed with lzma", _UNPACK),
    (b"\x1f\x9d", "compressed with compress", _UNPACK),
    (b"MSCF\0\0\0\0", "a cabinet file", _UNPACK),
    (b"!<arch>\n", "an archive of ar, as Debian's packages are", _GIVE),
    (b"\xed\xab\xee\xdb", "a package of RPM", _GIVE),
    (b"07070", "an archive of cpio, as an initramfs is", _GIVE),
    (b"VMA\0", "a backup of Proxmox VE (VMA)", "unpack it (vma extract), and give its disks"),
    (b"EVF\x09\x0d\x0a\xff\0", "a forensic image of EnCase (E01)", _GIVE),
    (b"\xd2\xbe\xd2\xbe", "a saved state of VMware", _GIVE),
    (b"MRVN", "the firmware variables of VMware", _GIVE),
    (b"%PDF", "a PDF document", _GIVE),
    (b"\x7fELF", "a program", _GIVE),
    (b"MSWIM\0\0\0", "a Windows image (WIM)", _GIVE),
    (b"QED\0", "a QED image", _CONVERT),
    (b"WithoutFreeSpace", "a Parallels image", _CONVERT),
    (b"WithouFreSpacExt", "a Parallels image", _CONVERT),
    (b"Bochs Virtual HD Image", "a Bochs image", _CONVERT),
)
# Where a CD has its first descriptor, and what that begins with.
_CD_AT: Final = 32768
_CD: Final = ((b"CD001", "a CD or DVD image (ISO 9660)"), (b"BEA01", "a CD or DVD image (UDF)"))
_DMG: Final = b"koly"
_CONTROLS: Final = frozenset(range(32)) - frozenset(b"\t\n\r\f\v\b\x1b")
# The data of a VMDK whose descriptor is another file.
_FLAT: Final = re.compile(r"-(flat|f\d{3})\.vmdk$", re.IGNORECASE)


def detect(reader: Reader, *, claimed: str | None = None) -> ContainerFormat:
    """Tell the format of a file from its first and last bytes.

    `claimed` is the ending that says what it should be; by default that of the file's name.

    Raises `DamagedInputError` ``disk-size-zero`` for an empty file, ``format-mismatch`` when its
    name claims another format; `GuestRefusedError` ``format-unknown`` for what is no disk.
    """
    if reader.length == 0:
        raise size_zero(reader.name)
    head = reader.head(_HEAD)
    found = _by_magic(reader, head)
    foreign, hint = _foreign(reader, head) if found is ContainerFormat.RAW else ("", "")
    ending = reader.file.path.suffix.lower() if claimed is None else claimed
    expected = _CLAIMS.get(ending, found)
    if expected is ContainerFormat.VHD and found is ContainerFormat.RAW and not foreign:
        raise vhd.end_missing(reader)
    if found is not expected:
        what = foreign or found.value
        raise DamagedInputError(
            "format-mismatch",
            f"{reader.name}: is named as {expected.value}, but its content is {what}",
            hint=hint or _mismatch_hint(reader, expected, found),
        )
    if foreign:
        raise GuestRefusedError(
            "format-unknown",
            f"{reader.name}: is {foreign}, not a disk image",
            hint=hint,
        )
    return found


def _mismatch_hint(reader: Reader, expected: ContainerFormat, found: ContainerFormat) -> str:
    if found is ContainerFormat.RAW and not any(reader.head(_HEAD)):
        return "it begins with zeros, as a download that did not end: copy it again"
    if found is ContainerFormat.RAW and expected is ContainerFormat.OVA:
        return "an OVA is a tar of the kind ustar: tar -C DIR -cf NAME.ova NAME.ovf DISK…"
    if found is ContainerFormat.COMPRESSED_RAW:
        return "decompress it, and give what is inside"
    if found is ContainerFormat.RAW and _FLAT.search(reader.label):
        return "this is a VMDK's data: give its descriptor, the small .vmdk file beside it"
    return "if the content is right, rename the file; if not, it is damaged: export it again"


def _by_magic(reader: Reader, head: bytes) -> ContainerFormat:
    found = _by_head(head)
    if found is ContainerFormat.RAW and vhd.has_footer(reader):
        return ContainerFormat.VHD
    return found


def _by_head(head: bytes) -> ContainerFormat:  # noqa: PLR0911 - a table
    if vmdk.is_vmdk(head):
        return ContainerFormat.VMDK
    if head.startswith(vhdx.MAGIC):
        return ContainerFormat.VHDX
    if head.startswith(qcow2.MAGIC):
        return ContainerFormat.QCOW2
    if head[vdi.SIGNATURE_AT :].startswith(vdi.SIGNATURE):
        return ContainerFormat.VDI
    if head[ova.MAGIC_AT :].startswith(ova.MAGIC):
        return ContainerFormat.OVA
    if compressed.kind(head):
        return ContainerFormat.COMPRESSED_RAW
    if head.startswith(vhd.COOKIE):
        return ContainerFormat.VHD
    if _is_envelope(head):
        return ContainerFormat.OVF
    return ContainerFormat.RAW


def _is_envelope(head: bytes) -> bool:
    """Tell whether this is XML, in any encoding of Unicode, whose root may be an OVF's."""
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return text.startswith(b"<") and re.search(rb"<([\w.-]+:)?Envelope\b", text) is not None


def _foreign(reader: Reader, head: bytes) -> tuple[str, str]:
    """Say what a file is that is no disk, and what to do; "" if it may be one."""
    if reader.length < 512:
        return f"only {reader.length} bytes long", _GIVE
    if _is_text(head[:512]):
        return "text", _GIVE
    if reader.read(reader.length - 512, 4) == _DMG:
        return "a disk image of macOS (DMG)", _CONVERT
    for mark, what, hint in _FOREIGN:
        if head.startswith(mark):
            return what, hint
    what = _cd(reader, head)
    return what, _GIVE if what else ""


def _cd(reader: Reader, head: bytes) -> str:
    """Say which kind of CD a file is, "" if none.

    A disk that was one may still have its descriptor before its first partition. A CD that also
    starts from a stick has a table, with a partition that begins before it.
    """
    found = next((what for mark, what in _CD if head[_CD_AT + 1 :].startswith(mark)), "")
    if not found:
        return ""
    try:
        disk = read_table(reader.read, device=reader.label, size=reader.length)
    except FormatError:
        return found
    starts = [partition.start for partition in disk.partitions]
    return "" if starts and min(starts) > _CD_AT else found


def _is_text(head: bytes) -> bool:
    """Tell whether a file begins as text does, in UTF-8 or UTF-16."""
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    try:
        # What is cut off at the end is no error.
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    # A disk may be filled with any letter.
    is_likely = "\n" in text or text.lstrip("\ufeff \t\r").startswith(("<", "{", "["))
    return is_likely and not any(ord(letter) in _CONTROLS for letter in text)


def open_disk(  # noqa: PLR0911 - a table
    reader: Reader,
    form: ContainerFormat,
    *,
    work: Path | None,
    find: Callable[[str], ByteRange] | None = None,
) -> SourceDisk:
    """Open a file of the format `form` as one disk; `find` gives the files beside it by name.

    Without a place to `work` in a compressed one is refused, as the service would.
    """
    match form:
        case ContainerFormat.VMDK:
            return vmdk.open_vmdk(reader, find or (lambda name: beside(reader.file.path, name)))
        case ContainerFormat.VHD:
            return vhd.open_vhd(reader)
        case ContainerFormat.VHDX:
            return vhdx.open_vhdx(reader)
        case ContainerFormat.QCOW2:
            return qcow2.open_qcow2(reader)
        case ContainerFormat.VDI:
            return vdi.open_vdi(reader)
        case ContainerFormat.COMPRESSED_RAW:
            if work is None:
                raise _not_in_service(form)
            return _open_compressed(reader, work)
        case ContainerFormat.RAW:
            return SourceDisk(reader.label, DiskFormat.RAW, "", reader.length, reader.file)
        case ContainerFormat.OVA | ContainerFormat.OVF:
            raise _nested(reader.name, form)


def _not_in_service(form: ContainerFormat) -> GuestRefusedError:
    """Make the refusal of a container that the service does not read."""
    return GuestRefusedError(
        "container-not-in-service",
        f"the service does not read {form.value} containers",
        hint="export it as OVA, or use --policy open",
        service_message=FORMAT_UNSUPPORTED,
    )


def _open_compressed(reader: Reader, work: Path) -> SourceDisk:
    """Decompress a disk, and open what is inside: mostly a raw disk, but any will do."""
    _refuse_nested(reader.name, _by_head(compressed.head(reader, _HEAD)))
    unpacked = compressed.unpack(reader, work)

    def find(name: str) -> ByteRange:
        if not _is_plain(name):
            raise leads_away(reader.name, name)
        raise GuestRefusedError(
            "container-nested",
            f"{reader.name}: is the compressed descriptor of a VMDK whose data is in {name!r}",
            hint="decompress it beside its data, and give it",
        )

    with Reader(whole(unpacked), name=reader.name) as inner:
        form = detect(inner, claimed="")
        return replace(open_disk(inner, form, work=work, find=find), was_compressed=True)


def _refuse_nested(name: str, form: ContainerFormat) -> None:
    if form in (ContainerFormat.OVA, ContainerFormat.OVF, ContainerFormat.COMPRESSED_RAW):
        raise _nested(name, form)


def _nested(name: str, form: ContainerFormat) -> GuestRefusedError:
    return GuestRefusedError(
        "container-nested",
        f"{name}: holds another container ({form.value})",
        hint="unpack the outer one, and give what is inside",
    )


def _is_plain(name: str) -> bool:
    return name not in ("", ".", "..") and not {"/", "\\", "\0"}.intersection(name)


def beside(path: Path, name: str) -> ByteRange:
    """Give the file `name` that lies in the same directory as `path`.

    Raises `GuestRefusedError` ``foreign-file`` for a name that leads anywhere else, or to anything
    but a file; `DamagedInputError` ``member-missing`` when it is not there.
    """
    directory = path.parent.resolve()
    if not _is_plain(name):
        raise leads_away(str(path), name)
    target = directory / name
    try:
        found = target.stat()
        resolved = target.resolve()
    except PermissionError:
        return whole(target)  # which says so
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DamagedInputError(
            "member-missing",
            f"{path}: names the file {name!r}, which cannot be had beside it: {reason}",
            hint="copy all files of the export into one directory",
        ) from error
    if resolved.parent != directory or not stat.S_ISREG(found.st_mode):
        raise leads_away(str(path), name)
    return whole(target)


def leads_away(path: str, name: str) -> GuestRefusedError:
    """Make the refusal of a file that is named but may not be opened."""
    return GuestRefusedError(
        "foreign-file",
        f"{path}: names the file {name!r}; only files in its own directory are opened",
        hint="export the machine again, with all its files in one directory",
    )
