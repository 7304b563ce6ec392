from __future__ import annotations

import platform
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter import bundles, provision
from converter.errors import UsageError
from converter.model import Kernel, LinuxFacts, Severity, Wanted
from converter.provision import provide
from converter.store import LOCK, Store
from tests.unit import package_samples as made
from tests.unit.samples import LINUX

if TYPE_CHECKING:
    from pathlib import Path

KERNEL = Kernel("6.1.0-49-amd64", "/boot/vmlinuz-6.1.0-49-amd64", frozenset({"ena"}))
DEBIAN = replace(
    LINUX, package_manager="dpkg", architecture="x86_64", default_kernel=KERNEL, agents=()
)


@pytest.fixture(autouse=True)
def on_x86_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("CONVERTER_DRIVERS", "/nonexistent")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    bundle = bundles.find("amazon-ssm-agent")
    assert bundle is not None
    source = tmp_path / "given"
    source.write_bytes(made.deb())
    Store(tmp_path / "store").add(bundle, bundle.payloads[0], source, origin="here")
    return tmp_path / "store"


def codes(facts: LinuxFacts, wanted: Wanted) -> list[tuple[str, str]]:
    found = provide(facts, wanted)
    assert found.payloads == ()
    return [(finding.severity.value, finding.code) for finding in found.findings]


def test_what_the_store_has(store: Path) -> None:
    found = provide(DEBIAN, Wanted(drivers=store))
    assert found.findings == ()
    (provided,) = found.payloads
    assert provided.checked.path.read_bytes() == made.deb()


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (DEBIAN, [("info", "payload-missing")]),
        (replace(DEBIAN, package_manager="rpm"), [("info", "payload-missing")]),
        (replace(DEBIAN, package_manager="pacman"), [("info", "agent-unsuitable")]),
        (replace(DEBIAN, agents=("amazon-ssm-agent",)), [("info", "agent-present")]),
        (replace(DEBIAN, architecture="aarch64"), [("warning", "agent-architecture")]),
        (
            replace(DEBIAN, default_kernel=replace(KERNEL, modules=frozenset())),
            [("info", "payload-missing"), ("warning", "driver-not-built")],
        ),
    ],
)
def test_what_a_guest_goes_without(facts: LinuxFacts, expected: list[tuple[str, str]]) -> None:
    assert codes(facts, Wanted()) == expected


def test_nothing_is_wanted(store: Path) -> None:
    assert codes(DEBIAN, Wanted(agent=False, drivers=store)) == []
    assert codes(DEBIAN, Wanted(as_is=True, drivers=store)) == []


def test_a_damaged_payload_is_told_with_what_to_do(store: Path) -> None:
    (entry,) = Store(store).entries
    Store(store).path(entry).write_bytes(b"x")
    (finding,) = provide(DEBIAN, Wanted(drivers=store)).findings
    assert (finding.severity, finding.code) == (Severity.WARNING, "payload-damaged")
    assert "converter drivers" in finding.hint


def test_a_store_without_a_lock_that_can_be_read(store: Path) -> None:
    (store / LOCK).write_text("{")
    assert codes(DEBIAN, Wanted(drivers=store)) == [
        ("warning", "store-invalid"),
        ("info", "payload-missing"),
    ]


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        provide(DEBIAN, Wanted(drivers=tmp_path / "missing"))


def test_what_would_come_of_it(store: Path) -> None:
    found = {item.bundle: item.verdict for item in provision.explain(DEBIAN, Wanted(drivers=store))}
    assert found == {"amazon-ssm-agent": "install", "ena-source": "present"}
