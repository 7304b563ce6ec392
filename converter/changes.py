"""The changes of a plan as the contract writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import reg_file
from converter.model import (
    AppendFile,
    ConvertTable,
    CopyFile,
    CopyIn,
    DeleteKey,
    DeleteValue,
    InstallPackage,
    MakeDirectory,
    MakeLink,
    RemoveFile,
    SetValue,
    WriteFile,
)

if TYPE_CHECKING:
    from converter.model import Change


# What `RemoveFile.before` of a link begins with.
LINK: Final = "-> "
_KINDS: Final = {
    AppendFile: "append-file",
    RemoveFile: "remove-file",
    MakeLink: "make-link",
    MakeDirectory: "make-directory",
    CopyFile: "copy-file",
    CopyIn: "copy-in",
    SetValue: "set-value",
    DeleteValue: "delete-value",
    DeleteKey: "delete-key",
    ConvertTable: "convert-table",
    InstallPackage: "install-package",
}


def kind(change: Change) -> str:
    """Give the word for what a change does."""
    if isinstance(change, WriteFile):
        return "create-file" if change.before is None else "write-file"
    return _KINDS[type(change)]


def as_json(change: Change) -> dict[str, str | None]:
    """Give a change as the manifest lists it, with what it takes to undo it.

    `backup` is null where no original is kept by it. For a link that is replaced or removed,
    `link_before` says where it led; a package has its `version` and its file's `sha256`. A change
    of a registry has its `key` and `value`, with `before` and `after` as a `.reg` file has them.
    """
    keeps_none = MakeLink | MakeDirectory | ConvertTable | InstallPackage
    backup = None if isinstance(change, keeps_none) else change.backup
    before = _link_before(change)
    return {
        "code": change.code,
        "kind": kind(change),
        "path": change.path,
        "reason": change.reason,
        "backup": backup,
        **({} if before is None else {"link_before": before}),
        **_package(change),
        **_registry(change),
    }


def _package(change: Change) -> dict[str, str | None]:
    match change:
        case InstallPackage():
            return {"version": change.version, "sha256": change.digest}
        case CopyIn():
            return {"sha256": change.digest}
        case _:
            return {}


def _registry(change: Change) -> dict[str, str | None]:
    match change:
        case SetValue():
            before = reg_file.shown(change.name, change.before) if change.before else None
            after: str | None = reg_file.shown(change.name, change.value)
        case DeleteValue():
            before, after = reg_file.shown(change.name, change.before), None
        case DeleteKey():
            return {"key": change.key}
        case _:
            return {}
    return {"key": change.key, "value": change.name, "before": before, "after": after}


def _link_before(change: Change) -> str | None:
    if isinstance(change, MakeLink):
        return change.before
    if isinstance(change, RemoveFile) and change.before.startswith(LINK):
        return change.before.removeprefix(LINK)
    return None
