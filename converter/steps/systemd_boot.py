"""systemd-boot: the time in its menu (loader.conf(5)). Its entries are `steps.boot_entries`'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import bls
from converter.inspection.systemd_boot import KIND
from converter.steps.boot_arguments import TIMEOUT_LIMIT, Arguments, is_too_long
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context

_WITHOUT_END: Final = "menu-force"


def run(context: Context) -> None:
    """Plan a timeout within the limit; without one, systemd-boot does not wait."""
    bootloader = context.facts.linux.bootloader
    for path in bootloader.scripts if bootloader is not None else ():
        Arguments(context).edit(path, timeout=_with_timeout)


def _with_timeout(text: str) -> str:
    config = bls.parse(text)
    value = config.get("timeout") or ""
    if value != _WITHOUT_END and not is_too_long(value):
        return text
    return str(config.with_value("timeout", str(TIMEOUT_LIMIT)))


def _applies(facts: Facts) -> bool:
    return facts.linux.bootloader is not None and facts.linux.bootloader.kind == KIND


STEP: Final = Step("systemd-boot", "do not wait for long in the menu", _applies, run)
