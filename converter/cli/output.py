"""Everything that is printed: answers on stdout, complaints on stderr.

Guest strings are shown with control characters escaped, so that an image cannot write to the
terminal of who looks at it.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from converter.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from converter.errors import ConversionError
    from converter.model import Finding

_PLAIN: Final = frozenset("\n\t")


def printable(text: str) -> str:
    """Give `text` with every control, format and surrogate character escaped."""
    return "".join(
        character
        if character in _PLAIN or not unicodedata.category(character).startswith("C")
        else character.encode("unicode_escape").decode()
        for character in text
    )


def show(text: str) -> None:
    """Print a line of the answer."""
    print(printable(text))


def show_json(document: Any) -> None:  # noqa: ANN401 - any JSON document
    """Print the answer as the one JSON document on stdout."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=True)
    print()


def show_tree(document: Any, *, indent: int = 0) -> None:  # noqa: ANN401 - any JSON document
    """Print a JSON-like document as indented `name: value` lines, empty values left out."""
    pad = "  " * indent
    items = document.items() if isinstance(document, dict) else (("-", item) for item in document)
    for name, value in items:
        label = name if name == "-" else f"{name}:"
        if isinstance(value, dict | list | tuple):
            if (
                value
                and all(isinstance(item, str | int) for item in value)
                and not isinstance(value, dict)
            ):
                show(f"{pad}{label} {', '.join(str(item) for item in value)}")
            elif value:
                show(f"{pad}{label}")
                show_tree(value, indent=indent + 1)
        elif value not in (None, ""):
            show(f"{pad}{label} {value}")


def show_findings(findings: Iterable[Finding]) -> None:
    """Print findings for a person, the worst first."""
    ranks = list(Severity)
    for finding in sorted(findings, key=lambda finding: ranks.index(finding.severity)):
        show(f"{finding.severity.value}: {finding.message} [{finding.code}]")
        if finding.hint:
            show(f"    {finding.hint}")
        if finding.service_message:
            show(f"    the service says: {finding.service_message}")


def warn(text: str) -> None:
    """Print a line on stderr."""
    print(printable(f"converter: {text}"), file=sys.stderr)


def complain(error: ConversionError) -> None:
    """Print on stderr why the work ended and what to do."""
    warn(f"{error.message} [{error.code}]")
    if error.hint:
        warn(f"  {error.hint}")


def finding_as_json(finding: Finding) -> dict[str, str]:
    """Give a finding as the contract has it."""
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "message": finding.message,
        "hint": finding.hint,
        "service_message": finding.service_message,
    }


def error_as_json(error: ConversionError) -> dict[str, Any]:
    """Give an error as a JSON document."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
    }
