"""What will change: files, values of the registry, the partition table, packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from converter.formats.registry import Value
    from converter.model.finding import Finding
    from converter.model.storage import Partition, TableType


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Make `path` a regular file with the content `data`, keeping the original at `backup`.

    `before` is the digest of what is replaced, None for a new file; `backup` is None where there
    is no original, it is to be gone (`before` is its size), or an earlier change keeps it. A
    replaced file keeps its extended attributes; a new one gets `attributes` (its SELinux label,
    where the guest has any).
    """

    code: str
    reason: str
    path: str
    data: bytes
    mode: int
    uid: int
    gid: int
    before: str | None = None
    backup: str | None = None
    attributes: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make the directory `path`, which is not there, in one that is; it belongs to root."""

    code: str
    reason: str
    path: str
    mode: int = 0o755
    attributes: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class AppendFile:
    """Add `data` to the end of the regular file `path` (size `size`), keeping the original."""

    code: str
    reason: str
    path: str
    data: bytes
    size: int
    before: str
    backup: str | None


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Take the file or symlink `path` away; a file is kept at `backup`.

    `before` is the file's digest, its size where none is kept, or `-> target` of a link.
    """

    code: str
    reason: str
    path: str
    before: str
    backup: str | None


@dataclass(frozen=True, slots=True)
class MakeLink:
    """Make `path` a symbolic link to `target`. `before` is the target it had, None if new."""

    code: str
    reason: str
    path: str
    target: str
    before: str | None = None
    attributes: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class CopyFile:
    """Make `path` the same as the regular file `source` is, byte for byte.

    For programs: a plan names what is copied instead of holding it. `digest` is that of the source.
    """

    code: str
    reason: str
    path: str
    source: str
    digest: str
    before: str | None = None
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class ConvertTable:
    """Give the disk `path` (an appliance name) another partition table, its data staying in place.

    `pieces` are the bytes to be written, by offset; the disk is to have `size` bytes, which may be
    more than it had.
    """

    code: str
    reason: str
    path: str
    table: TableType
    partitions: tuple[Partition, ...]
    pieces: tuple[tuple[int, bytes], ...]
    size: int


@dataclass(frozen=True, slots=True)
class InstallPackage:
    """Have the guest's own package manager install the package called `path`.

    `payload` is the package's file on this host, and `digest` what it is; `size` is what the
    package takes, `files` what it brings as far as is known. `services` (units with their suffix,
    Upstart's jobs without) are to be started at boot.
    """

    code: str
    reason: str
    path: str
    manager: str
    version: str
    payload: Path
    digest: str
    size: int
    files: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyIn:
    """Make `path` the same as the file `payload` of this host, which has `size` bytes.

    For what vendors ship: a plan names it instead of holding it. `digest` is what it is.
    """

    code: str
    reason: str
    path: str
    payload: Path
    digest: str
    size: int
    before: str | None = None
    backup: str | None = None
    attributes: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class SetValue:
    """Give the value `name` ("" is the default one) of a registry's `key`, which is made if needed.

    `path` is the hive's file; `before` is what the value was, None for a new one. The file is kept
    at `backup` before the first change of the plan to it.
    """

    code: str
    reason: str
    path: str
    key: str
    name: str
    value: Value
    before: Value | None = None
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteValue:
    """Take the value `name` of a registry's `key` away; see `SetValue`."""

    code: str
    reason: str
    path: str
    key: str
    name: str
    before: Value
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteKey:
    """Take a registry's `key` away with all that is below it; see `SetValue`."""

    code: str
    reason: str
    path: str
    key: str
    backup: str | None = None


RegistryChange = SetValue | DeleteValue | DeleteKey
FileChange = WriteFile | AppendFile | RemoveFile | MakeLink | MakeDirectory | CopyFile | CopyIn
Change = FileChange | RegistryChange | ConvertTable | InstallPackage


@dataclass(frozen=True, slots=True)
class Plan:
    """All that will be done to the guest, in order, and all that was found on the way."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()
    diffs: tuple[str, ...] = ()
