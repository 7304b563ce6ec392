"""Containers that are damaged, or not what they claim to be: all end with the same exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.refusals.containers import (
    MIB,
    SECTORS,
    TIB,
    compressed,
    in_pieces,
    ova,
    packed,
    qemu,
    stored,
    text,
)
from tests.refusals.row import DAMAGED, Row
from tests.unit.source import build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.refusals.row import Build

_BOMB = """<?xml version="1.0"?><!DOCTYPE Envelope [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Envelope>&b;</Envelope>"""


def patched(inner: Build, patches: dict[int, bytes]) -> Build:
    """Write bytes over what `inner` made; places below zero count from its end."""

    def made(directory: Path) -> Sequence[Path]:
        paths = inner(directory)
        with paths[0].open("r+b") as file:
            for place, data in patches.items():
                file.seek(place, 0 if place >= 0 else 2)
                file.write(data)
        return paths

    return made


def cut(inner: Build, length: int) -> Build:
    """Cut `length` bytes off the end of what `inner` made."""

    def made(directory: Path) -> Sequence[Path]:
        paths = inner(directory)
        with paths[0].open("r+b") as file:
            file.truncate(paths[0].stat().st_size - length)
        return paths

    return made


def ova_changed_since(directory: Path) -> Sequence[Path]:
    """Its disk is not the one that the manifest was made of: only the OVF's text is changed."""
    path = ova(directory)
    path.write_bytes(path.read_bytes().replace(b"A virtual machine", b"a virtual machine", 1))
    return [path]


def _stream(**fields: int) -> bytes:
    return build.stream_vmdk({0: b"x" * build.GRAIN}, SECTORS, **fields)  # type: ignore[arg-type]


def _damaged(name: str, made: Build, code: str, *says: str) -> Row:
    return Row(name, made, (code,), status=DAMAGED, says=says)


_VHD = qemu("a.vhd", "vpc", "-o", "subformat=dynamic,force_size=on")
_QCOW2 = qemu("a.qcow2", "qcow2")
# Its entry in the L2 table: compressed, in one sector, where the first cluster is.
_PACKED = 1 << 62 | 5 << 16
_VHDX = qemu("a.vhdx", "vhdx")
_VDI = qemu("a.vdi", "vdi", "-o", "static=on")
_FEATURES = 72

ROWS = (
    _damaged("an empty file", stored("a.raw", bytes), "disk-size-zero"),
    _damaged("a qcow2 of no size", qemu("a.qcow2", "qcow2", size="0"), "disk-size-zero"),
    _damaged("a qcow2 by the name of a VMDK", qemu("a.vmdk", "qcow2"), "format-mismatch"),
    _damaged("a VDI that was cut off", cut(_VDI, MIB), "truncated"),
    _damaged(
        "a VHD that was cut off", cut(_VHD, 512), "vhd-footers-differ", "Footers not identical"
    ),
    _damaged(
        "a VHD of two footers",
        patched(_VHD, {0x20: b"\xff"}),
        "vhd-footers-differ",
        "Footers not identical",
    ),
    _damaged(
        "a fixed VHD that was cut off",
        cut(qemu("a.vhd", "vpc", "-o", "subformat=fixed"), MIB),
        "vhd-footers-differ",
        "it was cut off",
    ),
    _damaged(
        "a VHD with zeros behind it",
        stored("a.vhd", lambda: build.fixed_vhd(bytes(MIB)) + bytes(MIB)),
        "vhd-footers-differ",
        f"{MIB} zeros follow",
    ),
    _damaged("a VHD of a wrong sum", patched(_VHD, {-400: b"\xff"}), "vhd-checksum"),
    _damaged(
        "a VHD of an unknown type",
        stored("a.vhd", lambda: build.fixed_vhd(bytes(MIB), kind=7)),
        "vhd-type",
    ),
    _damaged("a VHD without its second header", patched(_VHD, {512: b"none"}), "vhd-header"),
    _damaged(
        "a VMDK without its compression",
        stored("a.vmdk", lambda: _stream(compression=0)),
        "vmdk-compression",
        "File uses unsupported compression algorithm 0",
    ),
    _damaged(
        "a VMDK of an unknown version",
        patched(qemu("a.vmdk", "vmdk"), {4: b"\x09"}),
        "vmdk-header",
    ),
    _damaged("an OVA with a short piece", in_pieces(1024, first=512), "ova-chunk-size"),
    _damaged("a VMDK without its footer", cut(stored("a.vmdk", _stream), 1536), "truncated"),
    _damaged(
        "a VMDK of two sizes",
        stored("a.vmdk", lambda: build.stream_vmdk({}, SECTORS, footer={"capacity": 4096})),
        "vmdk-footer",
    ),
    _damaged(
        "a VMDK with its table beyond its end",
        stored(
            "a.vmdk",
            lambda: build.stream_vmdk({}, SECTORS, footer={"directory": 1 << 40}),
        ),
        "truncated",
    ),
    _damaged(
        "a VMDK whose descriptor was cut off",
        stored("a.vmdk", lambda: b"# Disk DescriptorFile\nversion=1\n"),
        "vmdk-descriptor",
    ),
    _damaged(
        "a VMDK with an extent of an unknown type",
        text("a.vmdk", f'RW {SECTORS} CLOUD "a"', kind="custom"),
        "vmdk-extent",
    ),
    _damaged(
        "a VMDK without its data",
        text("a.vmdk", f'RW {SECTORS} FLAT "a-flat.vmdk" 0', kind="monolithicFlat"),
        "member-missing",
    ),
    _damaged("a qcow2 of version 9", patched(_QCOW2, {7: b"\x09"}), "qcow2-version"),
    _damaged("a qcow2 of no L1 table", patched(_QCOW2, {36: bytes(4)}), "qcow2-header"),
    _damaged(
        "a qcow2 that QEMU marked", patched(_QCOW2, {_FEATURES + 7: b"\x02"}), "qcow2-corrupt"
    ),
    _damaged(
        "a qcow2 that was not closed", patched(_QCOW2, {_FEATURES + 7: b"\x01"}), "qcow2-dirty"
    ),
    _damaged("a qcow2 of the future", patched(_QCOW2, {_FEATURES: b"\x80"}), "qcow2-features"),
    _damaged(
        "a qcow2 with two tables in one place",
        stored("a.qcow2", lambda: build.qcow2({}, 1 << 30, l1=[4 << 16, 4 << 16])),
        "qcow2-table",
    ),
    _damaged(
        "a qcow2 whose first cluster does not unpack",
        stored("a.qcow2", lambda: build.qcow2({0: b"\xff" * 512}, MIB, table={0: (_PACKED,)})),
        "qcow2-cluster",
    ),
    _damaged(
        "a VHDX without headers",
        patched(_VHDX, {64 << 10: b"none", 128 << 10: b"none"}),
        "vhdx-header",
    ),
    _damaged(
        "a VHDX of version 2",
        stored("a.vhdx", lambda: build.vhdx({}, MIB, headers=(build.vhdx_header(version=2),) * 2)),
        "vhdx-version",
    ),
    _damaged(
        "a VHDX without regions",
        patched(_VHDX, {192 << 10: b"none", 256 << 10: b"none"}),
        "vhdx-regions",
    ),
    _damaged(
        "a VHDX in blocks of 3 MiB",
        stored("a.vhdx", lambda: build.vhdx({}, 4 * MIB, block=3 * MIB)),
        "vhdx-metadata",
    ),
    _damaged(
        "a VHDX with a table that is too short",
        stored("a.vhdx", lambda: build.vhdx({}, MIB, said=8 * TIB)),
        "vhdx-bat",
    ),
    _damaged("a VDI of version 9", patched(_VDI, {70: b"\x09"}), "vdi-version"),
    _damaged("a VDI of an unknown type", patched(_VDI, {76: b"\x09"}), "vdi-header"),
    _damaged(
        "a VDI with two blocks in one place",
        stored("a.vdi", lambda: build.vdi({0: b"x", 1: b"y"}, 2 * MIB, table={1: 0})),
        "blocks-overlap",
    ),
    _damaged(
        "gzip that was cut off", cut(compressed("a.gz", bytes(MIB)), 8), "compression-damaged"
    ),
    _damaged(
        "a tar without an OVF", stored("a.ova", lambda: build.tar(("a.txt", b"text"))), "ova-no-ovf"
    ),
    _damaged("an OVA without its disk", packed(build.ovf()), "member-missing"),
    _damaged("an OVA that was changed", ova_changed_since, "ova-manifest-mismatch"),
    Row(
        "an OVA with a manifest of nothing, and without its disk",
        packed(build.ovf(), ("a.mf", b"no manifest\n")),
        ("member-missing", "ova-manifest-invalid"),
        status=DAMAGED,
    ),
    _damaged(
        "an OVA with a damaged header",
        patched(packed(build.ovf()), {0: b"b"}),
        "ova-tar-damaged",
    ),
    _damaged("an OVF that is an entity bomb", stored("a.ovf", _BOMB.encode), "ovf-invalid"),
)
