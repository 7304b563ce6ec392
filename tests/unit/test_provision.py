from __future__ import annotations

import hashlib
import io
import json
import platform
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter import bundles, provision, signature
from converter.bundles import Format, Payload
from converter.errors import DamagedInputError, UsageError
from converter.formats import installer
from converter.model import Kernel, LinuxFacts, Severity, Wanted
from converter.provision import provide
from converter.store import LOCK, Store
from tests.unit import package_samples as made
from tests.unit import windows_samples
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


class TestDamagedStores:
    """One payload of several is damaged: the guest goes without it, and gets the others."""

    GOOD = "good-agent"

    @pytest.fixture
    def names(self, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
        """Have several bundles for the guest, all of one kind each."""
        real = bundles.find("amazon-ssm-agent")
        assert real is not None
        deb = replace(real.payloads[0], signature="https://example.com/x.sig")
        packed = Payload("zip", "drivers.zip", Format.ZIP)
        made_up = (
            replace(real, name="bad-agent", summary="bad", payloads=[deb], provides=real.name),
            replace(real, name="bad-archive", summary="archive", payloads=[packed]),
            replace(real, name=self.GOOD, summary="good", payloads=[replace(deb, signature="")]),
        )
        monkeypatch.setattr(bundles, "definitions", lambda: made_up)
        return tuple(bundle.name for bundle in made_up)

    @pytest.fixture
    def filled(
        self, names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Store:
        def check(file: Path, detached: Path, _: Path) -> None:
            if detached.read_bytes() != b"good":
                raise DamagedInputError("signature-wrong", f"{file}: is not signed by its vendor")

        monkeypatch.setattr(signature, "check", check)
        opened = Store(tmp_path / "several")
        for name in names:
            bundle = bundles.find(name)
            assert bundle is not None
            source = tmp_path / "given"
            is_zip = bundle.payloads[0].format is Format.ZIP
            source.write_bytes(archive("x") if is_zip else made.deb())
            signed_by = None
            if bundle.payloads[0].signature:
                opened.add_key(bundle, b"key")
                signed_by = b"good"
            opened.add(bundle, bundle.payloads[0], source, origin="here", signed_by=signed_by)
        return opened

    def left_out(self, opened: Store, name: str) -> tuple[str, str]:
        """Give what is said of the only payload that the guest does not get."""
        found = provide(DEBIAN, Wanted(drivers=opened.directory))
        provided = {item.choice.bundle.name for item in found.payloads}
        assert provided == {"bad-agent", "bad-archive", self.GOOD} - {name}
        (finding,) = found.findings
        assert finding.severity is Severity.WARNING
        assert "the guest goes without" in finding.message
        return finding.code, finding.message

    def path(self, opened: Store, name: str) -> Path:
        return next(opened.path(entry) for entry in opened.entries if entry.bundle == name)

    def test_without_damage_it_gets_all(self, filled: Store, names: tuple[str, ...]) -> None:
        found = provide(DEBIAN, Wanted(drivers=filled.directory))
        assert [item.choice.bundle.name for item in found.payloads] == list(names)
        assert found.findings == ()

    @pytest.mark.parametrize("length", [0, 100, -1])
    def test_a_truncated_one(self, filled: Store, length: int) -> None:
        path = self.path(filled, "bad-agent")
        path.write_bytes(path.read_bytes()[:length])
        code, message = self.left_out(filled, "bad-agent")
        assert code == "payload-damaged"
        assert "bytes, the lock says" in message

    def test_one_with_another_signature(self, filled: Store) -> None:
        path = self.path(filled, "bad-agent")
        path.with_name(f"{path.name}.sig").write_bytes(b"another's")
        assert self.left_out(filled, "bad-agent")[0] == "signature-wrong"

    def test_one_that_is_unsafe_to_unpack(self, filled: Store) -> None:
        # As somebody makes it who can write into the store: the lock tells of what is there.
        data = archive("../../../etc/cron.d/x")
        self.path(filled, "bad-archive").write_bytes(data)
        lock = json.loads((filled.directory / LOCK).read_text())
        for row in lock["payloads"]:
            if row["bundle"] == "bad-archive":
                row.update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        (filled.directory / LOCK).write_text(json.dumps(lock))
        code, message = self.left_out(filled, "bad-archive")
        assert code == "payload-damaged"
        assert "leads out of the archive" in message

    def test_one_whose_signature_is_gone_is_told(self, filled: Store) -> None:
        path = self.path(filled, "bad-agent")
        path.with_name(f"{path.name}.sig").unlink()
        lock = (filled.directory / LOCK).read_text()
        (filled.directory / LOCK).write_text(lock.replace('"signed": true', '"signed": false'))
        found = provide(DEBIAN, Wanted(drivers=filled.directory))
        assert len(found.payloads) == 3
        (finding,) = found.findings
        assert (finding.severity, finding.code) == (Severity.WARNING, "payload-unsigned")


class TestWindows:
    """A guest that gets what is meant for it, and what stands in for it only if that is missing."""

    @pytest.fixture
    def held(self, tmp_path: Path) -> Store:
        return Store(tmp_path / "windows")

    def add(self, held: Store, name: str, tmp_path: Path) -> None:
        bundle = bundles.find(name)
        assert bundle is not None
        source = tmp_path / "given"
        is_msi = bundle.payloads[0].format is Format.MSI
        source.write_bytes(installer.MAGIC if is_msi else archive("Install-EC2Launch.ps1"))
        held.add(bundle, bundle.payloads[0], source, origin="here")

    @pytest.mark.parametrize(
        ("kept", "agents", "given"),
        [
            (["ec2launch-v1", "ec2launch-v2"], (), ["ec2launch-v2"]),
            (["ec2launch-v2"], (), ["ec2launch-v2"]),
            (["ec2launch-v1"], (), ["ec2launch-v1"]),
            ([], (), []),
            # What it has needs nothing that stands in for it.
            (["ec2launch-v1", "ec2launch-v2"], ("ec2launch-v2",), []),
            (["ec2launch-v1", "ec2launch-v2"], ("ec2launch-v1",), ["ec2launch-v2"]),
        ],
    )
    def test_fallbacks(
        self,
        held: Store,
        tmp_path: Path,
        kept: list[str],
        agents: tuple[str, ...],
        given: list[str],
    ) -> None:
        held.directory.mkdir()
        for name in kept:
            self.add(held, name, tmp_path)
        guest = replace(windows_samples.facts().windows, agents=agents)
        wanted = Wanted(drivers=held.directory)
        found = provide(guest, wanted)
        assert [item.choice.bundle.name for item in found.payloads] == given
        outcomes = {item.bundle: item.verdict for item in provision.explain(guest, wanted)}
        installed = [name for name in outcomes if outcomes[name] == "install"]
        assert installed == given


def archive(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr(name, b"x")
    return buffer.getvalue()


def test_how_a_payload_comes_into_the_store_that_was_named(tmp_path: Path) -> None:
    found = provide(DEBIAN, Wanted(drivers=tmp_path)).findings
    where = f"--drivers {tmp_path}"
    assert found[0].hint == (
        f"converter drivers fetch amazon-ssm-agent {where}; or converter drivers import {where}"
        " FILE, the vendor's"
    )
