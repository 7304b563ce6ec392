"""What grub-mkconfig makes grub.cfg from: /etc/default/grub, and what is read after it (LNX-5).

Debian and Ubuntu read /etc/default/grub.d/*.cfg too; cloud images have their arguments and their
timeout there. The last assignment of a variable counts, so that is where it is edited. Values that
are computed keep their expansions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import kernel_args, shellvars
from converter.formats.kernel_args import Edit
from converter.guest import paths
from converter.inspection.grub2 import KIND
from converter.steps import boot_arguments
from converter.steps.boot_arguments import TIMEOUT_LIMIT, Arguments, is_too_long
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from converter.formats.kernel_args import Editor
    from converter.formats.shellvars import ShellVars
    from converter.model import Facts
    from converter.steps.step import Context

_LINUX: Final = "GRUB_CMDLINE_LINUX"
_NORMAL: Final = "GRUB_CMDLINE_LINUX_DEFAULT"
_RECORDFAIL: Final = "GRUB_RECORDFAIL_TIMEOUT"
# Set to true, they make the generator write names like /dev/sda1.
_NO_UUIDS: Final = ("GRUB_DISABLE_LINUX_UUID", "GRUB_DISABLE_UUID")


@dataclass(frozen=True, slots=True)
class _Defaults:
    """The files, in the order they are read."""

    context: Context
    files: tuple[str, ...]

    def read(self) -> list[ShellVars]:
        return [shellvars.parse(paths.text(self.context.guest, path) or "") for path in self.files]

    def last(self, name: str) -> str:
        """Give the file whose assignment of `name` counts; the first where there is none."""
        holders = [
            path for path, file in zip(self.files, self.read(), strict=True) if file.all(name)
        ]
        return holders[-1] if holders else self.files[0]


def run(context: Context) -> None:
    """Plan that the guest's next update-grub gives what was edited in grub.cfg."""
    patterns: list[str] = load("linux")["grub2"]["defaults"]
    found = tuple(path for pattern in patterns for path in paths.glob(context.guest, pattern))
    files = tuple(path for path in found if paths.is_file(context.guest, path))
    if not files:
        return
    defaults, arguments = _Defaults(context, files), Arguments(context)
    names: list[str] = load("linux")["grub2"]["arguments"]
    for path in files:
        arguments.edit(
            path,
            devices=lambda text: _with_uuids(
                shellvars.parse(text).with_words(names, arguments.devices)
            ),
        )
    _edit_consoles(defaults, arguments)
    for path in files:
        arguments.edit(path, timeout=_with_timeouts)
    if _records_failures(context):
        path = defaults.last(_RECORDFAIL)
        if _RECORDFAIL not in shellvars.evaluate(defaults.read()):
            arguments.edit(path, timeout=_setting(_RECORDFAIL, str(TIMEOUT_LIMIT)))


def _edit_consoles(defaults: _Defaults, arguments: Arguments) -> None:
    """Give every kernel the consoles; where the normal entries have their own, those too."""
    values = shellvars.evaluate(defaults.read())
    normal = kernel_args.split(values.get(_NORMAL, ""))
    line = [*kernel_args.split(values.get(_LINUX, "")), *normal]
    if boot_arguments.consoles(line) == Edit():
        return
    names = [_LINUX, *([_NORMAL] if kernel_args.values(normal, "console") else [])]
    for name in names:
        path = defaults.last(name)

        def rewrite(text: str, name: str = name) -> str:
            variables = shellvars.parse(text)
            if not variables.all(name):
                variables = variables.with_value(name, "")
            return _last_edited(variables, name, boot_arguments.consoles)

        arguments.edit(path, consoles=rewrite)


def _last_edited(variables: ShellVars, name: str, edit: Editor) -> str:
    item = variables.all(name)[-1]
    return str(variables.edited(item, edit([span.word for span in item.words])))


def _with_uuids(variables: ShellVars) -> str:
    def edit(words: Sequence[str]) -> Edit:
        return Edit({0: "false"}) if [word.lower() for word in words] == ["true"] else Edit()

    return str(variables.with_words(_NO_UUIDS, edit))


def _with_timeouts(text: str) -> str:
    def edit(words: Sequence[str]) -> Edit:
        is_long = len(words) == 1 and is_too_long(words[0])
        return Edit({0: str(TIMEOUT_LIMIT)}) if is_long else Edit()

    names: list[str] = load("linux")["grub2"]["timeouts"]
    return str(shellvars.parse(text).with_words(names, edit))


def _setting(name: str, value: str) -> Callable[[str], str]:
    return lambda text: str(shellvars.parse(text).with_value(name, value))


def _records_failures(context: Context) -> bool:
    """Tell whether the generator writes Ubuntu's wait of 30 s after a boot that failed."""
    bootloader = context.facts.linux.bootloader
    scripts = bootloader.scripts if bootloader is not None else ()
    return any("function recordfail" in (paths.text(context.guest, path) or "") for path in scripts)


def _applies(facts: Facts) -> bool:
    return facts.linux.bootloader is not None and facts.linux.bootloader.kind == KIND


STEP: Final = Step(
    "grub-defaults", "keep GRUB's settings when it is configured anew", _applies, run
)
