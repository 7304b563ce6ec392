"""Partition tables: MBR with its chain of logical partitions, and GPT with its backup.

The MBR is that of the PC BIOS: 440 bytes of boot code, a 32-bit disk signature, four entries, and
55 AA. Sources: UEFI specification 2.10, section 5.2 (MBR, protective MBR) and 5.3 (GPT); for the
chain of extended boot records, what Linux does (block/partitions/msdos.c). Nothing but the tables
is read, and no value in them is used before it is checked against the size of the disk.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from converter.disk.boot_code import AREA, SIGNATURE, identify, is_filesystem, leads_to_loader
from converter.formats import FormatError
from converter.model import Disk, Partition, TableType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, int], bytes]

_MBR_SIZE: Final = 512
_ENTRIES: Final = 446
_ENTRY: Final = struct.Struct("<B3xB3xII")
_ACTIVE: Final = 0x80
_EXTENDED: Final = frozenset({0x05, 0x0F, 0x85})
_PROTECTIVE: Final = 0xEE
# "Advanced format, 4K native": what tables of such disks count in.
ADVANCED: Final = 4096
# Linux gives numbers to at most 255 partitions of a disk.
_LOGICAL_LIMIT: Final = 255

_GPT: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_GPT_MAGIC: Final = b"EFI PART"
_GPT_HEADER: Final = 92
# UEFI 5.3.1 reserves 16 KiB for entries; partitioners that make more stay far below this.
_GPT_TABLE_LIMIT: Final = 1 << 20
_GPT_ENTRY: Final = struct.Struct("<16s16sQQQ72s")
_LEGACY_BOOTABLE: Final = 1 << 2


class SectorSizeError(FormatError):
    """The table makes sense with sectors of `sector_size` bytes."""

    def __init__(self, message: str, sector_size: int) -> None:
        """See the class."""
        super().__init__(message)
        self.sector_size = sector_size


class BackupOnlyError(FormatError):
    """A GPT whose only sound copy is the one at the end of the disk: Linux does not look there.

    Linux, block/partitions/efi.c, find_valid_gpt: but with the parameter `gpt`.
    """


class CutOffError(FormatError):
    """The table makes sense on a larger disk, of at least `needed` bytes."""

    def __init__(self, message: str, needed: int) -> None:
        """See the class."""
        super().__init__(message)
        self.needed = needed


def read_table(read: Read, *, device: str, size: int, sector_size: int = 512) -> Disk:
    """Read the partition table of a disk of `size` bytes; `read` gives bytes by offset and length.

    A sound GPT counts where the MBR is protective or hybrid (UEFI 5.2.3). A disk without a table,
    or with a filesystem all over it, has the type `NONE`. Raises `FormatError` when there is a
    table that makes no sense: entries outside the disk or over each other, an endless chain, a GPT
    announced of which no copy is sound; and of these `CutOffError` when a partition, or a GPT, ends
    beyond the disk, `BackupOnlyError` when only a GPT's backup is sound, and `SectorSizeError` when
    a GPT counts in larger sectors.
    """
    if size < _MBR_SIZE or sector_size < _MBR_SIZE or sector_size & (sector_size - 1):
        raise FormatError(f"{device}: {size} bytes in sectors of {sector_size} are no disk")
    return _Reader(_checked(read, device, size), device, size, sector_size).disk()


def _checked(read: Read, device: str, size: int) -> Read:
    """Give a `read` that stays on the disk, and never gives less than was asked for."""

    def inside(offset: int, length: int) -> bytes:
        if offset < 0 or offset + length > size:
            raise FormatError(f"{device}: {length} bytes at {offset} are beyond its end, {size}")
        data = read(offset, length)
        if len(data) != length:
            raise FormatError(f"{device}: {len(data)} of {length} bytes at {offset} can be read")
        return data

    return inside


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of an MBR or extended boot record, in sectors as it is written there."""

    flags: int
    type: int
    start: int
    length: int

    @property
    def is_extended(self) -> bool:
        return self.type in _EXTENDED


def _parse_entries(record: bytes) -> tuple[_Entry, ...]:
    raw = _ENTRY.iter_unpack(record[_ENTRIES : _ENTRIES + 64])
    return tuple(_Entry(*fields) for fields in raw)


@dataclass(frozen=True, slots=True)
class _Header:
    """A GPT header that has passed its checks; places in sectors."""

    first: int
    last: int
    guid: uuid.UUID
    table: int
    count: int
    entry_size: int
    table_crc: int


@dataclass(frozen=True, slots=True)
class _Reader:
    """One disk whose table is being read."""

    read: Read
    device: str
    size: int
    sector: int

    @property
    def sectors(self) -> int:
        return self.size // self.sector

    def disk(self) -> Disk:
        mbr = self.read(0, _MBR_SIZE)
        signed = mbr[510:] == SIGNATURE
        entries = _parse_entries(mbr) if signed else ()
        if any(entry.type == _PROTECTIVE for entry in entries):
            return self._gpt(mbr)
        if not self._is_table(entries, mbr):
            return self._made(TableType.NONE, "", mbr, ())
        signature = int.from_bytes(mbr[AREA : AREA + 4], "little")
        partitions = tuple(self._mbr_partitions(entries, signature))
        self._check(partitions)
        return self._made(TableType.MBR, f"{signature:08x}", mbr, partitions)

    def _is_table(self, entries: tuple[_Entry, ...], mbr: bytes) -> bool:
        """Tell whether the entries of a boot sector are a table, and not the code of a loader.

        As in Linux, flags other than the active one show that they are not. A table under what
        was a filesystem's boot sector counts if its partitions are on the disk: boot loaders
        leave the area where that would have its parameters alone.
        """
        used = [entry for entry in entries if entry.type and entry.length]
        if not used or any(entry.flags not in (0, _ACTIVE) for entry in entries):
            return False
        inside = all(entry.start and entry.start + entry.length <= self.sectors for entry in used)
        return inside or not is_filesystem(mbr)

    def _made(
        self, table: TableType, identifier: str, mbr: bytes, partitions: tuple[Partition, ...]
    ) -> Disk:
        return Disk(
            device=self.device,
            size=self.size,
            table=table,
            identifier=identifier,
            boot_code=leads_to_loader(self.read, mbr, size=self.size, partitions=partitions),
            partitions=partitions,
            loader=identify(mbr),
        )

    def _fail(self, why: str) -> FormatError:
        return FormatError(f"{self.device}: {why}")

    # --- MBR --------------------------------------------------------------------------------------

    def _mbr_partitions(self, entries: tuple[_Entry, ...], signature: int) -> Iterator[Partition]:
        extended = [entry for entry in entries if entry.is_extended and entry.length]
        for number, entry in enumerate(entries, start=1):
            if entry.type and entry.length:
                found = self._partition(number, entry, signature)
                self._check_inside(found)
                yield found
        if len(extended) > 1:
            raise self._fail("its MBR has more than one extended partition")
        for entry in extended:
            yield from self._logical(entry, signature)

    def _partition(self, number: int, entry: _Entry, signature: int) -> Partition:
        # The kernel makes PARTUUID of an MBR partition from the signature and the number.
        return Partition(
            number=number,
            start=entry.start * self.sector,
            size=entry.length * self.sector,
            type=f"{entry.type:02x}",
            uuid=f"{signature:08x}-{number:02x}" if signature else "",
            active=entry.flags == _ACTIVE,
        )

    def _logical(self, extended: _Entry, signature: int) -> Iterator[Partition]:
        """Give the partitions in an extended one: each starts where its own record counts it."""
        number = 5
        for at, entries in self._chain(extended):
            for entry in entries:
                if not entry.is_extended:
                    moved = _Entry(entry.flags, entry.type, at + entry.start, entry.length)
                    self._check_logical(moved, extended)
                    yield self._partition(number, moved, signature)
                    number += 1

    def _chain(self, extended: _Entry) -> Iterator[tuple[int, list[_Entry]]]:
        """Follow the extended boot records; their links count from the extended partition."""
        at = extended.start
        seen: set[int] = set()
        while True:
            if at in seen or len(seen) == _LOGICAL_LIMIT:
                raise self._fail(f"its chain of logical partitions does not end (sector {at})")
            seen.add(at)
            record = self.read(at * self.sector, _MBR_SIZE)
            if record[510:] != SIGNATURE:
                return  # an extended partition that was never used
            entries = [e for e in _parse_entries(record)[:2] if e.type and e.length]
            yield at, entries
            links = [entry for entry in entries if entry.is_extended]
            if not links:
                return
            at = extended.start + links[0].start

    def _check_logical(self, entry: _Entry, extended: _Entry) -> None:
        end = extended.start + extended.length
        if not extended.start < entry.start < entry.start + entry.length <= end:
            raise self._fail(
                f"a logical partition at sector {entry.start}, {entry.length} sectors long, is not"
                f" in the extended partition, sectors {extended.start} to {end - 1}"
            )

    # --- GPT --------------------------------------------------------------------------------------

    def _gpt(self, mbr: bytes) -> Disk:
        faults: list[tuple[str, FormatError]] = []
        for name, sector in (("primary", 1), ("backup", self.sectors - 1)):
            try:
                header = self._header(sector)
                partitions = self._gpt_partitions(header)
            except FormatError as error:
                faults.append((name, error))
            else:
                self._check(partitions)
                if faults:
                    raise BackupOnlyError(
                        f"{self.device}: only the GPT at the disk's end is sound ({faults[0][1]})"
                    )
                return self._made(TableType.GPT, str(header.guid), mbr, partitions)
        for _, fault in faults:
            if isinstance(fault, CutOffError):
                raise fault
        if self.sector != ADVANCED and self._has_gpt_of(ADVANCED):
            raise SectorSizeError(
                f"{self.device}: its GPT counts in sectors of {ADVANCED} bytes", ADVANCED
            )
        why = "; ".join(f"{name}: {fault}" for name, fault in faults)
        raise self._fail(f"its MBR announces a GPT, but no copy is sound ({why})")

    def _has_gpt_of(self, sector_size: int) -> bool:
        """Tell whether there is a sound GPT with sectors of another size."""
        other = replace(self, sector=sector_size)
        for sector in (1, other.sectors - 1):
            with suppress(FormatError):
                other._gpt_partitions(other._header(sector))
                return True
        return False

    def _header(self, sector: int) -> _Header:
        raw = self.read(sector * self.sector, self.sector)
        (signature, _, length, crc, _, own, other, first, last, guid, table, count, entry_size,
         table_crc) = _GPT.unpack_from(raw)  # fmt: skip
        if signature != _GPT_MAGIC:
            raise self._fail(f"sector {sector} does not start with EFI PART")
        if not _GPT_HEADER <= length <= self.sector:
            raise self._fail(f"a GPT header of {length} bytes")
        blanked = raw[:16] + bytes(4) + raw[20:length]
        if zlib.crc32(blanked) != crc:
            raise self._fail(f"the checksum of the GPT header in sector {sector} does not match")
        if own != sector:
            raise self._fail(f"the GPT header in sector {sector} says it is in {own}")
        if entry_size < 128 or entry_size % 8 or not 0 < count * entry_size <= _GPT_TABLE_LIMIT:
            raise self._fail(f"a GPT of {count} entries of {entry_size} bytes")
        if first > last:
            raise self._fail(f"a GPT for sectors {first} to {last}")
        if last >= self.sectors:
            message = f"{self.device}: a GPT for sectors {first} to {last} of {self.sectors}"
            raise CutOffError(message, (max(last, other) + 1) * self.sector)
        return _Header(first, last, uuid.UUID(bytes_le=guid), table, count, entry_size, table_crc)

    def _gpt_partitions(self, header: _Header) -> tuple[Partition, ...]:
        table = self.read(header.table * self.sector, header.count * header.entry_size)
        if zlib.crc32(table) != header.table_crc:
            raise self._fail(f"the checksum of the GPT entries in sector {header.table} is wrong")
        found = []
        for index in range(header.count):
            raw = _GPT_ENTRY.unpack_from(table, index * header.entry_size)
            if any(raw[0]):
                found.append(self._gpt_partition(index + 1, raw, header))
        return tuple(found)

    def _gpt_partition(
        self, number: int, raw: tuple[bytes, bytes, int, int, int, bytes], header: _Header
    ) -> Partition:
        kind, unique, first, last, attributes, name = raw
        if not header.first <= first <= last <= header.last:
            raise self._fail(
                f"GPT partition {number} has the sectors {first} to {last}; there are"
                f" {header.first} to {header.last} for partitions"
            )
        return Partition(
            number=number,
            start=first * self.sector,
            size=(last + 1 - first) * self.sector,
            type=str(uuid.UUID(bytes_le=kind)),
            name=name.decode("utf-16-le", "replace").partition("\0")[0],
            uuid=str(uuid.UUID(bytes_le=unique)),
            active=bool(attributes & _LEGACY_BOOTABLE),
        )

    # --- both -------------------------------------------------------------------------------------

    def _check(self, partitions: tuple[Partition, ...]) -> None:
        """Raise `FormatError` where a partition is not on the disk, or two share space."""
        end = 0
        before = 0
        for partition in sorted(partitions, key=lambda p: p.start):
            number, last = partition.number, partition.start + partition.size
            self._check_inside(partition)
            if holds_others(partition):
                continue
            if partition.start < end:
                raise self._fail(f"the partitions {before} and {number} share space")
            end, before = last, number

    def _check_inside(self, partition: Partition) -> None:
        """Raise `FormatError` for a partition that is not on the disk."""
        end = partition.start + partition.size
        message = (
            f"partition {partition.number}, bytes {partition.start} to {end - 1}, is not on the"
            f" disk of {self.size} bytes"
        )
        if partition.start == 0:
            raise self._fail(message)
        if end > self.size:
            raise CutOffError(f"{self.device}: {message}", end)


def holds_others(partition: Partition) -> bool:
    """Tell whether a partition is an extended one, whose logical partitions have their own."""
    return len(partition.type) == 2 and int(partition.type, 16) in _EXTENDED
