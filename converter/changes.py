"""The changes of a plan as the contract writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.model import (
    AppendFile,
    ConvertTable,
    CopyFile,
    InstallPackage,
    MakeDirectory,
    MakeLink,
    RemoveFile,
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
    `link_before` says where it led; a package has its `version` and its file's `sha256`.
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
    }


def _package(change: Change) -> dict[str, str | None]:
    if not isinstance(change, InstallPackage):
        return {}
    return {"version": change.version, "sha256": change.digest}


def _link_before(change: Change) -> str | None:
    if isinstance(change, MakeLink):
        return change.before
    if isinstance(change, RemoveFile) and change.before.startswith(LINK):
        return change.before.removeprefix(LINK)
    return None
