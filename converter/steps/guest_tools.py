"""Tools and agents of the old hypervisor: not started any more, and reported (LNX-7).

Nothing of the guest is run, so nothing is uninstalled. Units are masked, which holds whatever their
package does later; the start links of System V scripts are taken away; an Upstart job is made
manual (`.override`, init(5)), or taken away where Upstart is too old for that (EL 6 has 0.6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.guest import paths, services
from converter.model import Finding, Severity
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.recording import RecordingGuest
    from converter.model import Facts
    from converter.steps.step import Context

_CODE: Final = "guest-tools"


def run(context: Context) -> None:
    """Plan that nothing of the tools is started, and name each of them."""
    for tool in context.facts.linux.guest_tools:
        names = load("linux")["guest_services"].get(tool, [])
        found = list(_disable(context, tool, names))
        context.guest.note(_disabled(tool, found) if found else _left(tool))


def _disable(context: Context, tool: str, names: list[str]) -> Iterator[str]:
    """Plan that none of `names` is started; gives those that are there."""
    reason = f"{tool} has no use on EC2, and waits for its old host"
    if context.facts.linux.init_system == "systemd":
        # It starts System V scripts as units of their names.
        units = [name if "." in name else f"{name}.service" for name in names]
        for unit in dict.fromkeys(units):
            if services.has_unit(context.guest, unit):
                path = f"{services.UNITS}/{unit}"
                context.guest.symlink("/dev/null", path, code=_CODE, reason=reason)
                yield unit
        return
    for name in names:
        script = _disable_script(context.guest, name, reason)
        if _disable_job(context, name, reason) or script:
            yield name


def _disable_script(guest: RecordingGuest, name: str, reason: str) -> bool:
    for link in tuple(services.start_links(guest, name)):
        guest.remove(link, code=_CODE, reason=reason)
    return services.has_script(guest, name)


def _disable_job(context: Context, name: str, reason: str) -> bool:
    guest = context.guest
    job = f"{services.JOBS}/{name}.conf"
    if not paths.is_file(guest, job):
        return False
    if context.facts.linux.package_manager != "dpkg":
        guest.remove(job, code=_CODE, reason=reason)
        return True
    path = f"{services.JOBS}/{name}.override"
    text = paths.text(guest, path) or ""
    if "manual" not in text.split():
        guest.write(path, paths.encode(f"{text}manual\n"), code=_CODE, reason=reason)
    return True


def _disabled(tool: str, names: list[str]) -> Finding:
    return Finding(
        Severity.INFO,
        "guest-tools-disabled",
        f"{tool} is installed; it has no use on EC2 and is not started any more"
        f" ({', '.join(names)})",
        "remove the package in the converted machine",
    )


def _left(tool: str) -> Finding:
    return Finding(
        Severity.INFO,
        "guest-tools-present",
        f"{tool} is installed; it has no use on EC2, does no harm, and was left as it is",
        "remove the package in the converted machine",
    )


def _applies(facts: Facts) -> bool:
    return bool(facts.linux.guest_tools)


STEP: Final = Step("guest-tools", "start nothing of the old hypervisor's", _applies, run)
