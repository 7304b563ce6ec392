"""Everything that is printed: answers on stdout, complaints on stderr.

Guest strings are shown with control characters escaped, so that an image cannot write to the
terminal of who looks at it; lines that a string brings with it are indented, so that none of them
looks like one of ours. Whoever reads may go away (a closed pipe): the work goes on without them.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from typing import IO, TYPE_CHECKING, Any, Final

from converter.errors import (
    GuestRefusedError,
    HostError,
    InputError,
    InterruptionError,
    UsageError,
)
from converter.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converter.errors import ConversionError
    from converter.model import Finding

_PLAIN: Final = frozenset("\n\t")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str) -> str:
    """Give `text` with every control, format and surrogate character escaped."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if character not in _PLAIN and unicodedata.category(character) in _UNSEEN
        else character
        for character in text
    )


def indented(text: str) -> str:
    """Give `text` as it is printed: the lines that it brings with it are seen to belong to it."""
    return "\n    ".join(printable(text).split("\n"))


def emit(stream: IO[str] | None, text: str) -> None:
    """Write a line to stdout or stderr."""
    _write(stream, indented(text))


def _write(stream: IO[str] | None, text: str) -> None:
    """Write `text` and an end of line, unless nobody reads any more.

    Where stderr cannot be written nobody can be told so, and the work goes on. Raises `HostError`
    ``answer-lost`` for stdout.
    """
    if stream is None:  # it was closed when the program started
        return
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except BrokenPipeError:
        _silence(stream)
    except OSError as error:
        _silence(stream)
        if stream is not sys.stderr:
            raise HostError(
                "answer-lost",
                f"the answer could not be written to stdout: {error.strerror}",
                hint="what the command made is there; free some space where its output goes, and"
                " ask again",
            ) from error


def _silence(stream: IO[str]) -> None:
    """Let what is written to `stream` from now on, and what it still holds, vanish."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def show(text: str) -> None:
    """Print a line of the answer."""
    emit(sys.stdout, text)


def show_json(document: Any) -> None:  # noqa: ANN401 - any JSON document
    """Print the answer as the one JSON document on stdout."""
    _write(sys.stdout, json.dumps(document, indent=2, ensure_ascii=True))


def show_tree(document: Any, *, indent: int = 0) -> None:  # noqa: ANN401 - any JSON document
    """Print a JSON-like document as indented `name: value` lines, empty values left out."""
    pad = "  " * indent
    items = (
        [(f"{name}:", value) for name, value in document.items()]
        if isinstance(document, dict)
        else [("-", value) for value in document]
    )
    for label, value in items:
        if value in (None, "", [], {}, ()):
            continue
        if isinstance(value, dict) or (isinstance(value, list | tuple) and not _is_flat(value)):
            show(f"{pad}{label}")
            show_tree(value, indent=indent + 1)
        elif isinstance(value, list | tuple):
            show(f"{pad}{label} {', '.join(str(item) for item in value)}")
        else:
            show(f"{pad}{label} {value}")


def _is_flat(values: Iterable[Any]) -> bool:
    return not any(isinstance(value, dict | list | tuple) for value in values)


def show_findings(findings: Iterable[Finding]) -> None:
    """Print findings for a person, the worst first."""
    for line in _finding_lines(findings):
        show(line)


def _finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    ranks = list(Severity)
    for finding in sorted(findings, key=lambda finding: ranks.index(finding.severity)):
        yield f"{finding.severity.value}: {finding.message} [{finding.code}]"
        if finding.hint:
            yield f"    {finding.hint}"
        if finding.service_message:
            yield f"    the service says: {finding.service_message}"


def warn(text: str) -> None:
    """Print a line on stderr."""
    emit(sys.stderr, f"converter: {text}")


def complain(error: ConversionError) -> None:
    """Print on stderr why the work ended and what to do."""
    refused = isinstance(error, GuestRefusedError)
    if isinstance(error, InputError) and (refused or len(error.findings) > 1):
        warn("the guest is refused" if refused else "the input is damaged")
        for line in _finding_lines(error.findings):
            emit(sys.stderr, f"  {line}")
        warn("`converter explain CODE` tells more of each")
        return
    warn(f"{error.message} [{error.code}]")
    if error.hint:
        warn(f"  {error.hint}")
    if not isinstance(error, UsageError | InterruptionError):
        warn(f"  more: converter explain {error.code}")


def error_as_json(error: ConversionError) -> dict[str, Any]:
    """Give an error as a JSON document; `findings` are all that is wrong with the input."""
    findings = error.findings if isinstance(error, InputError) else ()
    return {
        "error": {
            "code": error.code,
            "message": _well_formed(error.message),
            "hint": _well_formed(error.hint),
            "exit_code": error.exit_code,
        },
        "findings": [finding_as_json(finding) for finding in findings],
    }


def finding_as_json(finding: Finding) -> dict[str, str]:
    """Give a finding as the contract has it."""
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "message": _well_formed(finding.message),
        "hint": _well_formed(finding.hint),
        "service_message": _well_formed(finding.service_message),
    }


def _well_formed(text: str) -> str:
    """Give a text whose undecodable bytes are spelt out: JSON has no place for surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()
