"""A row of the table of refusals: what is given to the command, and what it must say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from converter.codes import catalogue

AWS = ("--policy", "aws")
CONVERTIBLE, REFUSED, DAMAGED = 0, 3, 4

# Makes what is given to the command in a directory: a container, or several disks.
Build = Callable[[Path], Sequence[Path]]


@dataclass(frozen=True)
class Row:
    """Something that is refused.

    `refused` are the codes of all errors; `says` are texts, the service's among them, each in one
    of the errors; `warned` are codes that are told beside.
    """

    name: str
    build: Build
    refused: tuple[str, ...]
    options: tuple[str, ...] = ()
    status: int = REFUSED
    says: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()

    @property
    def starts(self) -> int:
        """How often the appliance is started for it: not at all where all shows without."""
        entries = [catalogue()[code] for code in self.refused]
        return int(not entries or any(entry.needs_appliance for entry in entries))
