"""Windows registry hives (SYSTEM, SOFTWARE, BCD, NTUSER.DAT, …): read, edited in place, recovered.

Specification: Maxim Suhanov, "Windows registry file format specification" (regf). Key paths are
separated by backslashes and begin below the root, which is ""; names are compared as Windows does,
in upper case. `Hive` refuses damage where it meets it, and `Hive.check` looks for it
everywhere.

A hive whose last changes are in its logs is refused: `recover` applies these first. The logs beside
a hive that is clean can stay when it is edited, as Windows does not look at them then.

Limits: transactions (TxR) are not looked at. An edit that meets damage leaves the hive half edited.
"""

from __future__ import annotations

from typing import Protocol

from converter.formats import registry_check, registry_edit
from converter.formats.registry_cells import Cells, read_base
from converter.formats.registry_log import recover
from converter.formats.registry_tree import Tree
from converter.formats.registry_values import (
    Value,
    ValueType,
    binary,
    dword,
    expand_sz,
    multi_sz,
    qword,
    sz,
)

__all__ = [
    "Editor",
    "Hive",
    "Reader",
    "Value",
    "ValueType",
    "binary",
    "dword",
    "expand_sz",
    "is_dirty",
    "multi_sz",
    "qword",
    "recover",
    "sz",
]


class Reader(Protocol):
    """What can be asked of a hive."""

    def exists(self, path: str) -> bool:
        """Tell whether there is a key."""
        ...

    def subkeys(self, path: str) -> tuple[str, ...]:
        """Give the names of a key's subkeys as they are stored; no key has none."""
        ...

    def values(self, path: str) -> dict[str, Value]:
        """Give a key's values by their names; that of the default value is empty."""
        ...

    def value(self, path: str, name: str) -> Value | None:
        """Give one value, if it is there."""
        ...


class Editor(Reader, Protocol):
    """What can be done to a hive."""

    def set_value(self, path: str, name: str, value: Value) -> None:
        """Set a value, and make its key; what is there already is not touched."""
        ...

    def delete_value(self, path: str, name: str) -> None:
        """Delete a value, if it is there."""
        ...

    def delete_key(self, path: str) -> None:
        """Delete a key with all below it, if it is there."""
        ...


def is_dirty(data: bytes) -> bool:
    """Tell whether the last changes of a hive are in its logs. Raises `FormatError` for no hive."""
    return not read_base(data).is_clean


class Hive:
    """A hive in memory: an `Editor`."""

    def __init__(self, data: bytes) -> None:
        """Open a hive. Raises `FormatError` when it is none, or is damaged or dirty."""
        self._tree = Tree(Cells(data))
        self._tree.key(self._tree.cells.root)

    def tobytes(self) -> bytes:
        """Give the hive as it is to be written; byte for byte as it was if nothing was changed."""
        return self._tree.cells.tobytes()

    def check(self) -> None:
        """Read everything, once. Raises `FormatError`, with the place, when any of it is damaged.

        This takes a second for each 10 MB or so. A hive that passed can be edited safely.
        """
        registry_check.check(self._tree)

    # --- reading ----------------------------------------------------------------------------------

    def exists(self, path: str) -> bool:
        """Tell whether there is a key."""
        return self._tree.find(path) is not None

    def subkeys(self, path: str) -> tuple[str, ...]:
        """Give the names of a key's subkeys as they are stored; no key has none."""
        found = self._tree.find(path)
        if found is None:
            return ()
        children = self._tree.children(self._tree.key(found))
        return tuple(self._tree.key(child).name for child in children)

    def values(self, path: str) -> dict[str, Value]:
        """Give a key's values by their names; that of the default value is empty."""
        found = self._tree.find(path)
        return {} if found is None else self._tree.values(self._tree.key(found))

    def value(self, path: str, name: str) -> Value | None:
        """Give one value, if it is there."""
        key = self._tree.find(path)
        found = None if key is None else self._tree.find_value(self._tree.key(key), name)
        return None if found is None else self._tree.value(found[1])

    # --- editing ----------------------------------------------------------------------------------

    def create_key(self, path: str) -> None:
        """Make a key and those above it, as far as they are not there."""
        registry_edit.create_key(self._tree, path)

    def set_value(self, path: str, name: str, value: Value) -> None:
        """Set a value, and make its key; what is there already is not touched."""
        registry_edit.set_value(self._tree, path, name, value)

    def delete_value(self, path: str, name: str) -> None:
        """Delete a value, if it is there."""
        registry_edit.delete_value(self._tree, path, name)

    def delete_key(self, path: str) -> None:
        """Delete a key with all below it, if it is there."""
        registry_edit.delete_key(self._tree, path)
