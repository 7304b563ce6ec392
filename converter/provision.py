"""What of the driver store a guest is to get, checked before anything is planned."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter import bundles
from converter.bundles import Install, Kind, Verdict
from converter.errors import DamagedInputError, UsageError
from converter.model import Finding, LinuxFacts, Severity
from converter.store import Store, default_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converter.bundles import Choice, Payload
    from converter.model import Wanted, WindowsFacts
    from converter.store import Checked

# What can be run on a host of another architecture.
_COMPATIBLE: Final = {("x86_64", "i686")}


@dataclass(frozen=True, slots=True)
class Provided:
    """A payload that a guest gets: why, and where it is."""

    choice: Choice
    checked: Checked

    @property
    def payload(self) -> Payload:
        """The payload that was chosen."""
        name = self.checked.entry.payload
        return next(payload for payload in self.choice.payloads if payload.name == name)


@dataclass(frozen=True, slots=True)
class Provision:
    """What a guest gets, and what it does not get and why."""

    payloads: tuple[Provided, ...] = ()
    findings: tuple[Finding, ...] = ()


def provide(facts: LinuxFacts | WindowsFacts, wanted: Wanted) -> Provision:
    """Choose what the guest gets, and read it to its end.

    What is missing or damaged is a finding, and the guest is converted without. Raises
    `UsageError` ``store-missing`` for a store that was named and is not there.
    """
    if wanted.as_is:
        return Provision()
    payloads: list[Provided] = []
    findings: list[Finding] = []
    store: Store | None = None
    try:
        store = open_store(wanted)
    except DamagedInputError as error:
        findings.append(Finding(Severity.WARNING, error.code, error.message, error.hint))
    choices = [
        choice
        for choice in bundles.select(bundles.target(facts))
        if wanted.agent or choice.bundle.kind is not Kind.AGENT
    ]
    for decision in _decide(facts, store, choices):
        choice, found = decision.choice, decision.found
        if isinstance(found, Provided):
            payloads.append(found)
            if found.checked.is_unsigned:
                findings.append(_unsigned(choice))
        elif found is not None and not choice.bundle.fallback_for:
            findings.append(found)
    return Provision(tuple(payloads), tuple(findings))


@dataclass(frozen=True, slots=True)
class _Decision:
    """What comes of a bundle. `is_spared`: what it stands in for is given, or there already."""

    choice: Choice
    found: Provided | Finding | None
    is_spared: bool


def _decide(
    facts: LinuxFacts | WindowsFacts, store: Store | None, choices: Iterable[Choice]
) -> Iterator[_Decision]:
    """Decide about each bundle, and about those that stand in for another one last."""
    given: set[str] = set()
    for choice in sorted(choices, key=lambda choice: bool(choice.bundle.fallback_for)):
        is_spared = choice.bundle.fallback_for in given
        found = None if is_spared else _provide(facts, store, choice)
        if isinstance(found, Provided) or choice.verdict is Verdict.PRESENT:
            given.add(choice.bundle.name)
        yield _Decision(choice, found, is_spared)


def open_store(wanted: Wanted) -> Store | None:
    """Open the store that was named, or the user's own if there is one.

    Raises `UsageError` ``store-missing``, `DamagedInputError` ``store-invalid``.
    """
    directory = wanted.drivers or default_directory()
    if directory is None:
        return None
    # Path.is_dir() raises where one may not look.
    if not os.path.isdir(directory):  # noqa: PTH112
        if wanted.drivers is None:
            return None
        raise UsageError(
            "store-missing",
            f"{directory}: is no driver store",
            hint="make one: converter drivers fetch --drivers DIR, or converter drivers import",
        )
    return Store(directory)


def _provide(
    facts: LinuxFacts | WindowsFacts, store: Store | None, choice: Choice
) -> Provided | Finding | None:
    if not choice.payloads:
        return _without(choice)
    if isinstance(facts, LinuxFacts):
        if choice.bundle.install is Install.DKMS:
            return _to_be_built(facts, choice)
        if not _runs_here(facts.architecture):
            return _foreign(facts, choice)
    kept = [store.find(choice.bundle, payload) for payload in choice.payloads] if store else []
    entry = next((entry for entry in kept if entry), None)
    if store is None or entry is None:
        return Finding(
            Severity.INFO,
            "payload-missing",
            f"{choice.bundle.summary}: the driver store has no {choice.payloads[0].name}, and the"
            " guest goes without",
            _how(choice, store),
        )
    try:
        checked = store.check(entry)
    except DamagedInputError as error:
        message = f"{choice.bundle.summary}: the guest goes without: {error.message}"
        return Finding(Severity.WARNING, error.code, message, error.hint)
    return Provided(choice, checked)


def _how(choice: Choice, store: Store | None) -> str:
    """Say how what is missing comes into the store."""
    is_own = store is None or store.directory == default_directory()
    where = "" if store is None or is_own else f" --drivers {store.directory}"
    fetch = f"converter drivers fetch {choice.bundle.name}{where}"
    bring = f"converter drivers import{where} FILE"
    if any(payload.url for payload in choice.payloads):
        return f"{fetch}; or {bring}, the vendor's"
    return f"get it from its vendor, and {bring}"


def _unsigned(choice: Choice) -> Finding:
    return Finding(
        Severity.WARNING,
        "payload-unsigned",
        f"{choice.bundle.summary}: the driver store has its vendor's key, but no signature of what"
        " the guest gets",
        f"converter drivers fetch {choice.bundle.name}, or import it with its .sig beside it",
    )


def _foreign(facts: LinuxFacts, choice: Choice) -> Finding:
    return Finding(
        Severity.WARNING,
        "agent-architecture",
        f"{choice.bundle.summary}: the guest goes without: its own programs ({facts.architecture})"
        f" do not run on this host ({platform.machine()})",
        "convert it on a host of its own architecture, or install it in the machine",
    )


def _to_be_built(facts: LinuxFacts, choice: Choice) -> Finding:
    kernel = facts.default_kernel.release if facts.default_kernel else "its kernel"
    return Finding(
        Severity.WARNING,
        "driver-not-built",
        f"{choice.bundle.summary}: {kernel} lacks it, and drivers are not built here",
        f"build it in the machine before it is exported ({choice.bundle.origin}), or use an"
        " instance type that does not need it",
    )


def _without(choice: Choice) -> Finding | None:
    """Tell that a guest gets nothing of a bundle, where somebody could wonder."""
    if choice.bundle.kind is not Kind.AGENT:
        return None
    if choice.verdict is Verdict.PRESENT:
        return Finding(
            Severity.INFO, "agent-present", f"{choice.bundle.summary}: {choice.reason} already"
        )
    return Finding(Severity.INFO, "agent-unsuitable", f"{choice.bundle.summary}: {choice.reason}")


def _runs_here(architecture: str) -> bool:
    host = platform.machine()
    return architecture == host or (host, architecture) in _COMPATIBLE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What would come of a bundle: "install", or the reason why nothing is put in, by its code."""

    bundle: str
    verdict: str
    reason: str


def explain(facts: LinuxFacts | WindowsFacts, wanted: Wanted) -> Iterator[Outcome]:
    """Give for every bundle of the guest's family what would come of it.

    Raises `DamagedInputError` ``store-invalid``.
    """
    choices = bundles.select(bundles.target(facts))
    for decision in _decide(facts, open_store(wanted), choices):
        choice, found, bundle = decision.choice, decision.found, decision.choice.bundle
        if decision.is_spared:
            reason = f"only stands in for {bundle.fallback_for}"
            yield Outcome(bundle.name, Verdict.UNSUITABLE.value, reason)
        elif isinstance(found, Finding) and choice.payloads:
            yield Outcome(bundle.name, found.code, found.message)
        else:
            yield Outcome(bundle.name, choice.verdict.value, choice.reason)
