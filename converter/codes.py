"""The catalogue of codes: what every finding and every error means, and what to do about it.

It is data (`data/codes`, one file a kind; container.toml tells what the fields are), written for
whoever has a machine that does not convert. A test sees that it agrees with the code.
"""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import Final

import msgspec

from converter import errors
from converter.data import load
from converter.model import Policy  # noqa: TC001 - msgspec reads the annotations


class Kind(StrEnum):
    """What kind of thing a code is; each is a file of `data/codes`."""

    CONTAINER = "container"
    GUEST = "guest"
    DAMAGED = "damaged"
    USAGE = "usage"
    HOST = "host"
    FAILURE = "failure"
    DEFECT = "defect"
    INTERRUPTION = "interruption"
    WARNING = "warning"
    INFO = "info"


# How a command ends, where one of the kind ends it.
EXITS: Final[dict[Kind, int]] = {
    Kind.CONTAINER: errors.GuestRefusedError.exit_code,
    Kind.GUEST: errors.GuestRefusedError.exit_code,
    Kind.DAMAGED: errors.DamagedInputError.exit_code,
    Kind.USAGE: errors.UsageError.exit_code,
    Kind.HOST: errors.HostError.exit_code,
    Kind.FAILURE: errors.ConversionError.exit_code,
    Kind.DEFECT: errors.DefectError.exit_code,
    Kind.INTERRUPTION: errors.InterruptionError.exit_code,
}
_WORDS: Final = {
    Kind.CONTAINER: "refused",
    Kind.GUEST: "refused",
    Kind.DAMAGED: "damaged input",
    Kind.USAGE: "wrong usage",
    Kind.HOST: "this machine lacks something",
    Kind.FAILURE: "failure",
    Kind.DEFECT: "defect of converter",
    Kind.INTERRUPTION: "interrupted",
    Kind.WARNING: "warning",
    Kind.INFO: "information",
}
REFUSALS: Final = (Kind.CONTAINER, Kind.GUEST)
OF_INPUT: Final = (*REFUSALS, Kind.DAMAGED)


class Entry(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is known of one code."""

    code: str
    kind: Kind
    meaning: str
    cause: str = ""
    cure: str = ""
    service: tuple[str, ...] = ()
    policy: Policy | None = None
    also: tuple[Kind, ...] = ()
    appliance: bool | None = None

    @property
    def exit_code(self) -> int | None:
        """How a command ends with it; None if it ends none."""
        return EXITS.get(self.kind)

    @property
    def needs_appliance(self) -> bool:
        """Whether what is wrong with the input shows only in libguestfs' appliance."""
        return self.kind is Kind.GUEST if self.appliance is None else self.appliance

    @property
    def verdict(self) -> str:
        """What comes of it, in a few words."""
        word = _WORDS[self.kind]
        if self.kind in REFUSALS:
            word = f"{word} under {self.policy or 'aws and open'}"
        when = "under open" if self.policy else "in other cases"
        return "; ".join([word, *(f"{_WORDS[kind]} {when}" for kind in self.also)])


@cache
def catalogue() -> dict[str, Entry]:
    """Give all entries by their code, kind by kind, in each in the order of the alphabet."""
    return {
        code: msgspec.convert({"code": code, "kind": kind, **row}, Entry)
        for kind in Kind
        for code, row in sorted(load(f"codes/{kind}").items())
    }


def close_to(code: str) -> list[str]:
    """Give the codes that are written most like `code`, the likeliest first."""
    return get_close_matches(code, catalogue(), n=5, cutoff=0.6)
