"""What is said about a guest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Characters of a message: names in an image may be as long as the image.
_LONGEST: Final = 2000
_BEGIN, _END = 1500, 400


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

    def __post_init__(self) -> None:
        """Bound the message."""
        object.__setattr__(self, "message", shortened(self.message))


def shortened(message: str) -> str:
    """Give a message of bounded length: of a longer one the beginning and the end."""
    if len(message) <= _LONGEST:
        return message
    left_out = len(message) - _BEGIN - _END
    return f"{message[:_BEGIN]} … ({left_out} characters are left out) … {message[-_END:]}"
