"""Entries of the Boot Loader Specification (GRUB, systemd-boot), and what new ones are made of.

An entry whose options are a variable (`$kernelopts` of RHEL 8) gets its consoles by that one; a
new kernel's entry is made from /etc/kernel/cmdline, where that is (kernel-install(8)).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import bls, kernel_args
from converter.steps import boot_arguments
from converter.steps.boot_arguments import KERNEL_OPTIONS, Arguments
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.formats.kernel_args import Editor
    from converter.model import BootEntry, Facts
    from converter.steps.boot_arguments import AnyEditor
    from converter.steps.step import Context

_VARIABLES: Final = frozenset(f"${name}" for name in KERNEL_OPTIONS)


def run(context: Context) -> None:
    """Plan the edits of every entry's file, and of the arguments that new entries get."""
    bootloader = context.facts.linux.bootloader
    arguments = Arguments(context)
    entries = bootloader.entries if bootloader is not None else ()
    for entry in {entry.source: entry for entry in entries if entry.source}.values():
        _edit(arguments, entry)
    files: list[str] = load("linux")["kernel_arguments"]["files"]
    for path in files:
        arguments.edit(
            path,
            devices=partial(kernel_args.edited, edit=arguments.devices),
            consoles=partial(kernel_args.edited, edit=boot_arguments.consoles),
        )


def _edit(arguments: Arguments, entry: BootEntry) -> None:
    has_initramfs = bool(entry.initramfs)
    arguments.edit(
        entry.source,
        devices=lambda text: _with(text, lambda words: arguments.devices(words, has_initramfs)),
        consoles=with_consoles,
    )


def with_consoles(text: str, edit: AnyEditor = boot_arguments.consoles) -> str:
    """Give an entry with the consoles, or what another `edit` makes of them, in its options."""
    entry = bls.parse(text)
    if _VARIABLES.intersection(entry.options):
        return text
    return str(entry.with_options(edit))


def _with(text: str, edit: Editor) -> str:
    return str(bls.parse(text).with_options(edit))


def _applies(facts: Facts) -> bool:
    return facts.linux.bootloader is not None


STEP: Final = Step("boot-entries", "boot by UUID, with a serial console", _applies, run)
