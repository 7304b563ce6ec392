"""GRUB Legacy: the devices, consoles and time of every entry, and what new ones are made of.

Red Hat's grubby takes a new kernel's arguments from the default entry. Debian's update-grub keeps
them in remarks of the menu, SUSE in /etc/sysconfig/bootloader. device.map is left alone: it is read
when GRUB is installed again, and names disks of the machine that is then there.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import grub_legacy, shellvars
from converter.inspection.grub_legacy import KIND
from converter.steps import boot_arguments
from converter.steps.boot_arguments import TIMEOUT_LIMIT, Arguments
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.formats.kernel_args import Editor
    from converter.model import Facts
    from converter.steps.boot_arguments import AnyEditor
    from converter.steps.step import Context


def run(context: Context) -> None:
    """Plan the edits of the menu, and of the arguments that new entries get."""
    bootloader = context.facts.linux.bootloader
    arguments = Arguments(context)
    for path in bootloader.scripts if bootloader is not None else ():
        arguments.edit(
            path,
            devices=lambda text: _with_settings(
                grub_legacy.parse(text).with_arguments(arguments.devices), arguments.devices
            ),
            consoles=with_consoles,
            timeout=lambda text: grub_legacy.parse(text).with_timeout(TIMEOUT_LIMIT),
        )
    row = load("linux")["grub_legacy"]
    for path in row["defaults"]:
        arguments.edit(
            path,
            devices=partial(_edited, names=row["arguments"], edit=arguments.devices),
            consoles=partial(_edited, names=row["arguments"], edit=boot_arguments.consoles),
        )


def with_consoles(text: str, edit: AnyEditor = boot_arguments.consoles) -> str:
    """Give a menu with the consoles in every entry, and in those to come.

    Another `edit` of an entry's arguments can be given instead.
    """
    return _with_settings(grub_legacy.parse(text).with_arguments(edit), edit)


def _with_settings(text: str, edit: Editor) -> str:
    return grub_legacy.parse(text).with_settings(edit)


def _edited(text: str, names: list[str], edit: Editor) -> str:
    return str(shellvars.parse(text).with_words(names, edit))


def _applies(facts: Facts) -> bool:
    return facts.linux.bootloader is not None and facts.linux.bootloader.kind == KIND


STEP: Final = Step("grub-legacy", "boot by UUID, with a serial console", _applies, run)
