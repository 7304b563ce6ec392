"""Containers that are refused although they are whole, made by qemu-img and tar where these can.

The others are made as their specifications say (`tests.unit.source.build`).
"""

from __future__ import annotations

import gzip
import tarfile
import uuid
import zipfile
from typing import TYPE_CHECKING

from converter import process
from images.exports import write_ova
from tests.refusals.row import AWS, Row
from tests.unit.disk.test_table import LINUX, gpt_image
from tests.unit.source import build

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.refusals.row import Build

MIB = 1 << 20
TIB = 1 << 40
UNSUPPORTED_VMDK = "Disk validation failed [Unsupported VMDK File Format]"
CHUNKED = (
    "Disk validation failed [OVF file parsing error: OVA with chunked disk files is not supported]"
)
SECTORS = 2048
ADVANCED = (LINUX, uuid.UUID(int=1), 256, 511, 0, "root")


def qemu(name: str, form: str, *options: str, size: str = "4M") -> Build:
    """Have qemu-img make an empty image."""

    def made(directory: Path) -> Sequence[Path]:
        path = directory / name
        process.run(["qemu-img", "create", "-q", "-f", form, *options, str(path), size])
        return [path]

    return made


def stored(name: str, data: Callable[[], bytes]) -> Build:
    return lambda directory: [build.stored(directory, name, data())]


def sparse(name: str, size: int, *, count: int = 1) -> Build:
    """Make raw disks of nothing."""

    def made(directory: Path) -> Sequence[Path]:
        paths = [directory / f"{number}{name}" for number in range(count)]
        for path in paths:
            with path.open("wb") as file:
                file.truncate(size)
        return paths

    return made


def text(name: str, *extents: str, kind: str) -> Build:
    """Write the descriptor of a VMDK, and nothing of its data."""
    return stored(name, lambda: build.descriptor(extents, kind=kind).encode())


# --- what tools make ------------------------------------------------------------------------------


def vmdk_snapshot(directory: Path) -> Sequence[Path]:
    """As a machine with a snapshot has it: a child, and its parent beside it."""
    [parent] = qemu("guest.vmdk", "vmdk")(directory)
    child = directory / "guest-000001.vmdk"
    process.run(
        ["qemu-img", "create", "-q", "-f", "vmdk", "-b", parent.name, "-F", "vmdk", str(child)]
    )
    return [child]


def qcow2_on_a_host_file(directory: Path) -> Sequence[Path]:
    return qemu("guest.qcow2", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw")(directory)


def qcow2_with_its_data_elsewhere(directory: Path) -> Sequence[Path]:
    return qemu("guest.qcow2", "qcow2", "-o", f"data_file={directory}/data")(directory)


def in_zstd_with_large_window(directory: Path) -> Sequence[Path]:
    path = directory / "a.raw.zst"
    process.run(["zstd", "-q", "-1", "--long=28", "-o", str(path)], stdin=bytes(MIB))
    return [path]


def ova(directory: Path) -> Path:
    """An OVA as VMware makes it, with a manifest."""
    [disk] = sparse(".raw", MIB)(directory)
    return write_ova([disk], directory)


def ova_in_gzip(directory: Path) -> Sequence[Path]:
    inner, outer = ova(directory), directory / "guest.ova.gz"
    outer.write_bytes(gzip.compress(inner.read_bytes()))
    return [outer]


def ova_with_a_link(directory: Path) -> Sequence[Path]:
    path = directory / "link.ova"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("guest.ovf")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return [path]


def ova_of_split_disk(directory: Path) -> Sequence[Path]:
    """A VMDK of two files in an OVA, as tar packs it."""
    [raw] = sparse(".raw", MIB)(directory)
    options = ["-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"]
    process.run(["qemu-img", "convert", "-f", "raw", *options, str(raw), str(directory / "a.vmdk")])
    (directory / "guest.ovf").write_text(build.ovf(), "utf-8")
    path = directory / "guest.ova"
    with tarfile.open(path, "w") as archive:
        for name in ("guest.ovf", "a.vmdk", "a-s001.vmdk"):
            archive.add(directory / name, arcname=name)
    return [path]


def ovf_beside_its_disk(directory: Path) -> Sequence[Path]:
    qemu("a.vmdk", "vmdk", "-o", "subformat=streamOptimized")(directory)
    return stored("guest.ovf", lambda: build.ovf().encode())(directory)


def compressed(name: str, data: bytes) -> Build:
    return stored(name, lambda: gzip.compress(data))


def zipped(directory: Path) -> Sequence[Path]:
    path = directory / "guest.img"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("guest.raw", bytes(MIB))
    return [path]


# --- what is written to order ---------------------------------------------------------------------


def packed(descriptor: str, *members: tuple[str, bytes]) -> Build:
    """An OVA of a descriptor and members."""
    return stored("guest.ova", lambda: build.tar(("a.ovf", descriptor.encode()), *members))


def in_pieces(size: int, *, first: int | None = None) -> Build:
    """An OVA whose disk is cut into pieces of so many bytes; of the first there may be less."""
    [(name, data), *rest] = build.chunks("a.vmdk", build.stream_vmdk({}, SECTORS), size)
    text = build.ovf([_FILE.format(f' ovf:chunkSize="{size}"')])
    return packed(text, (name, data[:first]), *rest)


_ENCRYPTED = (
    "--object", "secret,id=key,data=secret", "-o", "encrypt.format=aes,encrypt.key-secret=key",
)  # fmt: skip
_FILE = '<File ovf:href="a.vmdk" ovf:id="f0"{}/>'
_DELTA = '<Disk ovf:capacity="1" ovf:diskId="d0" ovf:fileRef="f0" ovf:parentRef="d1"/>'
_BLANK = '<Disk ovf:capacity="1" ovf:diskId="d0"/>'
_HYPER_V_LOG = build.vhdx_header(sequence=2, log=b"l" * 16)
_ENTRY = b"loge".ljust(32, b"\0") + b"l" * 16

# What most of these disks hold.
NOTHING = "no-partitions"

SERVICE_ONLY = (
    Row(
        "a VMDK that is not stream-optimized",
        qemu("a.vmdk", "vmdk", "-o", "subformat=monolithicSparse"),
        ("vmdk-subformat", NOTHING),
        AWS,
        says=(UNSUPPORTED_VMDK,),
    ),
    Row(
        "an OVA with its disk in pieces",
        in_pieces(1024),
        ("ova-chunked-disk", NOTHING),
        AWS,
        says=(CHUNKED,),
    ),
    Row("an OVF beside its disk", ovf_beside_its_disk, ("container-not-in-service", NOTHING), AWS),
    Row("a VDI", qemu("a.vdi", "vdi"), ("container-not-in-service", NOTHING), AWS),
    Row(
        "a raw disk in gzip",
        compressed("a.raw.gz", bytes(MIB)),
        # It is not unpacked for what is refused anyway.
        ("container-not-in-service",),
        AWS,
    ),
    Row(
        "a qcow2 of 16 TiB",
        qemu("a.qcow2", "qcow2", size="16T"),
        ("container-not-in-service", "disk-too-large", NOTHING),
        AWS,
    ),
    Row("a VHDX of 16 TiB", qemu("a.vhdx", "vhdx", size="16T"), ("disk-too-large", NOTHING), AWS),
    Row("a raw disk of 8 TiB", sparse(".raw", 8 * TIB), ("disk-too-large", NOTHING), AWS),
    Row("22 disks", sparse(".raw", MIB, count=22), ("too-many-disks", NOTHING), AWS),
    Row(
        "22 disks, of 8 TiB",
        sparse(".raw", 8 * TIB, count=22),
        ("disk-too-large", "too-many-disks", NOTHING),
        AWS,
    ),
)

REFUSED_ALWAYS = (
    Row("75 disks", sparse(".raw", MIB, count=75), ("too-many-disks", NOTHING)),
    Row("a qcow2 of 65 TiB", qemu("a.qcow2", "qcow2", size="65T"), ("disk-too-large", NOTHING)),
    Row(
        "a VHD that is larger than QEMU opens",
        stored("a.vhd", lambda: build.dynamic_vhd({}, 2041 << 30)),
        ("disk-too-large",),
    ),
    Row("a VMDK's snapshot", vmdk_snapshot, ("vmdk-child",), says=(UNSUPPORTED_VMDK,)),
    Row(
        "a snapshot of ESX",
        stored("a-000001-delta.vmdk", lambda: b"COWD".ljust(MIB, b"\0")),
        ("vmdk-child",),
        says=(UNSUPPORTED_VMDK,),
    ),
    Row(
        "a descriptor of a seSparse snapshot",
        text("a.vmdk", f'RW {SECTORS} SESPARSE "a-sesparse.vmdk"', kind="seSparse"),
        ("vmdk-sesparse",),
        says=(UNSUPPORTED_VMDK,),
    ),
    Row(
        "the data of a seSparse snapshot",
        stored("a-sesparse.vmdk", lambda: 0xCAFEBABE.to_bytes(8, "little").ljust(MIB, b"\0")),
        ("vmdk-sesparse",),
        says=(UNSUPPORTED_VMDK,),
    ),
    *(
        Row(
            f"a descriptor of a raw device mapping ({kind})",
            text("a.vmdk", f'RW {SECTORS} VMFSRDM "a-{kind}.vmdk"', kind=kind),
            ("vmdk-rdm",),
            says=(UNSUPPORTED_VMDK,),
        )
        for kind in ("vmfsRawDeviceMap", "vmfsPassthroughRawDeviceMap")
    ),
    Row(
        "a VMDK whose data is elsewhere",
        text("a.vmdk", f'RW {SECTORS} FLAT "../a-flat.vmdk" 0', kind="monolithicFlat"),
        ("foreign-file",),
    ),
    Row(
        "a differencing VHD",
        stored("a.vhd", lambda: build.dynamic_vhd({}, 4 * MIB, kind=4)),
        ("vhd-differencing",),
    ),
    Row(
        "a differencing VHDX",
        stored("a.avhdx", lambda: build.vhdx({}, 4 * MIB, flags=2)),
        ("vhdx-differencing",),
    ),
    Row(
        "a VHDX of sectors of 4096 bytes",
        stored("a.vhdx", lambda: build.vhdx({}, 4 * MIB, sector=4096)),
        ("vhdx-sector-size",),
    ),
    Row(
        "a VHDX that was not closed",
        stored(
            "a.vhdx",
            lambda: build.vhdx({}, 4 * MIB, headers=(_HYPER_V_LOG, _HYPER_V_LOG), log=_ENTRY),
        ),
        ("vhdx-log-unreplayed",),
    ),
    Row(
        "a differencing VDI",
        stored("a.vdi", lambda: build.vdi({}, 4 * MIB, kind=4)),
        ("vdi-differencing",),
    ),
    Row("an encrypted qcow2", qemu("a.qcow2", "qcow2", *_ENCRYPTED), ("encrypted-disk",)),
    Row("a qcow2 on a file of the host", qcow2_on_a_host_file, ("foreign-file",)),
    Row("a qcow2 with its data elsewhere", qcow2_with_its_data_elsewhere, ("foreign-file",)),
    Row("a qcow of version 1", qemu("a.img", "qcow"), ("format-unknown",)),
    Row("a zip archive", zipped, ("format-unknown",)),
    Row("a disk in zstd with a large window", in_zstd_with_large_window, ("compression-memory",)),
    Row(
        "a disk of sectors of 4096 bytes",
        stored("a.raw", lambda: bytes(gpt_image(ADVANCED, sector=4096).data)),
        ("sector-size",),
    ),
    Row(
        "a VMDK encrypted by VMware",
        stored(
            "a.vmdk",
            lambda: build.descriptor(
                ['RW 128 VMFS "a-flat.vmdk"'], kind="vmfs", extra='encryptionKeys="vmware:key/x"'
            ).encode(),
        ),
        ("encrypted-disk",),
    ),
    Row("an OVA in gzip", ova_in_gzip, ("container-nested",)),
    Row(
        "an XVA",
        stored("a.xva", lambda: build.tar(("ova.xml", b"<value/>"), ("Ref:10/00000000", b"x"))),
        ("container-xva",),
    ),
    Row("an OVA with a link in it", ova_with_a_link, ("ova-member",)),
    Row("a VMDK of two files in an OVA", ova_of_split_disk, ("ova-split-vmdk",)),
    Row(
        "an OVF of two machines",
        packed(
            build.ovf(systems=build.system("one") + build.system("two")),
            ("a.vmdk", build.sparse_vmdk({}, SECTORS)),
        ),
        ("ovf-several-machines",),
    ),
    Row("an OVF of a snapshot", packed(build.ovf(disks=[_DELTA])), ("ovf-delta-disk",)),
    Row(
        "an OVA with its disk in pieces of odd lengths",
        in_pieces(1000),
        ("ova-chunks",),
        says=(CHUNKED,),
    ),
    Row(
        "an OVF with its disk in bzip2",
        packed(build.ovf([_FILE.format(' ovf:compression="bzip2"')])),
        ("ovf-compression",),
    ),
    Row("an OVF with a blank disk", packed(build.ovf((), [_BLANK])), ("ovf-no-disk",)),
    Row(
        "an OVF of 257 disks",
        packed(build.ovf((), [_BLANK.replace("d0", f"d{number}") for number in range(257)])),
        ("too-many-disks",),
    ),
)

ROWS = (*SERVICE_ONLY, *REFUSED_ALWAYS)
