"""Where the guest looks for a hibernated image: initramfs-tools' RESUME (initramfs-tools(7)).

An initramfs that waits for a swap device under its old name delays every boot by half a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import shellvars
from converter.guest import paths
from converter.steps.devices import is_unstable, stable_name
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context

REASON: Final = (
    "the swap device has another name on EC2; waiting for the old one would delay every boot"
)
PATTERNS: Final = ("/etc/initramfs-tools/initramfs.conf", "/etc/initramfs-tools/conf.d/*")


def run(context: Context) -> None:
    """Plan a RESUME that is found on EC2, or none."""
    for pattern in PATTERNS:
        for path in paths.glob(context.guest, pattern):
            text = paths.text(context.guest, path)
            if text is not None:
                context.guest.write(
                    path,
                    paths.encode(renamed(context, text)),
                    code="resume-device-name",
                    reason=REASON,
                )


def renamed(context: Context, text: str) -> str:
    """Give a configuration with its RESUME device by UUID, or `none` if it is not there."""
    variables = shellvars.parse(text)
    device = variables.get("RESUME")
    if not device or device in ("none", "auto") or variables.is_dynamic("RESUME"):
        return text
    if not is_unstable(device) and context.storage.resolve(device) is not None:
        return text
    return str(variables.with_value("RESUME", stable_name(context.storage, device) or "none"))


def _applies(facts: Facts) -> bool:
    return (
        facts.linux.initramfs is not None and facts.linux.initramfs.generator == "initramfs-tools"
    )


STEP: Final = Step("resume", "resume from a device that is there", _applies, run)
