"""How a device of the source is named so that it is found on EC2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.inspection import names
from converter.inspection.storage import is_array_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from converter.inspection.storage import Storage
    from converter.model import Facts, Mount

_MEMBER: Final = "device"
_LOGS: Final = ("logdev", "rtdev", "journal_path")
_LINKS: Final = {"UUID": "/dev/disk/by-uuid", "PARTUUID": "/dev/disk/by-partuuid"}


def is_unstable(spec: str) -> bool:
    """Tell whether the device name `spec` depends on the machine the disk is in."""
    return names.parse(spec) is not None or is_array_name(spec)


def stable_name(storage: Storage, spec: str) -> str | None:
    """Give a name for the device `spec` means that holds on any machine; None if there is none."""
    device = storage.resolve(spec)
    return None if device is None else name_of(storage, device)


def name_of(storage: Storage, device: str) -> str | None:
    """Give a name that holds on any machine for `device`, an appliance name; None if it has none.

    The filesystem's UUID, where no other filesystem has the same; else the partition's, or the
    logical volume's path. Where all of that is there twice, the UUID is as good as anything.
    """
    whole = list(storage.whole_filesystems())
    uuid = next((fs.uuid for fs in whole if fs.device == device), "")
    if uuid and _is_single(uuid, (fs.uuid for fs in whole)):
        return f"UUID={uuid}"
    if any(volume.device == device for volume in storage.volumes):
        return device
    parts = {name: partition.uuid for name, partition in storage.partitions()}
    partition = parts.get(device, "")
    if partition and (not uuid or _is_single(partition, parts.values())):
        return f"PARTUUID={partition}"
    return f"UUID={uuid}" if uuid else None


def stable_options(storage: Storage, options: Sequence[str]) -> tuple[str, ...]:
    """Give mount options whose devices are found on any machine.

    The devices of a Btrfs are found without being named (btrfs(5), `device`); the log or the
    journal of a filesystem (xfs(5), ext4(5)) is named by a link.
    """
    found = (_stable_option(storage, option) for option in options)
    return tuple(option for option in found if option is not None)


def _stable_option(storage: Storage, option: str) -> str | None:
    key, _, value = option.partition("=")
    if key not in (_MEMBER, *_LOGS) or not is_unstable(value):
        return option
    if key == _MEMBER:
        return None
    return f"{key}={link_of(stable_name(storage, value) or value)}"


def link_of(name: str) -> str:
    """Give the path of a device that is named as in fstab."""
    tag, equals, value = name.partition("=")
    return f"{_LINKS[tag]}/{value}" if equals else name


def _is_single(uuid: str, uuids: Iterable[str]) -> bool:
    return sum(other.casefold() == uuid.casefold() for other in uuids) == 1


def root_of(facts: Facts) -> Mount:
    """Give the mount that is the guest's root."""
    return next(mount for mount in facts.mounts if mount.path == "/")


def root_name(storage: Storage, facts: Facts) -> str | None:
    """Give a name for the guest's root that holds on any machine; None if it has none."""
    return name_of(storage, root_of(facts).device)
