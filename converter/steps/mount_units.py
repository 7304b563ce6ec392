"""systemd's own mount and swap units: devices by names that hold (LNX-4, systemd.mount(5)).

Those of the administrator are edited; a package's name no disk. The name of a swap unit is that of
its device (systemd.swap(5)), and others refer to it by that: it is only told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import ini
from converter.guest import paths
from converter.model import Finding, Severity
from converter.steps.devices import is_unstable, link_of, stable_name
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context

_DIRECTORIES: Final = ("/etc/systemd/system", "/usr/local/lib/systemd/system")


def run(context: Context) -> None:
    """Plan mount units whose devices are found on EC2, and tell which will not be there."""
    for directory in _DIRECTORIES:
        for path in paths.glob(context.guest, f"{directory}/*.mount"):
            _edit(context, path)
        for path in paths.glob(context.guest, f"{directory}/*.swap"):
            text = paths.text(context.guest, path) or ""
            _tell(context, path, _device(text, "Swap"), "make it a line of /etc/fstab")


def _device(text: str, section: str) -> str:
    return ini.parse(text).get(section, "What")


def _edit(context: Context, path: str) -> None:
    text = paths.text(context.guest, path) or ""
    device = _device(text, "Mount")
    name = stable_name(context.storage, device) if is_unstable(device) else None
    if name is not None:
        # A unit waits for a device only if that is named by a path.
        text = ini.with_value(text, "Mount", "What", link_of(name))
        context.guest.write(
            path,
            paths.encode(text),
            code="mount-unit-device-name",
            reason="disks have other names on EC2: links by UUID hold",
        )
    hint = "give all disks of the machine, or disable the unit"
    _tell(context, path, _device(text, "Mount"), hint)


def _tell(context: Context, path: str, device: str, hint: str) -> None:
    if is_unstable(device):
        message = f"{path}: {device} is not there by that name on EC2; systemd waits for it"
        context.guest.note(Finding(Severity.WARNING, "unit-device-missing", message, hint))


def _applies(facts: Facts) -> bool:
    return facts.linux.init_system == "systemd"


STEP: Final = Step("mount-units", "mount by names that hold on EC2", _applies, run)
