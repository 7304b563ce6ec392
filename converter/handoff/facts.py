"""Facts as the contract's JSON has them: shared by `inspect --json` and the manifest."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converter.model import WindowsFacts

if TYPE_CHECKING:
    from converter.model import Facts, Kernel, LinuxFacts, Source


def jsonable(value: Any) -> Any:  # noqa: ANN401, PLR0911 - any record in, any JSON value out
    """Give a record as plain dictionaries, lists, strings and numbers; sets are sorted."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, frozenset | set):
        return sorted(jsonable(item) for item in value)
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, dict):
        return {jsonable(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Path):
        return jsonable(str(value))
    if isinstance(value, str):
        # Guest bytes that are not UTF-8 are surrogates here; JSON has no place for them.
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def source_as_json(source: Source) -> dict[str, Any]:
    """Give where the guest came from."""
    return {
        "paths": jsonable(source.paths),
        "format": source.format.value,
        "virtual_size": source.virtual_size,
        "disks": [
            {
                "label": jsonable(disk.label),
                "format": disk.format.value,
                "subformat": disk.subformat,
                "virtual_size": disk.virtual_size,
            }
            for disk in source.disks
        ],
    }


def guest_as_json(facts: Facts) -> dict[str, Any]:
    """Give what the guest is."""
    if isinstance(facts.os, WindowsFacts):
        return _windows(facts, facts.os)
    return _linux(facts, facts.os)


def _windows(facts: Facts, windows: WindowsFacts) -> dict[str, Any]:
    own: dict[str, Any] = jsonable(windows)
    return {
        "family": "windows",
        "distribution": "windows",
        "name": own["product"],
        **own,
        "is_generalized": windows.is_generalized,
        "kernel": {"version": f"{windows.version}.{windows.build}", "initramfs": None},
        "bootloader": {"kind": "bootmgr", "config": "BCD", "default": None, "entries": []},
        "network": own["adapters"],
        "mounts": [jsonable(mount) for mount in (*facts.mounts, *facts.esps)],
        "filesystems": [jsonable(filesystem) for filesystem in facts.filesystems],
    }


def _linux(facts: Facts, linux: LinuxFacts) -> dict[str, Any]:
    document: dict[str, Any] = {
        "family": "linux",
        "distribution": linux.distribution,
        "version": linux.version,
        "name": linux.pretty_name,
        "architecture": linux.architecture,
        "hostname": linux.hostname,
        "package_manager": linux.package_manager,
        "init_system": linux.init_system,
        "selinux": linux.selinux,
        "kernel": _kernel(linux.default_kernel, linux.initramfs),
        "kernels": [kernel.release for kernel in linux.kernels],
        "bootloader": _bootloader(linux),
        "network": [jsonable(stack) for stack in linux.networks],
        "mounts": [jsonable(mount) for mount in facts.mounts],
        "filesystems": [jsonable(filesystem) for filesystem in facts.filesystems],
        "volumes": [jsonable(volume) for volume in facts.volumes],
        "agents": list(linux.agents),
        "guest_tools": list(linux.guest_tools),
    }
    result: dict[str, Any] = jsonable(document)
    return result


def _kernel(kernel: Kernel | None, initramfs: Any) -> dict[str, Any] | None:  # noqa: ANN401 - record
    if kernel is None:
        return None
    return {"version": kernel.release, "image": kernel.image, "initramfs": jsonable(initramfs)}


def _bootloader(linux: LinuxFacts) -> dict[str, Any] | None:
    found = linux.bootloader
    if found is None:
        return None
    return {
        "kind": found.kind,
        "config": found.config,
        "default": jsonable(found.default),
        "entries": [entry.title for entry in found.entries],
    }
