"""GRUB 2: the devices, consoles and timeout of every entry, now and after update-grub (LNX-4, 5).

grub.cfg is edited rather than made anew: making it would run the guest's code, and in another
machine than the guest's. /etc/default/grub is edited to match, so that the guest's next
update-grub gives the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import grubscript, kernel_args, shellvars
from converter.guest import paths
from converter.steps.devices import is_unstable, stable_name
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converter.model import Facts
    from converter.steps.step import Context

DEFAULTS: Final = "/etc/default/grub"
CONSOLES: Final = ("tty0", "ttyS0,115200n8")
TIMEOUT_LIMIT: Final = 5
_DEVICE_KEYS: Final = ("root", "resume")

_DEVICES_REASON: Final = "disks have other names on EC2: the kernel finds its root by UUID"
_CONSOLE_REASON: Final = "EC2 shows the serial console (get-console-output, serial console)"
_TIMEOUT_REASON: Final = f"nobody is at the keyboard: at most {TIMEOUT_LIMIT} s in the menu"


def run(context: Context) -> None:
    """Plan the edits of grub.cfg and of the file it is made from."""
    bootloader = context.facts.os.bootloader
    if bootloader is None:
        return
    config = bootloader.config
    _edit_config(context, config)
    if paths.is_file(context.guest, DEFAULTS):
        _edit_defaults(context)


def _edit_config(context: Context, config: str) -> None:
    def write(text: str, code: str, reason: str) -> None:
        context.guest.write(config, paths.encode(text), code=code, reason=reason)

    def text() -> str:
        return paths.text(context.guest, config) or ""

    write(
        grubscript.edit_arguments(text(), lambda words: with_stable_devices(context, words)),
        "grub-device-name",
        _DEVICES_REASON,
    )
    write(grubscript.edit_arguments(text(), with_consoles), "grub-console", _CONSOLE_REASON)
    write(grubscript.limit_timeout(text(), TIMEOUT_LIMIT), "grub-timeout", _TIMEOUT_REASON)


def _edit_defaults(context: Context) -> None:
    def edit(code: str, reason: str, **values: str | None) -> None:
        variables = shellvars.parse(paths.text(context.guest, DEFAULTS) or "")
        for name, value in values.items():
            if value is not None and value != variables.get(name):
                variables = variables.with_value(name, value)
        context.guest.write(DEFAULTS, paths.encode(str(variables)), code=code, reason=reason)

    variables = shellvars.parse(paths.text(context.guest, DEFAULTS) or "")
    arguments = variables.get("GRUB_CMDLINE_LINUX") or ""
    default_only = variables.get("GRUB_CMDLINE_LINUX_DEFAULT")
    uses_names = (variables.get("GRUB_DISABLE_LINUX_UUID") or "").lower() == "true"
    edit(
        "grub-device-name",
        _DEVICES_REASON,
        GRUB_DISABLE_LINUX_UUID="false" if uses_names else None,
        GRUB_CMDLINE_LINUX=_stable_line(context, arguments),
        GRUB_CMDLINE_LINUX_DEFAULT=default_only and _stable_line(context, default_only),
    )
    stable = _stable_line(context, arguments)
    both = kernel_args.split(f"{stable} {default_only or ''}")
    missing = [word for word in with_consoles(both) if word not in both]
    line = kernel_args.join([*kernel_args.split(stable), *missing])
    edit("grub-console", _CONSOLE_REASON, GRUB_CMDLINE_LINUX=line if missing else None)
    timeout = variables.get("GRUB_TIMEOUT")
    too_long = timeout is not None and _is_too_long(timeout)
    edit("grub-timeout", _TIMEOUT_REASON, GRUB_TIMEOUT=str(TIMEOUT_LIMIT) if too_long else None)


def _is_too_long(timeout: str) -> bool:
    try:
        seconds = float(timeout)
    except ValueError:
        return False
    return seconds < 0 or seconds > TIMEOUT_LIMIT


def _stable_line(context: Context, line: str) -> str:
    words = kernel_args.split(line)
    stable = list(with_stable_devices(context, words))
    return line if stable == list(words) else kernel_args.join(stable)


def with_stable_devices(context: Context, words: Sequence[str]) -> list[str]:
    """Give kernel arguments with root= and resume= by UUID; a resume= that leads nowhere goes."""
    result = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in _DEVICE_KEYS or not is_unstable(value):
            result.append(word)
            continue
        name = stable_name(context.storage, value)
        if name is not None:
            result.append(f"{key}={name}")
        elif key == "root":
            result.append(f"root={_root_name(context)}")
    return result


def _root_name(context: Context) -> str:
    root = next(mount for mount in context.facts.mounts if mount.path == "/")
    return f"UUID={root.uuid}"


def with_consoles(words: Sequence[str]) -> list[str]:
    """Give kernel arguments with the screen and the serial line as consoles, that one last."""
    return kernel_args.applied(words, kernel_args.consoles(words, CONSOLES))


def _applies(facts: Facts) -> bool:
    return facts.os.bootloader is not None and facts.os.bootloader.kind == "grub2"


STEP: Final = Step("grub2", "boot by UUID, with a serial console", _applies, run)
