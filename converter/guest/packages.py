"""Installs packages by the guest's own package manager, when all files of a plan are in.

dpkg(1) and rpm(8) run in the appliance, in the guest's tree and without a network. A package whose
installation fails is taken out again, its scripts unheard; that it could not be installed is a
finding, that it could not be taken out an error: nothing half-installed is handed off.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from converter.errors import ConversionError, GuestError
from converter.formats import ini
from converter.guest import paths, services
from converter.guest.labels import LABEL, Labels, is_enabled
from converter.model import FileKind, Finding, InstallPackage, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.protocol import Machine, Ran
    from converter.model import Plan

# Soft, by the guest's timeout(1) where it has one; and hard, by ending the machine. In seconds.
_PATIENCE: Final = 900
_LIMIT: Final = 1200.0
_TAIL: Final = 1500
_DPKG_INFO: Final = "/var/lib/dpkg/info"
_SCRIPTS: Final = ("preinst", "postinst", "prerm", "postrm")


@dataclass(frozen=True, slots=True)
class _Manager:
    """How a package manager is told to install a file, and to forget a package; and to ask it."""

    install: tuple[str, ...]
    remove: tuple[str, ...]
    query: tuple[str, ...]


_MANAGERS: Final = {
    "dpkg": _Manager(
        ("dpkg", "--force-confold", "--install"),
        ("dpkg", "--force-all", "--purge"),
        ("dpkg-query", "--show", "--showformat=${Status}"),
    ),
    # The store's lock and the vendor's signature were checked; newer rpms want a key of their own.
    "rpm": _Manager(
        ("rpm", "--nosignature", "--install"),
        ("rpm", "--erase", "--nodeps", "--noscripts", "--notriggers"),
        ("rpm", "--query"),
    ),
}


def install(plan: Plan, machine: Machine) -> tuple[Finding, ...]:
    """Install the packages of `plan`; gives what became of each.

    Raises `ConversionError` ``package-half-installed`` when one can neither be installed nor taken
    out again.
    """
    wanted = [change for change in plan.changes if isinstance(change, InstallPackage)]
    return tuple(_Installation(change, machine).run() for change in wanted)


class _Installation:
    """One package on its way into a guest."""

    def __init__(self, change: InstallPackage, machine: Machine) -> None:
        self._change = change
        self._machine = machine
        self._manager = _MANAGERS[change.manager]
        self._there = frozenset(
            path for path in (*change.files, *self._links()) if machine.lstat(path) is not None
        )

    def run(self) -> Finding:
        change = self._change
        with self._uploaded() as path:
            ran = self._machine.run(self._patiently(*self._manager.install, path), seconds=_LIMIT)
        if ran.status == 0 and self._is_installed():
            self._label()
            return self._enable()
        self._take_out()
        return Finding(
            Severity.WARNING,
            "agent-not-installed",
            f"{change.path} {change.version} could not be installed, and nothing of it is left:"
            f" {change.manager} ended with {ran.status}: {ran.output.strip()[-_TAIL:]}",
            f"put right what {change.manager} says and convert again, or install it in the machine",
        )

    @contextmanager
    def _uploaded(self) -> Iterator[str]:
        suffix = {"dpkg": "deb", "rpm": "rpm"}[self._change.manager]
        path = f"/.converter-{secrets.token_hex(8)}.{suffix}"
        self._machine.upload(self._change.payload, path)
        try:
            if self._machine.digest(path) != self._change.digest:
                raise GuestError(
                    "plan-outdated",
                    f"{self._change.payload}: changed since the plan was made",
                    hint="the driver store was written meanwhile; start again",
                )
            yield path
        finally:
            self._machine.remove(path)

    def _patiently(self, *argv: str) -> tuple[str, ...]:
        if not paths.is_file(self._machine, "/usr/bin/timeout"):
            return argv
        return ("timeout", str(_PATIENCE), *argv)

    def _asked(self) -> Ran:
        return self._machine.run((*self._manager.query, self._change.path), seconds=_LIMIT)

    def _is_installed(self) -> bool:
        asked = self._asked()
        if self._change.manager == "dpkg":
            return asked.status == 0 and asked.output == "install ok installed"
        return asked.status == 0

    def _is_known(self) -> bool:
        asked = self._asked()
        return asked.status == 0 and not asked.output.endswith("not-installed")

    # --- and what makes it start -----------------------------------------------------------------

    def _enable(self) -> Finding:
        """Have its services started at boot, where its scripts, without a running init, did not."""
        change = self._change
        names = [name for name in change.services if self._is_there(name)]
        for unit in names:
            if unit.endswith(".service") and not services.is_enabled(self._machine, [unit]):
                self._link(unit)
        what = f"{change.path} {change.version} was installed by {change.manager}"
        if services.is_enabled(self._machine, names):
            return Finding(Severity.INFO, "agent-installed", f"{what} and starts at boot")
        return Finding(
            Severity.WARNING,
            "agent-not-enabled",
            f"{what}, and nothing starts it at boot",
            "see what the package brings to start it, and enable that in the machine",
        )

    def _is_there(self, name: str) -> bool:
        if name.endswith(".service"):
            return services.has_unit(self._machine, name)
        return paths.is_file(self._machine, f"{services.JOBS}/{name}.conf")

    def _link(self, unit: str) -> None:
        path = services.unit_file(self._machine, unit)
        if path is None or services.is_masked(self._machine, unit):
            return
        text = paths.text(self._machine, path) or ""
        for target in ini.parse(text).words("Install", "WantedBy"):
            if "/" in target:
                continue
            link = f"{services.UNITS}/{target}.wants/{unit}"
            self._machine.mkdir(link.rpartition("/")[0])
            self._machine.symlink(path, link)
            self._set_label(link)

    def _label(self) -> None:
        """Give its files the labels that rpm would, if the appliance had SELinux."""
        for path in self._change.files if self._labels else ():
            if path not in self._there:
                self._set_label(path)

    def _set_label(self, path: str) -> None:
        stat = self._machine.lstat(path)
        if stat is None or self._labels is None:
            return
        label = self._labels.find(path, stat.kind)
        if label is not None:
            self._machine.set_attributes({path: [(LABEL, label)]})

    @cached_property
    def _labels(self) -> Labels | None:
        return Labels(self._machine) if is_enabled(self._machine) else None

    # --- and out again ----------------------------------------------------------------------------

    def _links(self) -> Iterator[str]:
        """Give where the links are that enable its services, if they are there at all."""
        for directory in paths.names(self._machine, services.UNITS):
            if directory.endswith(".wants"):
                for unit in self._change.services:
                    yield f"{services.UNITS}/{directory}/{unit}"

    def _take_out(self) -> None:
        change = self._change
        if self._is_known():
            self._silence()
            self._machine.run((*self._manager.remove, change.path), seconds=_LIMIT)
        for path in (*change.files, *self._links()):
            stat = self._machine.lstat(path)
            if stat is None or path in self._there or stat.kind is FileKind.DIRECTORY:
                continue
            self._machine.remove(path)
        if self._is_known():
            raise ConversionError(
                "package-half-installed",
                f"{change.path} could neither be installed nor taken out again",
                hint="convert with --agent none; the --log file has what the guest's programs said",
            )

    def _silence(self) -> None:
        """Take away the scripts that would be run once more; they have failed already."""
        for script in _SCRIPTS:
            path = f"{_DPKG_INFO}/{self._change.path}.{script}"
            if self._machine.lstat(path) is not None:
                self._machine.remove(path)
