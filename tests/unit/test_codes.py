"""The catalogue of codes is what the code gives: nothing is missing, stale, or said otherwise."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest

from converter import policy
from converter.codes import EXITS, REFUSALS, Kind, catalogue, close_to
from converter.guest.protocol import Code
from tests import codes
from tests.codes import DIFFERENCE, FINDING, HOLE

if TYPE_CHECKING:
    from converter.codes import Entry
    from tests.codes import Given, Lost

REFUSED: Final = "refused"
OUTCOMES: Final[dict[str, str]] = {
    "ConversionError": Kind.FAILURE,
    "GuestError": Kind.FAILURE,
    "DefectError": Kind.DEFECT,
    "UsageError": Kind.USAGE,
    "GuestRefusedError": REFUSED,
    "DamagedInputError": Kind.DAMAGED,
    DIFFERENCE: Kind.DAMAGED,
    "HostError": Kind.HOST,
    "InterruptionError": Kind.INTERRUPTION,
    "error": REFUSED,
    "warning": Kind.WARNING,
    "info": Kind.INFO,
}
# What is made as one thing and passed on as another.
PASSED_ON: Final[dict[str, str]] = {
    # A file of the guest that is not what it must be refuses the guest (inspection, steps.order).
    **dict.fromkeys(Code.CURES, REFUSED),
    # The service refuses it (policy.under).
    **dict.fromkeys(policy.REFUSED_BY_SERVICE, REFUSED),
    # A guest goes without what the store does not have whole (provision).
    **dict.fromkeys(
        ("payload-damaged", "signature-wrong", "store-invalid", "store-unknown"), Kind.WARNING
    ),
}
# Their messages say all: the guest's own state is nobody's to mend, or they never reach a user.
WITHOUT_HINT: Final = {"GuestError", "InterruptionError", DIFFERENCE}


@cache
def scanned() -> tuple[tuple[Given, ...], tuple[Lost, ...]]:
    return codes.scan()


@cache
def given() -> dict[str, list[Given]]:
    found: dict[str, list[Given]] = defaultdict(list)
    for item in scanned()[0]:
        found[item.code].append(item)
    return found


def outcomes(code: str) -> set[str]:
    """What the code makes of it."""
    found = {
        str(OUTCOMES[name])
        for item in given()[code]
        for name in (item.severities if item.kind == FINDING else [item.kind])
    }
    return found | ({str(PASSED_ON[code])} if code in PASSED_ON else set())


def told(entry: Entry) -> set[str]:
    """What the catalogue says of it."""
    kinds = (entry.kind, *entry.also)
    return {REFUSED if kind in REFUSALS else str(kind) for kind in kinds}


def service(code: str) -> set[str]:
    return {text.replace(HOLE, "X") for item in given()[code] for text in item.service}


def has_findings(code: str) -> bool:
    return any(item.kind == FINDING for item in given()[code])


def row(code: str) -> str:
    """What is to be added for a code that the catalogue lacks."""
    order = [REFUSED, *(str(kind) for kind in Kind)]
    first, *others = sorted(outcomes(code), key=order.index)
    file = "guest.toml (or container.toml)" if first == REFUSED else f"{first}.toml"
    lines = [
        f"converter/data/codes/{file}, for {given()[code][0].place}:",
        "",
        f"[{code}]",
        *(f'{field} = "…"' for field in ("meaning", "cause", "cure")),
    ]
    if service(code):
        lines.append(f"service = {sorted(service(code))}".replace("'", '"'))
    if others:
        lines.append(f"also = {others}".replace("'", '"'))
        lines.append('policy = "aws"   # if only that policy refuses')
    return "\n".join([*lines, "", "then `make docs`"])


def test_every_code_can_be_followed_to_where_it_is_written() -> None:
    lost = scanned()[1]
    assert not lost, "write the code out where it is given: " + "; ".join(map(str, lost))


def test_every_code_is_in_the_catalogue() -> None:
    missing = sorted(set(given()) - set(catalogue()))
    assert not missing, "\n\n".join(["the catalogue lacks codes", *map(row, missing)])


def test_no_code_is_in_the_catalogue_that_nothing_gives() -> None:
    stale = [f"{c}: {e.kind}.toml" for c, e in catalogue().items() if c not in given()]
    assert not stale, f"nothing gives these codes any more; remove their tables: {stale}"


def test_the_catalogue_says_of_each_code_what_becomes_of_it() -> None:
    wrong = [
        f"{code}: converter/data/codes/{entry.kind}.toml (and `also`) says"
        f" {sorted(told(entry))}; it is {sorted(outcomes(code))} at"
        f" {', '.join(item.place for item in given()[code])}"
        for code, entry in catalogue().items()
        if code in given() and told(entry) != outcomes(code)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_services_texts_are_the_same() -> None:
    """An error carries none: there the catalogue is the only place for it."""
    wrong = [
        f"{code}: converter/data/codes/{entry.kind}.toml has service = {sorted(entry.service)};"
        f" the code gives {sorted(service(code))} (X: what differs from guest to guest)"
        for code, entry in catalogue().items()
        if (service(code) or has_findings(code)) and set(entry.service) != service(code)
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_grave_has_a_hint_wherever_it_is_given() -> None:
    without = [
        f"{item.place}: {code}"
        for code, items in given().items()
        for item in items
        if not item.has_hint
        and item.kind not in WITHOUT_HINT
        and not (item.kind == FINDING and item.severities == {"info"})
    ]
    assert not without, f"say in a hint what to do: {without}"


@pytest.mark.parametrize("code", catalogue())
def test_an_entry_is_complete(code: str) -> None:
    entry = catalogue()[code]
    assert entry.meaning.endswith(".")
    if entry.kind is not Kind.INFO:
        assert entry.cause, "say how it comes about"
        assert entry.cure, "say what to do"
    assert entry.kind not in entry.also
    assert entry.policy in (None, "aws")
    if entry.policy:
        assert entry.kind in REFUSALS
    for text in (entry.meaning, entry.cause, entry.cure, *entry.service):
        assert text.isprintable()
        assert text == text.strip()


def test_exit_codes_are_the_contracts() -> None:
    assert list(EXITS.values()) == [3, 3, 4, 2, 5, 6, 1, 130]
    assert {entry.exit_code for entry in catalogue().values()} == {*EXITS.values(), None}


def test_what_is_told_before_the_appliance_starts() -> None:
    told_early = {code for code, entry in catalogue().items() if not entry.needs_appliance}
    assert {"vmdk-rdm", "truncated", "too-many-disks"} <= told_early
    assert told_early.isdisjoint({"os-unknown", "several-roots", "initramfs-unreadable"})


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("vmdk-subformat", "refused under aws; information under open"),
        ("vmdk-rdm", "refused under aws and open"),
        ("filesystem-dirty", "refused under aws and open; warning in other cases"),
        ("payload-damaged", "damaged input; warning in other cases"),
        ("disk-full", "this machine lacks something"),
    ],
)
def test_a_verdict_in_words(code: str, verdict: str) -> None:
    assert catalogue()[code].verdict == verdict


def test_codes_that_are_written_alike() -> None:
    assert close_to("vmdk-subfromat")[0] == "vmdk-subformat"
    assert close_to("xyzzy") == []
