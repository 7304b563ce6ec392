"""`converter explain`: what a code means, and what to do; it works where the engine does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.cli import output
from converter.codes import OF_INPUT, catalogue, close_to
from converter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.codes import Entry


def explain(code: str, *, as_json: bool) -> int:
    """Print what is known of `code`. Raises `UsageError` ``code-unknown``."""
    entry = catalogue().get(code)
    if entry is None:
        near = close_to(code)
        raise UsageError(
            "code-unknown",
            f"{code}: no finding and no error has this code",
            hint=f"perhaps {', '.join(near)}" if near else "docs/errors.md has all of them",
        )
    if as_json:
        output.show_json(_as_json(entry))
        return 0
    for line in _lines(entry):
        output.show(line)
    return 0


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "code": entry.code,
        "kind": entry.kind,
        "exit_code": entry.exit_code,
        "policy": entry.policy,
        "also": entry.also,
        "needs_appliance": entry.needs_appliance,
        "meaning": entry.meaning,
        "cause": entry.cause,
        "cure": entry.cure,
        "service_messages": entry.service,
    }


def _lines(entry: Entry) -> Iterator[str]:
    """Give one line a paragraph: a command in it can be copied as it is."""
    exits = "" if entry.exit_code is None else f" (exit {entry.exit_code})"
    yield f"{entry.code}: {entry.verdict}{exits}"
    yield f"  {entry.meaning}"
    if entry.cause:
        yield f"  cause: {entry.cause}"
    if entry.cure:
        yield f"  what to do: {entry.cure}"
    for text in entry.service:
        yield f"  the service says: {text}"
    if entry.kind in OF_INPUT and not entry.needs_appliance:
        yield "  it is told at once, before the guest is opened"
