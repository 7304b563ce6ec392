r"""The answer file of a Windows that sysprep prepared: it starts without questions (WIN-5).

`\Windows\Panther\unattend.xml` is where Windows Setup looks when it is started from the disk
("Unattended Windows Setup Reference", "Implicit Answer File Search Order"). A Windows that was not
prepared reads none, and gets none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.firstboot.unattend import PATH, unattend
from converter.guest import caseless, paths
from converter.model import Finding, ProductType, Severity
from converter.steps.step import Step
from converter.steps.windows.boot_driver import windows_version
from converter.steps.windows.registry import Editing, registry_of

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context

_CODE: Final = "answer-file"
_FIRST: Final = "Panther/Unattend/Unattend.xml"
_NOT_HERE: Final = Finding(
    Severity.ERROR,
    "generalize-windows",
    "a Windows is generalized by its own sysprep, which nothing can do from outside",
    "run sysprep /generalize /oobe /shutdown in the machine before it is exported, or leave"
    " --generalize out",
)

_UNUSED: Final = Finding(
    Severity.WARNING,
    "answer-file-unused",
    "this Windows was not prepared by sysprep: it reads no answer file",
    "leave --unattend out, or run sysprep /generalize /oobe /shutdown in the machine first",
)


def run(context: Context) -> None:
    """Plan the file."""
    windows, own = context.facts.windows, context.options.unattend
    if context.options.generalize and not windows.is_generalized:
        context.guest.note(_NOT_HERE)
    if not windows.is_generalized:
        if own is not None:
            context.guest.note(_UNUSED)
        return
    major, minor, _ = windows_version(context.facts)
    is_server = windows.product_type is not ProductType.WORKSTATION
    if own is not None:
        data, reason = own, "it was given with --unattend"
    elif _has_another(context):
        return
    else:
        data = unattend(windows.architecture, (major, minor), is_server=is_server)
        reason = "an image that sysprep prepared starts without questions, in US English"
    place = _place(context)
    # Answer files hold passwords: the one that was given, or the one that was there.
    context.guest.write(place, data, code=_CODE, reason=reason, is_secret=True)


def _first(context: Context) -> str:
    return caseless.find(context.guest, context.facts.windows.root, _FIRST)


def _has_another(context: Context) -> bool:
    """Tell whether the guest has an answer file where Windows looks before ours."""
    named = registry_of(context).system.value("Setup", "UnattendFile")
    return named is not None or paths.is_file(context.guest, _first(context))


def _place(context: Context) -> str:
    """Give where the file that was given goes: nothing that Windows finds before it may be there.

    What the registry names goes before all others, and is taken away.
    """
    editing = Editing(context, _CODE, "another answer file would be taken instead")
    editing.delete_system_value("Setup", "UnattendFile")
    guest, first = context.guest, _first(context)
    if paths.is_file(guest, first):
        return first
    return caseless.find(guest, context.facts.windows.root, PATH)


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("windows-unattend", "an answer file, where sysprep prepared it", _applies, run)
