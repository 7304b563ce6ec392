"""How a device of the source is named so that it is found on EC2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.inspection.storage import is_kernel_name

if TYPE_CHECKING:
    from converter.inspection.storage import Storage

# Names that depend on the controller the disk was on, or on its serial number.
_HARDWARE_LINKS = ("/dev/disk/by-path/", "/dev/disk/by-id/", "/dev/disk/by-diskseq/")


def is_unstable(spec: str) -> bool:
    """Tell whether the device name `spec` depends on the machine the disk is in."""
    return is_kernel_name(spec) or spec.startswith(_HARDWARE_LINKS)


def stable_name(storage: Storage, spec: str) -> str | None:
    """Give a name for the device `spec` means that holds on any machine; None if there is none.

    The filesystem's UUID, where no other filesystem has the same; else the partition's.
    """
    device = storage.resolve(spec)
    if device is None:
        return None
    found = next((fs for fs in storage.filesystems if fs.device == device), None)
    if found is not None and found.uuid:
        twins = [fs for fs in storage.filesystems if fs.uuid == found.uuid]
        if len(twins) == 1:
            return f"UUID={found.uuid}"
    partition = next((part for name, part in storage.partitions() if name == device), None)
    return f"PARTUUID={partition.uuid}" if partition is not None and partition.uuid else None
