"""The answer file that was given with --unattend: read, and judged before a guest is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from converter.errors import UsageError
from converter.guest.protocol import TEXT_LIMIT
from converter.model import Finding, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from converter.model import Wanted

NO_WINDOWS: Final = Finding(
    Severity.WARNING,
    "answer-file-unused",
    "this is no Windows: it reads no answer file",
    "leave --unattend out",
)
_INVALID: Final = Finding(
    Severity.ERROR,
    "answer-file-invalid",
    "--unattend: the file is no XML",
    "write it with Windows System Image Manager, or leave --unattend out for the default one",
)


def read(path: Path) -> bytes:
    """Give its content, which is asked for once: it may be a pipe.

    Raises `UsageError` ``unattend-unreadable``.
    """
    try:
        with path.open("rb") as file:
            return file.read(TEXT_LIMIT)
    except OSError as error:
        message = f"{path}: {error.strerror or error}"
        hint = "give a file that can be read with --unattend"
        raise UsageError("unattend-unreadable", message, hint=hint) from error


def judge(wanted: Wanted) -> tuple[Finding, ...]:
    """Give what is wrong with it."""
    data = wanted.unattend
    return () if data is None or _is_xml(data) else (_INVALID,)


def _is_xml(data: bytes) -> bool:
    try:
        defusedxml.ElementTree.fromstring(data)
    except (SyntaxError, ValueError, LookupError, DefusedXmlException):  # an unknown encoding
        return False
    return True
