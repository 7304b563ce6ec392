"""LVM and software RAID: their members are found on whatever disks they are on (FS-1).

LVM's devices file (lvmdevices(8)) and filters (lvm.conf(5)), and mdadm.conf(5), can name the disks
of the old machine; everything on them would stay away on EC2.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from converter.formats import lvmconf, mdadm
from converter.guest import paths
from converter.inspection.mounts import MDADM_CONFIGS
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.inspection.storage import Storage
    from converter.model import Facts
    from converter.steps.step import Context

LVM_CONFIGS: Final = ("/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf")
DEVICES_FILE: Final = "/etc/lvm/devices/system.devices"


def run(context: Context) -> None:
    """Plan configurations that name no disk."""
    for path in LVM_CONFIGS:
        _rewrite(context, path, lvmconf.without_disk_filters(_text(context, path)), "lvm-filter")
    for path in MDADM_CONFIGS:
        text = any_disk(context.storage, _text(context, path))
        _rewrite(context, path, text, "mdadm-devices")
    context.guest.remove(
        DEVICES_FILE,
        code="lvm-devices-file",
        reason="it lists the old machine's disks; without it LVM looks at all there are",
    )


def any_disk(storage: Storage, text: str) -> str:
    """Give the text of an mdadm.conf that finds the guest's arrays on any disks."""
    return mdadm.on_any_disk(text, partial(_uuid, storage))


def _uuid(storage: Storage, name: str) -> str:
    device = storage.resolve(name)
    return next((array.uuid for array in storage.arrays if array.device == device), "")


def _text(context: Context, path: str) -> str:
    return paths.text(context.guest, path) or ""


def _rewrite(context: Context, path: str, text: str, code: str) -> None:
    if text:
        reason = "disks have other names on EC2, what is on them is found by itself"
        context.guest.write(path, paths.encode(text), code=code, reason=reason)


def _applies(facts: Facts) -> bool:
    return bool(facts.groups or facts.arrays)


STEP: Final = Step("volumes", "find volumes and arrays on any disks", _applies, run)
