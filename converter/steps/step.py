"""The shape of a step, and what it works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.guest.recording import RecordingGuest
    from converter.inspection.storage import Storage
    from converter.model import Facts


@dataclass(frozen=True, slots=True)
class Context:
    """What steps work on: the guest they change, what it is, and its disks."""

    guest: RecordingGuest
    facts: Facts
    storage: Storage


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of change: whether it applies to a guest, and how it is planned."""

    name: str
    summary: str
    applies: Callable[[Facts], bool]
    run: Callable[[Context], None]
