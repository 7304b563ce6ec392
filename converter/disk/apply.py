"""Writing another partition table onto a disk, while nothing on it is in use (BOOT-6).

That is done in the machine that has the disk, or else on the overlay, which no machine has then:
a disk of a running machine cannot grow, and a kernel reads no new table while it uses partitions
of the old one. The overlay is ours alone and is published only when it is whole: nothing is lost
if this ends half-way; even so each piece is written before the next is begun, as `conversion`
wants it. What is to be written is shown to parted first, which must see the partitions that were
planned: a second reader, that shares nothing with what made the table.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from converter import process
from converter.confinement import Confinement, linked
from converter.disk import libparted
from converter.errors import DefectError
from converter.model import TableType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from converter.guest.protocol import Disks
    from converter.model import ConvertTable

_LABELS: Final = {TableType.MBR: "msdos", TableType.GPT: "gpt"}


def write_in_place(machine: Disks, change: ConvertTable, *, directory: Path) -> bool:
    """Do `change` in the machine that has the disk; False where it is still to be done.

    Nothing is mounted there. Scratch files go to `directory`. Raises as `write_table` does.
    """
    prove(change, directory=directory)
    return machine.rewrite(change.path, change.pieces, size=change.size)


def write_table(overlay: Path, change: ConvertTable, *, directory: Path) -> None:
    """Do `change` to the qcow2 `overlay`, which no machine has.

    What it lies on is in `directory`, or a link there leads to it; scratch files go there, too.

    Raises `DefectError` ``table-unproven`` when parted reads anything else than was planned.
    """
    prove(change, directory=directory)
    confinement = Confinement(read=linked(directory), written=(overlay,))
    resize = ["qemu-img", "resize", "-q", "-f", "qcow2", str(overlay), str(change.size)]
    process.run(resize, confinement=confinement)
    for offset, data in change.pieces:
        write = ["-c", f"write -q -s /dev/stdin {offset} {len(data)}", "-c", "flush"]
        argv = ["qemu-io", "-f", "qcow2", *write, str(overlay)]
        process.run(argv, stdin=data, confinement=confinement)


def prove(change: ConvertTable, *, directory: Path) -> None:
    """Let parted read the table that `change` writes, from a sparse file with nothing else in it.

    Raises `DefectError` ``table-unproven``.
    """
    with tempfile.NamedTemporaryFile(dir=directory, suffix=".table") as file:
        file.truncate(change.size)
        for offset, data in change.pieces:
            file.seek(offset)
            file.write(data)
        file.flush()
        found = libparted.read_table(Path(file.name))
    planned = (
        _LABELS[change.table],
        {part.number: (part.start, part.size) for part in change.partitions},
    )
    if found != planned:
        raise DefectError(
            "table-unproven",
            f"{change.path}: parted sees {_shown(*found)} instead of {_shown(*planned)}",
            hint="this is a defect of converter: please report it with the --log file",
        )


def _shown(label: str, partitions: dict[int, tuple[int, int]]) -> str:
    rows: Iterable[str] = (
        f"{number}: {start}+{size}" for number, (start, size) in sorted(partitions.items())
    )
    return f"{label} ({', '.join(rows)})"
