"""What is judged before an appliance starts: containers, partition tables, what lies where.

Every disk that can be opened is looked at, by a few reads of ours (`source.blocks`), and all that
is wrong is told at once. The facts are those that an appliance gives as well, under the same names,
and so are the rules: who meets a fault again, later, says the same of it.
"""

from __future__ import annotations

from contextlib import suppress
from string import ascii_lowercase
from typing import TYPE_CHECKING, Final

from converter import answer_file
from converter.disk.table import (
    ADVANCED,
    CutOffError,
    SectorSizeError,
    holds_others,
    read_table,
)
from converter.errors import DamagedInputError, GuestRefusedError
from converter.formats import FormatError, signatures, superblock
from converter.inspection.health import judge_layout, judge_start
from converter.inspection.storage import Storage, first_table_damaged, without_table
from converter.model import DiskFormat, Filesystem, Policy
from converter.policy import is_refused, judge_source, tolerated
from converter.source import survey
from converter.source.blocks import VirtualDisk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from converter.errors import Faults
    from converter.model import Disk, Finding, Source, SourceDisk, Wanted

_LETTERS: Final = len(ascii_lowercase)
# Linux has no more of a disk; a GPT may list thousands.
_MOST_PARTITIONS: Final = 256


def open_and_judge(
    paths: Sequence[Path], wanted: Wanted, *, work: Path, later: bool = False
) -> tuple[Source, tuple[Finding, ...]]:
    """Open a source, and give what is to be said of it before anything in it is mounted.

    Raises what `open_source` does, also for disks that were cut off or whose table makes no sense;
    with all other findings. What takes long to verify may be left for `later`, in `Source.listed`.
    """
    unpacks = wanted.policy is not Policy.AWS
    opening = survey(paths, work=work if unpacks else None)
    storage = read_layout(opening.places, opening.faults)
    container = judge_source(opening.source, wanted.policy, disks=len(opening.places))
    layout = judge_layout(storage)
    # Of damaged disks, that nothing starts them may be the consequence.
    start = () if opening.faults.errors else judge_start(storage)
    answers = answer_file.judge(wanted)
    if wanted.as_is:  # it may be what nobody else can read
        layout, start, answers = tolerated(layout), tolerated(start), ()
    is_bad = bool(opening.faults.errors) or is_refused((*container, *layout, *start, *answers))
    source = opening.verify(later=later or is_bad)
    findings = (*container, *layout, *answers, *(() if opening.faults.errors else start))
    opening.faults.raise_all(findings)
    return source, findings


def open_readable(paths: Sequence[Path], *, work: Path) -> Source:
    """Open a source of which nothing is judged but that it can be read.

    Raises as `open_and_judge` does.
    """
    opening = survey(paths, work=work)
    read_layout(opening.places, opening.faults)
    return opening.sound()


def read_layout(places: Sequence[SourceDisk | None], faults: Faults) -> Storage:
    """Read the tables of disks, and what their partitions begin with.

    None stands for a disk that is known to be no good. What is wrong with a disk is kept in
    `faults`; a table that makes no sense is no fault of any but the first disk, as Linux has it.
    """
    disks: list[Disk] = []
    filesystems: list[Filesystem] = []
    unreadable: list[tuple[str, str]] = []
    labels: dict[str, str] = {}
    for number, place in enumerate(places):
        if place is None:
            continue
        device = device_name(number)
        labels[device] = place.label
        with faults.kept(), VirtualDisk(place) as opened:
            try:
                disk = read_table(opened.read, device=device, size=opened.size)
            except FormatError as error:
                _refuse_table(place, error, is_first=number == 0)
                unreadable.append((device, str(error)))
                disk = without_table(device, opened.size)
            else:
                found = [*_filesystems(opened, disk)]
                filesystems += found
                if not disk.partitions and place.format is DiskFormat.RAW:
                    _refuse_cut_off(place, opened, found[0].type)
                elif not any(filesystem.type for filesystem in found):
                    _refuse_larger_sectors(place, opened, disk)
            disks.append(disk)
    return Storage(
        tuple(disks), tuple(filesystems), (), unreadable=tuple(unreadable), labels=labels
    )


def device_name(number: int) -> str:
    """Give the name that Linux, and so the appliance, has for the disk of that number."""
    name = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, _LETTERS)
        name = ascii_lowercase[letter] + name
    return f"/dev/sd{name}"


def _refuse_table(disk: SourceDisk, error: FormatError, *, is_first: bool) -> None:
    """Raise `DamagedInputError` for a table that the machine cannot have had, or not started with.

    And `GuestRefusedError` ``sector-size`` for one that counts in other sectors than EBS has.

    A raw file is the one format that does not say itself how large its disk was.
    """
    if isinstance(error, CutOffError) and disk.format is DiskFormat.RAW:
        raise DamagedInputError(
            "truncated",
            f"{disk.label}: ends at byte {disk.virtual_size}, but its partition table speaks of"
            f" byte {error.needed}",
            hint="the file was cut off: copy or export it again",
        ) from error
    if isinstance(error, SectorSizeError):
        raise _other_sectors(disk, error.sector_size) from error
    if is_first:
        raise first_table_damaged(error) from error


def _other_sectors(disk: SourceDisk, sector_size: int) -> GuestRefusedError:
    return GuestRefusedError(
        "sector-size",
        f"{disk.label}: its partition table counts in sectors of {sector_size} bytes, EBS has 512",
        hint="copy its partitions to a disk with sectors of 512 bytes, in the machine, and export"
        " that",
    )


def _refuse_larger_sectors(place: SourceDisk, opened: VirtualDisk, disk: Disk) -> None:
    """Raise `GuestRefusedError` for an MBR whose partitions are there if sectors are larger."""
    with suppress(FormatError):
        other = read_table(opened.read, device=disk.device, size=opened.size, sector_size=ADVANCED)
        if any(found.type for found in _filesystems(opened, other)):
            raise _other_sectors(place, ADVANCED)


def _refuse_cut_off(disk: SourceDisk, opened: VirtualDisk, kind: str) -> None:
    """Raise `DamagedInputError` for a disk that is shorter than the filesystem all over it.

    A raw file is the one format that does not say itself how large its disk was.
    """
    read = _part(opened, 0, opened.size)
    if signatures.is_raid_member(read, opened.size):
        return  # what it begins with is on all disks of the array
    needed = superblock.size(kind, read)
    if needed > disk.virtual_size:
        raise DamagedInputError(
            "truncated",
            f"{disk.label}: ends at byte {disk.virtual_size}, but the {kind} on it has {needed}"
            " bytes",
            hint="the file was cut off: copy or export it again",
        )


def _filesystems(opened: VirtualDisk, disk: Disk) -> Iterator[Filesystem]:
    """Give what lies on the partitions of a disk, or on all of it where it has none."""
    if not disk.partitions:
        yield _filesystem(opened, disk.device, 0, disk.size)
    for partition in disk.partitions[:_MOST_PARTITIONS]:
        if not holds_others(partition):
            name = f"{disk.device}{partition.number}"
            yield _filesystem(opened, name, partition.start, partition.size)


def _filesystem(opened: VirtualDisk, device: str, start: int, size: int) -> Filesystem:
    return Filesystem(device, signatures.identify(_part(opened, start, size), size))


def _part(opened: VirtualDisk, start: int, size: int) -> Callable[[int, int], bytes]:
    """Give how to read a part of a disk, fewer bytes at its end."""

    def read(offset: int, length: int) -> bytes:
        there = max(0, min(length, size - offset))
        return opened.read(start + offset, there) if there else b""

    return read
