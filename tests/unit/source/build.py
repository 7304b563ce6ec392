"""Disk images as their specifications say, made in memory: small, with any field set to order."""

from __future__ import annotations

import struct
import uuid
import zlib
from functools import cache
from typing import TYPE_CHECKING

from converter.source import crc32c as _crc32c

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

MIB = 1 << 20
SECTOR = 512
GRAIN = 65536
# Most of what is made has the same regions.
crc32c = cache(_crc32c.crc32c)


def stored(directory: Path, name: str, data: bytes) -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def pattern(length: int, *, seed: int = 1) -> bytes:
    """Give bytes of which no two grains are equal and none is zero."""
    unit = b"".join(struct.pack("<II", seed, number) * 8 for number in range(length // 64 + 1))
    return unit[:length]


# --- VMDK -----------------------------------------------------------------------------------------


def descriptor(
    extents: Sequence[str],
    *,
    kind: str = "monolithicSparse",
    parent: str = "ffffffff",
    extra: str = "",
    ddb: bool = True,
) -> str:
    lines = "\n".join(extents)
    database = '\n#DDB\n\nddb.virtualHWVersion = "4"\nddb.adapterType = "ide"\n' if ddb else ""
    return (
        f"# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID={parent}\n"
        f'createType="{kind}"\n{extra}\n# Extent description\n{lines}\n{database}'
    )


def vmdk_header(
    capacity: int,
    *,
    version: int = 3,
    flags: int = 0x30001,
    grain: int = 128,
    descriptor_offset: int = 1,
    descriptor_sectors: int = 20,
    entries: int = 512,
    directory: int = 0,
    line_ends: bytes = b"\n \r\n",
    compression: int = 1,
) -> bytes:
    header = struct.pack(
        "<4sIIQQQQIQQQB4sH",
        b"KDMV", version, flags, capacity, grain, descriptor_offset, descriptor_sectors, entries,
        0, directory, 128, 0, line_ends, compression,
    )  # fmt: skip
    return header.ljust(SECTOR, b"\0")


def _padded(data: bytes, to: int = SECTOR) -> bytes:
    return data + bytes(-len(data) % to)


def grain(
    lba: int, data: bytes, *, marked: int | None = None, packed: bytes | None = None
) -> bytes:
    packed = zlib.compress(data) if packed is None else packed
    return _padded(struct.pack("<QI", lba if marked is None else marked, len(packed)) + packed)


def _marker(kind: int, sectors: int) -> bytes:
    return struct.pack("<QII", sectors, 0, kind).ljust(SECTOR, b"\0")


def stream_vmdk(
    grains: Mapping[int, bytes],
    capacity: int,
    *,
    text: str | None = None,
    footer: Mapping[str, int] | None = None,
    raw_grains: Mapping[int, bytes] | None = None,
    order: Callable[[int], float] = float,
    **fields: int,
) -> bytes:
    """Make a stream-optimized VMDK as ovftool does; `grains` by their number.

    They lie in the file in the `order` that sort keys of their numbers give.
    """
    text = text or descriptor([f'RW {capacity} SPARSE "x.vmdk"'], kind="streamOptimized")
    out = vmdk_header(capacity, directory=(1 << 64) - 1, **fields)  # type: ignore[arg-type]
    out += text.encode().ljust(20 * SECTOR, b"\0")
    out = _padded(out, GRAIN)
    tables: dict[int, list[int]] = {}
    for number in sorted({**grains, **(raw_grains or {})}, key=order):
        table = tables.setdefault(number // 512, [0] * 512)
        table[number % 512] = len(out) // SECTOR
        out += (raw_grains or {}).get(number) or grain(number * 128, grains[number])
    directory = [0] * -(-capacity // (512 * 128))
    for number, places in tables.items():
        out += _marker(1, 4)
        directory[number] = len(out) // SECTOR
        out += struct.pack("<512I", *places)
    out += _marker(2, 1)
    place = len(out) // SECTOR
    out += _padded(struct.pack(f"<{len(directory)}I", *directory))
    changed = {**fields, "directory": place, **(footer or {})}
    changed_capacity = changed.pop("capacity", capacity)
    out += _marker(3, 1) + vmdk_header(changed_capacity, **changed)  # type: ignore[arg-type]
    return out + bytes(SECTOR)


def sparse_vmdk(
    grains: Mapping[int, bytes],
    capacity: int,
    *,
    text: str | None = None,
    places: Mapping[int, int] | None = None,
    **fields: int,
) -> bytes:
    """Make a monolithicSparse VMDK; `places` overrides entries of the grain table."""
    fields = {"version": 1, "flags": 3, "compression": 0, **fields}
    text = descriptor([f'RW {capacity} SPARSE "x.vmdk"']) if text is None else text
    tables = -(-capacity // (512 * 128))
    directory, first = 21, 22
    free = -(-(first + 4 * tables) // 128) * 128
    entries = [0] * (512 * tables)
    data = b""
    for number in sorted(grains):
        entries[number] = free + len(data) // SECTOR
        data += grains[number]
    for number, place in (places or {}).items():
        entries[number] = place
    out = vmdk_header(capacity, directory=directory, **fields)  # type: ignore[arg-type]
    out += text.encode().ljust(20 * SECTOR, b"\0")
    out += _padded(struct.pack(f"<{tables}I", *(first + 4 * table for table in range(tables))))
    out += struct.pack(f"<{len(entries)}I", *entries)
    return out.ljust(free * SECTOR, b"\0") + data


# --- VHD ------------------------------------------------------------------------------------------


def _summed(data: bytes, at: int) -> bytes:
    total = ~(sum(data) - sum(data[at : at + 4])) & 0xFFFFFFFF
    return data[:at] + struct.pack(">I", total) + data[at + 4 :]


def vhd_footer(size: int, kind: int, *, header: int = 0xFFFFFFFFFFFFFFFF) -> bytes:
    footer = struct.pack(
        ">8sIIQI4sI4sQQIII16sB", b"conectix", 2, 0x10000, header, 0, b"win ", 0xA0000, b"Wi2k",
        size, size, 0x03FF103F, kind, 0, b"\x11" * 16, 0,
    )  # fmt: skip
    return _summed(footer.ljust(512, b"\0"), 64)


def fixed_vhd(data: bytes, *, kind: int = 2, footer: int = 512) -> bytes:
    return data + vhd_footer(len(data), kind)[:footer]


def dynamic_vhd(
    blocks: Mapping[int, bytes],
    size: int,
    *,
    block: int = 2 * MIB,
    kind: int = 3,
    entries: int | None = None,
    table: Mapping[int, int] | None = None,
    footer: int = 512,
) -> bytes:
    """Make a dynamic VHD; `table` overrides places (in sectors) of the block table."""
    count = -(-size // block) if entries is None else entries
    ending = vhd_footer(size, kind, header=512)
    header = struct.pack(
        ">8sQQIII", b"cxsparse", 0xFFFFFFFFFFFFFFFF, 1536, 0x10000, count, block
    ).ljust(1024, b"\0")
    places = [0xFFFFFFFF] * max(count, 1)
    data = b""
    bitmap = -(-block // SECTOR // 8 // SECTOR) * SECTOR
    start = 1536 + len(_padded(bytes(4 * len(places))))
    for number in sorted(blocks):
        places[number] = (start + len(data)) // SECTOR
        data += b"\xff" * bitmap + blocks[number].ljust(block, b"\0")
    for number, place in (table or {}).items():
        places[number] = place
    bat = _padded(struct.pack(f">{len(places)}I", *places))
    return ending + _summed(header, 36) + bat + data + ending[:footer]


# --- VHDX -----------------------------------------------------------------------------------------

BAT = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
METADATA = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
PARAMETERS = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
SIZE = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
SECTOR_SIZE = uuid.UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")


def checked(data: bytes) -> bytes:
    """Put the CRC-32C into a structure of VHDX."""
    data = data[:4] + bytes(4) + data[8:]
    return data[:4] + struct.pack("<I", crc32c(data)) + data[8:]


def vhdx_header(*, sequence: int = 1, log: bytes = bytes(16), version: int = 1) -> bytes:
    fields = struct.pack(
        "<4sIQ16s16s16sHHIQ", b"head", 0, sequence, b"f" * 16, b"d" * 16, log, 0, version,
        MIB, MIB,
    )  # fmt: skip
    return checked(fields.ljust(4096, b"\0"))


def vhdx_regions(*, bat: tuple[int, int] = (3 * MIB, MIB), extra: bytes = b"") -> bytes:
    entries = METADATA.bytes_le + struct.pack("<QII", 2 * MIB, MIB, 1)
    entries += BAT.bytes_le + struct.pack("<QII", *bat, 1) + extra
    head = struct.pack("<4sIII", b"regi", 0, len(entries) // 32, 0)
    return checked((head + entries).ljust(65536, b"\0"))


def vhdx(
    blocks: Mapping[int, bytes],
    size: int,
    *,
    block: int = MIB,
    flags: int = 0,
    sector: int = 512,
    headers: tuple[bytes, bytes] | None = None,
    regions: tuple[bytes, bytes] | None = None,
    log: bytes = b"",
    table: Mapping[int, int] | None = None,
    items: int = 3,
    said: int | None = None,
) -> bytes:
    """Make a VHDX; `table` overrides entries of the block table, `said` the size it tells."""
    headers = headers or (vhdx_header(sequence=1), vhdx_header(sequence=2))
    regions = regions or (vhdx_regions(), vhdx_regions())
    parts = {64 << 10: headers[0], 128 << 10: headers[1], 192 << 10: regions[0]}
    out = b"vhdxfile".ljust(64 << 10, b"\0")
    for at, data in {**parts, 256 << 10: regions[1], MIB: log}.items():
        out = out.ljust(at, b"\0") + data
    values = (
        (PARAMETERS, struct.pack("<II", block, flags)),
        (SIZE, struct.pack("<Q", size if said is None else said)),
        (SECTOR_SIZE, struct.pack("<I", sector)),
    )
    metadata = struct.pack("<8sHH20x", b"metadata", 0, items)
    for number, (key, value) in enumerate(values):
        place = (64 << 10) + 16 * number
        metadata += key.bytes_le + struct.pack("<IIII", place, len(value), 6, 0)
    metadata = metadata.ljust(64 << 10, b"\0")
    for _, value in values:
        metadata += value.ljust(16, b"\0")
    count = -(-size // block)
    ratio = (1 << 32) // block
    entries = [0] * (count + (count - 1) // ratio)
    data = b""
    for number in sorted(blocks):
        entries[number + number // ratio] = 4 * MIB + len(data) | 6
        data += blocks[number].ljust(block, b"\0")
    for number, entry in (table or {}).items():
        entries[number] = entry
    out = out.ljust(2 * MIB, b"\0") + metadata
    out = out.ljust(3 * MIB, b"\0") + struct.pack(f"<{len(entries)}Q", *entries)
    return out.ljust(4 * MIB, b"\0") + data


# --- VDI, qcow2 -----------------------------------------------------------------------------------


def vdi(
    blocks: Mapping[int, bytes],
    size: int,
    *,
    kind: int = 1,
    version: int = 0x10001,
    block: int = MIB,
    extra: int = 0,
    parent: bytes = bytes(16),
    linked: bytes = bytes(16),
    table: Mapping[int, int] | None = None,
) -> bytes:
    count = -(-size // MIB)
    entries = [0xFFFFFFFF] * count
    for place, number in enumerate(sorted(blocks)):
        entries[number] = place
    for number, place in (table or {}).items():
        entries[number] = place
    head = b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(64, b"\0")
    head += struct.pack("<IIIII", 0xBEDA107F, version, 400, kind, 0).ljust(276, b"\0")
    head += struct.pack("<II4II", 512, MIB, 0, 0, 0, 512, 0)
    head += struct.pack("<QIIII", size, block, extra, count, len(blocks))
    head += b"u" * 16 + b"s" * 16 + linked + parent
    table_ = struct.pack(f"<{count}I", *entries)
    out = (head.ljust(512, b"\0") + table_).ljust(MIB, b"\0")
    return out + b"".join(blocks[number].ljust(MIB, b"\0") for number in sorted(blocks))


def qcow2(
    clusters: Mapping[int, bytes],
    size: int,
    *,
    version: int = 3,
    features: int = 0,
    backing: int = 0,
    crypt: int = 0,
    bits: int = 16,
    l1: Sequence[int] | None = None,
    l1_entries: int | None = None,
    table: Mapping[int, tuple[int, ...]] | None = None,
) -> bytes:
    """Make a qcow2 of one L2 table; `table` overrides its entries (two words if extended)."""
    cluster = 1 << bits
    words = 2 if features & 16 else 1
    entries = [0] * (cluster // 8)
    data = b""
    for number in sorted(clusters):
        entries[number * words] = 5 * cluster + len(data) | 1 << 63
        if words == 2:
            entries[number * words + 1] = 0xFFFFFFFF
        data += clusters[number].ljust(cluster, b"\0")
    for number, values in (table or {}).items():
        entries[number * words : number * words + len(values)] = values
    first = [4 * cluster | 1 << 63] if l1 is None else list(l1)
    head = struct.pack(
        ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", version, backing, 0, bits, size, crypt,
        len(first) if l1_entries is None else l1_entries, 3 * cluster, cluster, 1, 0, 0,
        features, 0, 0, 4, 104,
    )  # fmt: skip
    out = head.ljust(cluster, b"\0") + struct.pack(">Q", 2 * cluster).ljust(cluster, b"\0")
    out += (struct.pack(">H", 1) * 64).ljust(cluster, b"\0")
    out += struct.pack(f">{len(first)}Q", *first).ljust(cluster, b"\0")
    out += struct.pack(f">{len(entries)}Q", *entries)
    return out + data


# --- OVF and OVA ----------------------------------------------------------------------------------


def ovf(
    files: Sequence[str] = ('<File ovf:href="a.vmdk" ovf:id="f0"/>',),
    disks: Sequence[str] = ('<Disk ovf:capacity="1" ovf:diskId="d0" ovf:fileRef="f0"/>',),
    items: str = "",
    *,
    systems: str = "",
) -> str:
    rasd = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
    return f"""<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="{rasd}">
<References>{"".join(files)}</References>
<DiskSection><Info/>{"".join(disks)}</DiskSection>
{systems or system("vm", items)}
</Envelope>
"""


def chunks(name: str, data: bytes, size: int) -> list[tuple[str, bytes]]:
    """Cut a file as ovftool does (DMTF DSP0243, chunkSize)."""
    places = range(0, len(data), size)
    return [(f"{name}.{number:09}", data[at : at + size]) for number, at in enumerate(places)]


def system(name: str, items: str = "") -> str:
    hardware = f"<VirtualHardwareSection>{items}</VirtualHardwareSection>"
    return f'<VirtualSystem ovf:id="{name}">{hardware}</VirtualSystem>'


def drive(resource: str, *, parent: str = "3", place: str = "0", kind: str = "17") -> str:
    return (
        f"<Item><rasd:AddressOnParent>{place}</rasd:AddressOnParent>"
        f"<rasd:HostResource>{resource}</rasd:HostResource>"
        f"<rasd:Parent>{parent}</rasd:Parent><rasd:ResourceType>{kind}</rasd:ResourceType></Item>"
    )


def tar_header(
    name: bytes, size: bytes, kind: bytes = b"0", *, magic: bytes = b"ustar\x0000"
) -> bytes:
    head = name.ljust(100, b"\0") + b"0000644\x00" + b"0000000\x00" * 2 + size.ljust(12, b"\0")
    head += b"00000000000\x00" + b" " * 8 + kind + bytes(100) + magic
    head = head.ljust(512, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def tar(*members: tuple[str, bytes], end: bytes = bytes(1024)) -> bytes:
    out = b""
    for name, data in members:
        out += tar_header(name.encode(), b"%011o" % len(data)) + _padded(data)
    return out + end
