from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from converter import bundles, signature, store
from converter.errors import ConversionError, DamagedInputError
from converter.store import LOCK, Store
from tests import standins
from tests.unit import package_samples as made

if TYPE_CHECKING:
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
            ("aws-nvme/latest", packed({"x/nul.sys": b"x"})),
            ("aws-nvme/latest", packed({"x/a:stream": b"x"})),
            ("aws-nvme/latest", packed({"x/AWSNVMe.sys": b"x"})),
            (
                "aws-nvme/latest",
                packed({"x.inf": standins.inf(["PCI\\VEN_8086&DEV_10ED"]).encode()}),
            ),
            # The driver is for Windows 10, and the payload for what is older.
            (
                "aws-nvme/2008-r2",
                packed({"x.inf": standins.inf(decorations=["NTamd64.10.0"]).encode()}),
            ),
            ("aws-pv/latest", packed({"setup.msi": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"})),
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

    @pytest.mark.parametrize(
        ("name", "files", "version"),
        [
            ("aws-nvme/latest", {"x/x.inf": standins.inf().encode("utf-16")}, "1.6.0.35"),
            (
                "aws-nvme/2008-r2",
                {"x/x.inf": standins.inf(version="1.3.2.53").encode()},
                "1.3.2.53",
            ),
            ("aws-pv/2012", {"x/awspvdriversetup.MSI": b"x"}, "8.4.3"),
        ],
    )
    def test_a_zip_of_what_it_should_have(
        self, tmp_path: Path, name: str, files: dict[str, bytes], version: str
    ) -> None:
        entry = add(tmp_path / "store", packed(files), name)
        assert entry.version == version
        Store(tmp_path / "store").check(entry)

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

    def signed(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Have a payload with a signature that is right; give the files whose one is checked."""
        checked: list[str] = []

        def check(file: Path, detached: Path, _: Path) -> None:
            checked.append(file.name)
            if detached.read_bytes() != b"good":
                raise DamagedInputError("signature-wrong", "is another's")

        monkeypatch.setattr(signature, "check", check)
        bundle, payload = named("amazon-ssm-agent", "deb-x86_64")
        (directory / "given").write_bytes(DEB)
        opened = Store(directory)
        opened.add_key(bundle, b"key")
        opened.add(bundle, payload, directory / "given", origin="here", signed_by=b"good")
        checked.clear()
        return checked

    def relock(self, directory: Path, **values: object) -> Entry:
        lock = json.loads((directory / LOCK).read_text())
        lock["payloads"][0].update(values)
        (directory / LOCK).write_text(json.dumps(lock))
        return Store(directory).entries[0]

    def test_the_lock_cannot_turn_a_signature_off(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checked = self.signed(tmp_path, monkeypatch)
        entry = self.relock(tmp_path, signed=False)
        assert not Store(tmp_path).check(entry).is_unsigned
        assert checked == ["amazon-ssm-agent.deb"]
        Store(tmp_path).path(entry).with_name("amazon-ssm-agent.deb.sig").write_bytes(b"bad")
        with pytest.raises(DamagedInputError) as caught:
            Store(tmp_path).check(entry)
        assert caught.value.code == "signature-wrong"

    def test_a_signature_that_is_gone_is_seen(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.signed(tmp_path, monkeypatch)
        entry = self.relock(tmp_path, signed=False)
        Store(tmp_path).path(entry).with_name("amazon-ssm-agent.deb.sig").unlink()
        assert Store(tmp_path).check(entry).is_unsigned

    def test_one_without_replaces_one_with_a_signature(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.signed(tmp_path, monkeypatch)
        entry = add(tmp_path, made.deb(made.CONTROL.replace("3.3.1", "3.3.2")))
        assert Store(tmp_path).check(entry).is_unsigned

    def test_what_no_vendor_signs_is_no_matter(self, tmp_path: Path) -> None:
        bundle, _ = named("aws-nvme", "latest")
        entry = add(tmp_path, packed({"x.inf": standins.inf().encode()}), "aws-nvme/latest")
        Store(tmp_path).add_key(bundle, b"key")
        assert not Store(tmp_path).check(entry).is_unsigned

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


def test_trying_to_write_makes_no_store(tmp_path: Path) -> None:
    Store(tmp_path / "a" / "b").must_be_writable()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_told() -> None:
    with pytest.raises(ConversionError) as raised:
        Store(Path("/proc/store")).must_be_writable()
    assert raised.value.code == "store-unwritable"
