"""The changes of a plan as the contract writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.model import AppendFile, MakeDirectory, MakeLink, RemoveFile, WriteFile

if TYPE_CHECKING:
    from converter.model import Change


def kind(change: Change) -> str:
    """Give the word for what a change does."""
    match change:
        case WriteFile():
            return "create-file" if change.before is None else "write-file"
        case AppendFile():
            return "append-file"
        case RemoveFile():
            return "remove-file"
        case MakeLink():
            return "make-link"
        case MakeDirectory():
            return "make-directory"


def as_json(change: Change) -> dict[str, str | None]:
    """Give a change as the manifest lists it; `backup` is null where no original is kept by it."""
    backup = None if isinstance(change, MakeLink | MakeDirectory) else change.backup
    return {
        "code": change.code,
        "kind": kind(change),
        "path": change.path,
        "reason": change.reason,
        "backup": backup,
    }
