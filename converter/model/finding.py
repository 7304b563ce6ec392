"""What is said about a guest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Characters of a message: names in an image may be as long as the image.
_LONGEST: Final = 2000
_END: Final = 400


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
    left_out = len(message) - _LONGEST
    if left_out <= 0:
        return message
    begin, end = message[: _LONGEST - _END], message[-_END:]
    return f"{begin} … ({left_out} characters are left out) … {end}"
