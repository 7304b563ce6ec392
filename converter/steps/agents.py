"""The agents that the guest gets from the driver store (LNX-6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.bundles import Install
from converter.data import load
from converter.model import InstallPackage
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.provision import Provided
    from converter.steps.step import Context

_CODE: Final = "agent-install"


def run(context: Context) -> None:
    """Plan that the guest's package manager installs each, and that it starts at boot."""
    for provided in context.options.payloads:
        if provided.choice.bundle.install is Install.PACKAGE:
            context.guest.install(_change(context.facts, provided))


def _change(facts: Facts, provided: Provided) -> InstallPackage:
    bundle, checked = provided.choice.bundle, provided.checked
    package = checked.package
    names: list[str] = load("linux")["agent_services"].get(bundle.provides, [])
    is_systemd = facts.linux.init_system == "systemd"
    return InstallPackage(
        code=_CODE,
        reason=f"{bundle.summary}, for {provided.choice.reason}",
        path=package.name if package else bundle.provides,
        manager=facts.linux.package_manager,
        version=checked.entry.version,
        payload=checked.path,
        digest=checked.entry.sha256,
        size=package.size if package else 0,
        files=package.files if package else (),
        services=tuple(name for name in names if ("." in name) == is_systemd),
    )


def _applies(facts: Facts) -> bool:
    return facts.linux.package_manager in {"dpkg", "rpm"}


STEP: Final = Step("agents", "put in the agents of EC2", _applies, run)
