from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter import bundles, importing, store
from converter.errors import ConversionError, DamagedInputError, UsageError
from converter.store import LOCK, Store
from tests.unit import package_samples as made

if TYPE_CHECKING:
    from pathlib import Path

    from converter.bundles import Bundle, Payload
    from converter.store import Entry

DEB = made.deb()


def named(bundle: str, payload: str) -> tuple[Bundle, Payload]:
    found = bundles.find(bundle)
    assert found is not None
    return found, next(item for item in found.payloads if item.name == payload)


def add(directory: Path, data: bytes = DEB, name: str = "amazon-ssm-agent/deb-x86_64") -> Entry:
    source = directory.parent / "given"
    source.write_bytes(data)
    bundle, payload = named(*name.split("/"))
    return Store(directory).add(bundle, payload, source, origin="here")


def packed(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    return buffer.getvalue()


class TestAdding:
    def test_is_locked_and_found_again(self, tmp_path: Path) -> None:
        entry = add(tmp_path / "store")
        again = Store(tmp_path / "store")
        assert again.entries == (entry,)
        checked = again.check(entry)
        assert checked.path.read_bytes() == DEB
        assert checked.package is not None
        assert (checked.package.name, entry.version) == ("amazon-ssm-agent", "3.3.1-1")

    def test_replaces_what_was_there(self, tmp_path: Path) -> None:
        add(tmp_path / "store")
        entry = add(tmp_path / "store", made.deb(made.CONTROL.replace("3.3.1", "3.3.2")))
        assert [item.version for item in Store(tmp_path / "store").entries] == ["3.3.2-1"]
        Store(tmp_path / "store").check(entry)

    def test_keeps_the_others(self, tmp_path: Path) -> None:
        add(tmp_path / "store")
        add(tmp_path / "store", made.rpm(), "amazon-ssm-agent/rpm-x86_64")
        assert len(Store(tmp_path / "store").entries) == 2

    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("amazon-ssm-agent/deb-x86_64", b""),
            ("amazon-ssm-agent/deb-x86_64", DEB[:-900]),
            ("amazon-ssm-agent/rpm-x86_64", DEB),
            ("amazon-ssm-agent/rpm-x86_64", made.rpm(name="bash")),
            ("amazon-ssm-agent/deb-x86_64", made.deb(made.CONTROL.replace("amazon", "-amazon"))),
            ("aws-nvme/latest", b"PK\x03\x04"),
            ("aws-nvme/latest", packed({"../outside": b"x"})),
            ("aws-nvme/latest", packed({"/etc/passwd": b"x"})),
            ("aws-nvme/latest", packed({"a\\..\\..\\b": b"x"})),
            ("aws-nvme/latest", packed({"C:/x": b"x"})),
            ("ena-source/tar", made.tar({"../outside": b"x"})),
            ("ena-source/tar", made.tar({}, links={"a/b": "../../x"})),
            ("ena-source/tar", made.tar({}, links={"a/b": "/etc/passwd"})),
            ("ssm-agent-windows/latest", b"#!/bin/sh\n"),
            ("ec2launch-v2/latest", b"MZ"),
        ],
    )
    def test_refuses_what_is_something_else(self, tmp_path: Path, name: str, data: bytes) -> None:
        with pytest.raises(DamagedInputError) as caught:
            add(tmp_path / "store", data, name)
        assert caught.value.code == "payload-damaged"
        assert Store(tmp_path / "store").entries == ()
        left = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
        assert left == []

    def test_links_within_an_archive_are_fine(self, tmp_path: Path) -> None:
        data = made.tar({"a/x": b"x"}, links={"a/y": "../a/x", "z": "a/x"})
        add(tmp_path / "store", data, "ena-source/tar")

    def test_refuses_what_the_vendor_did_not_publish(self, tmp_path: Path) -> None:
        bundle, payload = named("amazon-ssm-agent", "deb-x86_64")
        source = tmp_path / "given"
        source.write_bytes(DEB)
        with pytest.raises(DamagedInputError, match="vendor publishes"):
            Store(tmp_path).add(bundle, replace(payload, sha256="0" * 64), source, origin="here")

    def test_has_a_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store, "PAYLOAD_LIMIT", 100)
        with pytest.raises(DamagedInputError, match="larger than any payload"):
            add(tmp_path / "store")


class TestChecking:
    @pytest.mark.parametrize(
        ("damage", "match"),
        [
            (lambda data: data[:-1], "bytes, the lock says"),
            (lambda data: data + b"\0", "bytes, the lock says"),
            (lambda data: data[:900] + bytes([data[900] ^ 1]) + data[901:], "SHA-256 differs"),
        ],
    )
    def test_sees_every_damage(self, tmp_path: Path, damage: object, match: str) -> None:
        entry = add(tmp_path)
        path = Store(tmp_path).path(entry)
        path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
        with pytest.raises(DamagedInputError, match=match):
            Store(tmp_path).check(entry)

    def test_needs_the_file(self, tmp_path: Path) -> None:
        entry = add(tmp_path)
        Store(tmp_path).path(entry).unlink()
        with pytest.raises(DamagedInputError, match="No such file"):
            Store(tmp_path).check(entry)

    def test_opens_nothing_but_files(self, tmp_path: Path) -> None:
        entry = add(tmp_path)
        path = Store(tmp_path).path(entry)
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(DamagedInputError, match="not a regular file"):
            Store(tmp_path).check(entry)
        path.unlink()
        path.symlink_to("/etc/passwd")
        with pytest.raises(DamagedInputError):
            Store(tmp_path).check(entry)

    def test_a_signature_needs_its_key(self, tmp_path: Path) -> None:
        add(tmp_path)
        lock = json.loads((tmp_path / LOCK).read_text())
        lock["payloads"][0]["signed"] = True
        (tmp_path / LOCK).write_text(json.dumps(lock))
        with pytest.raises(DamagedInputError, match="no key"):
            Store(tmp_path).check(Store(tmp_path).entries[0])

    @pytest.mark.parametrize("name", ["bundle", "payload", "file"])
    def test_a_lock_cannot_lead_elsewhere(self, tmp_path: Path, name: str) -> None:
        add(tmp_path)
        lock = json.loads((tmp_path / LOCK).read_text())
        lock["payloads"][0][name] = "../../../etc/passwd"
        (tmp_path / LOCK).write_text(json.dumps(lock))
        with pytest.raises(DamagedInputError) as caught:
            Store(tmp_path).check(Store(tmp_path).entries[0])
        assert caught.value.code == "store-unknown"


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema": 2, "payloads": []}', '{"schema": 1}', "[" * 100_000, "\xff"]
)
def test_a_lock_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK).write_bytes(text.encode("latin-1"))
    with pytest.raises(DamagedInputError) as caught:
        Store(tmp_path)
    assert caught.value.code == "store-invalid"


class TestImporting:
    def bring(self, source: Path, tmp_path: Path) -> list[str]:
        work = tmp_path / "work"
        work.mkdir()
        found = importing.bring(Store(tmp_path / "store"), source, work)
        return [f"{item.entry.bundle}/{item.entry.payload}" for item in found]

    def test_a_file(self, tmp_path: Path) -> None:
        source = tmp_path / "downloaded.deb"
        source.write_bytes(DEB)
        assert self.bring(source, tmp_path) == ["amazon-ssm-agent/deb-x86_64"]

    def test_the_version_tells_packages_apart(self, tmp_path: Path) -> None:
        source = tmp_path / "amazon-ssm-agent.rpm"
        source.write_bytes(made.rpm(version="3.0.1479.0"))
        assert self.bring(source, tmp_path) == ["amazon-ssm-agent/rpm-x86_64-el6"]

    def test_a_directory(self, tmp_path: Path) -> None:
        source = tmp_path / "given"
        (source / "NVMe" / "1.5.1").mkdir(parents=True)
        (source / "NVMe" / "1.5.1" / "AWSNVMe.zip").write_bytes(packed({"AWSNVMe.inf": b"x"}))
        (source / "agent.rpm").write_bytes(made.rpm(architecture="aarch64"))
        (source / "other.rpm").write_bytes(made.rpm(name="bash"))
        (source / "link.deb").symlink_to("/etc/passwd")
        assert self.bring(source, tmp_path) == ["amazon-ssm-agent/rpm-aarch64", "aws-nvme/2012"]

    @pytest.mark.parametrize(
        ("version", "payload"),
        [("1.5.1.6", "2012"), ("1.3.2.53", "2008-r2"), ("1.6.0.35", "latest"), ("", "latest")],
    )
    def test_the_inf_tells_drivers_apart(self, tmp_path: Path, version: str, payload: str) -> None:
        source = tmp_path / "AWSNVMe.zip"
        text = f"[Version]\nDriverVer = 06/21/2023,{version}\n"
        source.write_bytes(packed({"AWSNVMe/AWSNVMe.inf": text.encode("utf-16")}))
        assert self.bring(source, tmp_path) == [f"aws-nvme/{payload}"]

    def test_a_zip(self, tmp_path: Path) -> None:
        source = tmp_path / "all.zip"
        source.write_bytes(packed({"x/amazon-ssm-agent.deb": DEB, "x/readme": b"x"}))
        assert self.bring(source, tmp_path) == ["amazon-ssm-agent/deb-x86_64"]

    def test_a_tar(self, tmp_path: Path) -> None:
        source = tmp_path / "all.tar"
        source.write_bytes(made.tar({"x/amazon-ssm-agent.deb": DEB}))
        assert self.bring(source, tmp_path) == ["amazon-ssm-agent/deb-x86_64"]

    @pytest.mark.parametrize(
        "data",
        [
            packed({"amazon-ssm-agent.deb": DEB, "../x": b"x"}),
            packed({"amazon-ssm-agent.deb": DEB})[:-30],
            made.tar({"amazon-ssm-agent.deb": DEB, "/x": b"x"}),
            b"nothing at all",
            b"",
        ],
    )
    def test_takes_nothing_from_what_is_hostile(self, tmp_path: Path, data: bytes) -> None:
        source = tmp_path / "all.zip"
        source.write_bytes(data)
        with pytest.raises(ConversionError) as caught:
            self.bring(source, tmp_path)
        assert caught.value.code == "import-refused"
        assert Store(tmp_path / "store").entries == ()

    def test_nothing_to_import(self, tmp_path: Path) -> None:
        source = tmp_path / "given"
        source.mkdir()
        (source / "notes.txt").write_text("hello")
        with pytest.raises(UsageError) as caught:
            self.bring(source, tmp_path)
        assert caught.value.code == "nothing-to-import"

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            self.bring(tmp_path / "missing", tmp_path)
        assert caught.value.code == "import-unreadable"
