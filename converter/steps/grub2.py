"""GRUB 2: the devices, consoles and time of every entry, in its scripts and its environment.

grub.cfg is edited rather than made anew: making it would run the guest's code, and in another
machine than the guest's. What it is made from is edited to match (`steps.grub_defaults`), and so
are entries of the Boot Loader Specification (`steps.boot_entries`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.errors import GuestError
from converter.formats import FormatError, grubenv, kernel_args
from converter.formats.grub_edit import Script
from converter.guest.protocol import Code
from converter.inspection.grub2 import KIND
from converter.model import Finding, Severity
from converter.steps import boot_arguments
from converter.steps.boot_arguments import KERNEL_OPTIONS, TIMEOUT_LIMIT, Arguments
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from converter.model import Facts
    from converter.steps.boot_arguments import AnyEditor
    from converter.steps.step import Context

_ONCE_REASON: Final = (
    "an entry was chosen for the next boot of the old machine only; the lasting default is prepared"
)


def run(context: Context) -> None:
    """Plan the edits of the scripts that make the menu, and of GRUB's environment."""
    bootloader = context.facts.linux.bootloader
    if bootloader is None:
        return
    arguments = Arguments(context)
    scripts = [path for path in bootloader.scripts if _is_readable(context, path)]
    variables = _variables(context, scripts)
    for path in scripts:
        arguments.edit(
            path,
            devices=lambda text: Script(
                Script(text).with_arguments(arguments.devices)
            ).with_variables(variables, arguments.devices),
            consoles=with_consoles,
            timeout=lambda text: Script(text).with_timeout(TIMEOUT_LIMIT),
        )
    if not any(Script(_text(context, path)).assigns("timeout") for path in scripts):
        arguments.edit(bootloader.config, timeout=_with_own_timeout)
    for path in bootloader.environments:
        _edit_environment(context, path, variables)


def with_consoles(text: str, edit: AnyEditor = boot_arguments.consoles) -> str:
    """Give a script with the consoles in every entry, and in Fedora's variables for entries.

    Another `edit` of an entry's arguments can be given instead.
    """
    return Script(Script(text).with_arguments(edit)).with_variables(KERNEL_OPTIONS, edit)


def _with_own_timeout(text: str) -> str:
    gap = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{gap}set timeout={TIMEOUT_LIMIT}\n"


def _text(context: Context, path: str) -> str:
    return context.guest.read(path).decode("utf-8", "surrogateescape")


def _is_readable(context: Context, path: str) -> bool:
    """Tell whether a script can be edited; inspection has said it if the main one cannot."""
    try:
        Script(_text(context, path)).assigns("timeout")
    except FormatError:
        return False
    except GuestError as error:
        if error.code not in Code.ODD:
            raise
        return False
    return True


def _variables(context: Context, scripts: Iterable[str]) -> frozenset[str]:
    """Give the variables that kernel arguments are made of."""
    found = (Script(_text(context, path)).argument_variables() for path in scripts)
    return KERNEL_OPTIONS.union(*found)


def _edit_environment(context: Context, path: str, variables: frozenset[str]) -> None:
    arguments = Arguments(context)

    def rewrite(text: str, edit: kernel_args.Editor, names: frozenset[str]) -> str:
        values = grubenv.parse(text.encode("utf-8", "surrogateescape"))
        changes = {name: kernel_args.edited(values[name], edit) for name in names & values.keys()}
        return _with_values(text, {k: v for k, v in changes.items() if v != values[k]})

    try:
        once = grubenv.one_time(grubenv.parse(context.guest.read(path)))
    except FormatError:
        return  # GRUB ignores it; inspection has said so
    if once:
        context.guest.note(_chosen_once(path))
    arguments.rewrite(path, lambda text: _with_values(text, once), "one-time-entry", _ONCE_REASON)
    arguments.edit(
        path,
        devices=lambda text: rewrite(text, arguments.devices, variables),
        consoles=lambda text: rewrite(text, boot_arguments.consoles, KERNEL_OPTIONS),
    )


def _with_values(text: str, changes: dict[str, str] | dict[str, str | None]) -> str:
    if not changes:
        return text
    data = text.encode("utf-8", "surrogateescape")
    return grubenv.with_values(data, changes).decode("utf-8", "surrogateescape")


def _chosen_once(path: str) -> Finding:
    return Finding(
        Severity.INFO,
        "grub-one-time-entry",
        f"{path}: an entry was chosen for one boot only (grub-reboot); that choice was dropped",
        "choose it again in the converted machine if it is needed",
    )


def _applies(facts: Facts) -> bool:
    return facts.linux.bootloader is not None and facts.linux.bootloader.kind == KIND


STEP: Final = Step("grub2", "boot by UUID, with a serial console", _applies, run)
