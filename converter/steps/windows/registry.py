"""The registry as steps read and change it: every control set, and what is in each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from converter.inspection.windows import Registry, open_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.formats.registry import Value
    from converter.steps.step import Context


def registry_of(context: Context) -> Registry:
    """Give the registry of the guest with all that was recorded so far, to look at."""
    guest = context.guest
    return open_registry(guest, guest.hive, context.facts.windows.root)


@dataclass(frozen=True)
class Editing:
    """The registry of a guest, for changes with one code and reason.

    Windows takes the control set that `Select` names, another one after a failed start: what holds
    for one holds for all of them.
    """

    context: Context
    code: str
    reason: str

    @cached_property
    def _opened(self) -> Registry:
        """The registry as it was when this began: no step moves hives, or makes control sets."""
        return registry_of(self.context)

    @property
    def registry(self) -> Registry:
        """The hives with all that was recorded so far."""
        guest, opened = self.context.guest, self._opened
        return replace(
            opened,
            system=guest.hive(opened.system_path),
            software=guest.hive(opened.software_path),
        )

    def keys(self, path: str) -> Iterator[str]:
        r"""Give the key `path` (as `Services\disk`) of every control set that has it."""
        registry = self.registry
        for name in registry.control_sets:
            if registry.system.exists(f"{name}\\{path}"):
                yield f"{name}\\{path}"

    def set_control(self, path: str, name: str, value: Value) -> None:
        """Set a value below each control set; its key is made."""
        for control_set in self.registry.control_sets:
            self.set_system(f"{control_set}\\{path}", name, value)

    def set_system(self, key: str, name: str, value: Value) -> None:
        """Set a value of SYSTEM."""
        path = self.registry.system_path
        self.context.guest.set_value(path, key, name, value, code=self.code, reason=self.reason)

    def set_software(self, key: str, name: str, value: Value) -> None:
        """Set a value of SOFTWARE."""
        path = self.registry.software_path
        self.context.guest.set_value(path, key, name, value, code=self.code, reason=self.reason)

    def delete_system_value(self, key: str, name: str) -> None:
        """Take a value of SYSTEM away, if it is there."""
        path = self.registry.system_path
        self.context.guest.delete_value(path, key, name, code=self.code, reason=self.reason)

    def delete_software_value(self, key: str, name: str) -> None:
        """Take a value of SOFTWARE away, if it is there."""
        path = self.registry.software_path
        self.context.guest.delete_value(path, key, name, code=self.code, reason=self.reason)

    def delete_system_key(self, key: str) -> None:
        """Take a key of SYSTEM away, if it is there."""
        path = self.registry.system_path
        self.context.guest.delete_key(path, key, code=self.code, reason=self.reason)
