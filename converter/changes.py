"""The changes of a plan as the contract writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.model import (
    AppendFile,
    ConvertTable,
    CopyFile,
    MakeDirectory,
    MakeLink,
    RemoveFile,
    WriteFile,
)

if TYPE_CHECKING:
    from converter.model import Change


_KINDS: Final = {
    AppendFile: "append-file",
    RemoveFile: "remove-file",
    MakeLink: "make-link",
    MakeDirectory: "make-directory",
    CopyFile: "copy-file",
    ConvertTable: "convert-table",
}


def kind(change: Change) -> str:
    """Give the word for what a change does."""
    if isinstance(change, WriteFile):
        return "create-file" if change.before is None else "write-file"
    return _KINDS[type(change)]


def as_json(change: Change) -> dict[str, str | None]:
    """Give a change as the manifest lists it; `backup` is null where no original is kept by it."""
    backup = None if isinstance(change, MakeLink | MakeDirectory | ConvertTable) else change.backup
    return {
        "code": change.code,
        "kind": kind(change),
        "path": change.path,
        "reason": change.reason,
        "backup": backup,
    }
