"""The shape of a step, and what it works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from converter.model import Licence

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.disk.conversion import Conversion
    from converter.disk.windows_conversion import WindowsConversion
    from converter.guest.recording import RecordingGuest
    from converter.inspection.storage import Storage
    from converter.model import BootMode, Facts
    from converter.provision import Provided


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for (`Request`); `conversion` is what the table that was asked for means.

    `windows_conversion` is the same of a Windows. `payloads` are those of the driver store that the
    guest is to get. `licence` is whose licence it has, `unattend` the answer file that was given.
    """

    boot_mode: BootMode | None = None
    generalize: bool = False
    conversion: Conversion | None = None
    windows_conversion: WindowsConversion | None = None
    payloads: tuple[Provided, ...] = ()
    licence: Licence = Licence.BYOL
    unattend: bytes | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What steps work on: the guest they change, what it is, its disks, and what is asked for."""

    guest: RecordingGuest
    facts: Facts
    storage: Storage
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of change: whether it applies to a guest, and how it is planned."""

    name: str
    summary: str
    applies: Callable[[Facts], bool]
    run: Callable[[Context], None]
