"""What became of a guest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from converter.model.changes import Plan
    from converter.model.facts import Facts
    from converter.model.finding import Finding
    from converter.model.source import Source
    from converter.model.wanted import BootMode


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The EC2 devices the result has drivers for, as read from the result itself."""

    nvme: bool
    ena: bool
    xen_blk: bool
    xen_net: bool
    ixgbevf: bool


@dataclass(frozen=True, slots=True)
class Checksum:
    """A digest of a disk whose cost follows the data (see `handoff.checksum`)."""

    method: str
    value: str


@dataclass(frozen=True, slots=True)
class OutputDisk:
    """A disk image that was written, by its name in the output directory."""

    path: str
    virtual_size: int
    allocated_size: int
    checksum: Checksum


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a conversion: what the manifest and the HTML report are made from.

    `staged` are devices, by their names in `Capabilities`, that the guest installs drivers for when
    it first starts.
    """

    source: Source
    before: Facts
    after: Facts
    boot_mode: BootMode
    disks: tuple[OutputDisk, ...]
    capabilities: Capabilities
    plan: Plan
    findings: tuple[Finding, ...]
    staged: frozenset[str] = frozenset()
    timings: dict[str, float] = field(default_factory=dict)
