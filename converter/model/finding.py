"""What is said about a guest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters: an error refuses the guest."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is worth saying about a guest.

    `service_message` is the text VM Import/Export gives for the same fault, where it has one.
    """

    severity: Severity
    code: str
    message: str
    hint: str = ""
    service_message: str = ""
