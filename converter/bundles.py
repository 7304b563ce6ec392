"""What can be put into a guest that does not come from it, and what of it a guest gets.

A bundle is a row of data (`drivers/*/bundle.toml`, explained in `drivers/README.md`); its payloads
are in a driver store (`store`). `select` decides from facts alone, so that what it says holds for a
dry run and for the conversion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from converter.capabilities import has_driver
from converter.data import load
from converter.errors import DefectError
from converter.formats import versions
from converter.model import WindowsFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converter.model import LinuxFacts

# .NET Framework 4.5, as its key `Release` counts (Microsoft Learn, "Determine which versions are
# installed").
_DOTNET_45: Final = 378_389
DEFINITIONS: Final = Path(__file__).parent / "drivers"
_UPSTREAM: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")


class Family(StrEnum):
    """Whose guests a bundle is for."""

    LINUX = "linux"
    WINDOWS = "windows"


class Kind(StrEnum):
    """What a bundle is to a guest."""

    AGENT = "agent"
    DRIVER = "driver"
    RUNTIME = "runtime"


class Format(StrEnum):
    """What a payload is, by its file."""

    DEB = "deb"
    RPM = "rpm"
    ZIP = "zip"
    TAR = "tar"
    MSI = "msi"
    EXE = "exe"


class Install(StrEnum):
    """How a payload gets into a guest."""

    PACKAGE = "package"
    DKMS = "dkms"
    PNPUTIL = "pnputil"
    MSI = "msi"
    EXE = "exe"
    SCRIPT = "script"


# The package manager that takes a format.
_MANAGERS: Final = {Format.DEB: "dpkg", Format.RPM: "rpm"}


@dataclass(frozen=True, slots=True)
class Payload:
    """One file of a vendor, and the guests that it suits; `name` is unique in its bundle.

    `holds` is the file in a zip that does the work, and can stand for the zip.
    """

    name: str
    file: str
    format: Format
    url: str = ""
    signature: str = ""
    version: str = ""
    sha256: str = ""
    holds: str = ""
    architectures: list[str] = field(default_factory=list)
    kernel_from: str = ""
    kernel_before: str = ""
    build_from: int = 0
    build_before: int = 0


@dataclass(frozen=True, slots=True)
class Bundle:
    """What can be put into a guest; drivers/README.md says what each field means."""

    name: str
    kind: Kind
    family: Family
    summary: str
    licence: str
    origin: str
    install: Install
    payloads: list[Payload]
    provides: str = ""
    fallback_for: str = ""
    boot_critical: bool = False
    hardware_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """What of a guest it depends on whether a payload suits.

    `has` are the agents that it has and the devices that it drives; `kernel` is the default one's
    release, `build` the number of a Windows.
    """

    family: Family
    architecture: str
    package_manager: str = ""
    kernel: str = ""
    build: int = 0
    has: frozenset[str] = frozenset()


class Verdict(StrEnum):
    """What comes of a bundle for a guest."""

    INSTALL = "install"
    PRESENT = "present"
    UNSUITABLE = "unsuitable"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which payloads of a bundle would do for a guest, the best first, and why, or why none."""

    bundle: Bundle
    verdict: Verdict
    reason: str
    payloads: tuple[Payload, ...] = ()


@cache
def definitions() -> tuple[Bundle, ...]:
    """Give every bundle there is. Raises `DefectError` when one cannot be read."""
    return tuple(_load(path) for path in sorted(DEFINITIONS.glob("*/bundle.toml")))


def _load(path: Path) -> Bundle:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Bundle)
    except (OSError, msgspec.DecodeError) as error:
        raise DefectError(
            "bundle-invalid", f"{path}: {error}", hint="reinstall converter, or report it"
        ) from error


def find(name: str) -> Bundle | None:
    """Give the bundle called `name`."""
    return next((bundle for bundle in definitions() if bundle.name == name), None)


def target(facts: LinuxFacts | WindowsFacts) -> Target:
    """Tell of a guest what choosing depends on."""
    if isinstance(facts, WindowsFacts):
        return _windows(facts)
    devices = (name for name in load("linux")["drivers"] if has_driver(facts, name))
    return Target(
        Family.LINUX,
        facts.architecture,
        facts.package_manager,
        facts.default_kernel.release if facts.default_kernel else "",
        has=frozenset({*facts.agents, *devices}),
    )


def _windows(facts: WindowsFacts) -> Target:
    dotnet = ["dotnet"] if facts.dotnet >= _DOTNET_45 else []
    # Names of services have no case; a bundle gives its own as its vendor writes it.
    drivers = {name for row in load("windows")["drivers"].values() for name in row["services"]}
    off = {name.upper() for name in drivers - facts.drivers}
    services = {name.upper() for name in facts.services.keys() - facts.stand_ins} - off
    driven = [bundle.provides for bundle in definitions() if bundle.provides.upper() in services]
    return Target(
        Family.WINDOWS,
        facts.architecture,
        build=facts.build,
        has=frozenset({*facts.agents, *driven, *dotnet}),
    )


def select(guest: Target, bundles: Iterable[Bundle] | None = None) -> tuple[Choice, ...]:
    """Tell for every bundle of the guest's family what of it the guest gets, and why."""
    every = definitions() if bundles is None else bundles
    return tuple(_choose(guest, bundle) for bundle in every if bundle.family is guest.family)


def _choose(guest: Target, bundle: Bundle) -> Choice:
    if bundle.provides and bundle.provides in guest.has:
        return Choice(bundle, Verdict.PRESENT, f"the guest has {bundle.provides}")
    objections = {p.name: next(_objections(guest, p), "") for p in bundle.payloads}
    suitable = tuple(p for p in bundle.payloads if not objections[p.name])
    if suitable:
        return Choice(bundle, Verdict.INSTALL, _suits(guest, suitable[0]), suitable)
    reason = "; ".join(f"{name} {objection}" for name, objection in objections.items())
    return Choice(bundle, Verdict.UNSUITABLE, reason)


def _objections(guest: Target, payload: Payload) -> Iterator[str]:
    """Say why `payload` does not suit; nothing when it does."""
    manager = _MANAGERS.get(payload.format, "")
    if manager and manager != guest.package_manager:
        yield f"is for {manager}, the guest has {guest.package_manager or 'no package manager'}"
    if payload.architectures and guest.architecture not in payload.architectures:
        yield f"is for {', '.join(payload.architectures)}, the guest is {guest.architecture}"
    found = _UPSTREAM.match(guest.kernel)
    kernel = found[0] if found else ""
    if payload.kernel_from and versions.rpm(kernel, payload.kernel_from) < 0:
        yield f"is for kernels from {payload.kernel_from}, the guest's is {guest.kernel or 'none'}"
    if payload.kernel_before and versions.rpm(kernel, payload.kernel_before) >= 0:
        yield f"is for kernels before {payload.kernel_before}, the guest's is {guest.kernel}"
    if guest.build < payload.build_from:
        yield f"is for builds from {payload.build_from}, the guest's is {guest.build}"
    if payload.build_before and guest.build >= payload.build_before:
        yield f"is for builds before {payload.build_before}, the guest's is {guest.build}"


def _suits(guest: Target, payload: Payload) -> str:
    what = guest.kernel if guest.family is Family.LINUX else f"build {guest.build}"
    return f"{payload.name} is for {what} on {guest.architecture}"
