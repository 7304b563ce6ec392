"""What is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from converter.model.storage import TableType


class Policy(StrEnum):
    """What is refused: what cannot be converted (`open`), or what the service refuses (`aws`)."""

    OPEN = "open"
    AWS = "aws"


class BootMode(StrEnum):
    """RegisterImage's BootMode values that an image can be made for."""

    LEGACY_BIOS = "legacy-bios"
    UEFI = "uefi"


class Licence(StrEnum):
    """Who provides the licence of the operating system (ImportImage's LicenseType)."""

    AWS = "AWS"
    BYOL = "BYOL"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of a guest, whatever it is read from and whether it is written or not.

    `as_is`: it is read and handed off, and nothing in it is changed (OUT-4). `agent`: it gets the
    Systems Manager agent. `drivers` is the driver store, None for the user's own. `licence` is None
    for what the guest's kind gets by default, `unattend` is the content of the answer file of a
    Windows that sysprep prepared, None for one made for it. `trim`: what its filesystems do not use
    is left out.
    """

    policy: Policy = Policy.OPEN
    boot_mode: BootMode | None = None
    table: TableType | None = None
    generalize: bool = False
    as_is: bool = False
    agent: bool = True
    drivers: Path | None = None
    licence: Licence | None = None
    unattend: bytes | None = None
    trim: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """Validated intent of one conversion."""

    sources: tuple[Path, ...]
    output: Path
    name: str
    wanted: Wanted
