"""A Windows as the contract's JSON has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from converter.capabilities import capabilities
from converter.handoff import manifest
from converter.handoff.facts import guest_as_json, jsonable
from converter.model import BootMode, ProductType, Report
from converter.report.html import render
from tests.unit.samples import report
from tests.unit.windows_samples import convert, facts, server

ATTACK = "<script>alert(1)</script>\"'\x1b[2J\u202e"


def converted() -> Report:
    machine = server().machine()
    before = server().inspect().facts
    plan, after = convert(machine)
    return report(
        before=before,
        after=after.facts,
        boot_mode=BootMode.UEFI,
        capabilities=capabilities(after.facts.os),
        plan=plan,
    )


def test_names_of_files_that_are_no_utf_8() -> None:
    assert jsonable((Path("/a/\udcff"), "\udcff")) == ["/a/\\udcff", "\\udcff"]


class TestFacts:
    def test_what_the_contract_names(self) -> None:
        found = guest_as_json(facts())
        assert (found["family"], found["distribution"]) == ("windows", "windows")
        assert found["name"] == found["product"] == "Windows Server 2019 Standard"
        assert (found["version"], found["build"], found["architecture"]) == (
            "10.0",
            17763,
            "x86_64",
        )
        assert found["hostname"] == "web"
        assert [mount["path"] for mount in found["mounts"]] == ["/C", "/ESP"]
        assert {row["device"] for row in found["filesystems"]} >= {"/dev/sda1", "/dev/sda3"}

    def test_it_is_json(self) -> None:
        found = json.loads(json.dumps(guest_as_json(facts())))
        assert found["boot_drivers"] == ["atapi", "intelide", "pciide", "storahci", "stornvme"]
        assert found["product_type"] == "ServerNT"
        assert found["services"]["TermService"] == 3
        (adapter,) = found["adapters"]
        assert adapter["dhcp"] is True

    @pytest.mark.parametrize("text", ["\udcff", "x\ud800", "a\0b", ATTACK])
    def test_any_text_of_the_guest(self, text: str) -> None:
        found = facts(product=text, hostname=text, services={text: 1}, languages=(text,))
        json.dumps(guest_as_json(found)).encode()
        json.dumps(guest_as_json(found), ensure_ascii=False).encode()


class TestManifest:
    def test_of_a_windows(self) -> None:
        found = json.loads(manifest.render(converted()))
        assert found["guest"]["family"] == "windows"
        assert found["boot_mode"] == "uefi"
        assert found["capabilities"] == {
            "nvme": True,
            "ena": False,
            "xen_blk": False,
            "xen_net": False,
            "ixgbevf": False,
        }
        parameters = found["register_image"]
        assert (parameters["Architecture"], parameters["BootMode"]) == ("x86_64", "uefi")
        assert "EnaSupport" not in parameters
        kinds = {change["kind"] for change in found["changes"]}
        assert kinds == {"set-value", "delete-value", "delete-key", "copy-file", "make-directory"}

    @pytest.mark.parametrize(
        ("architecture", "expected"),
        [("i386", "i386"), ("aarch64", "arm64"), ("", None), ("0x200", None)],
    )
    def test_of_one_that_is_handed_off_as_it_is(
        self, architecture: str, expected: str | None
    ) -> None:
        found = facts(architecture=architecture)
        made = report(before=found, after=found)
        assert manifest.register_image(made)["Architecture"] == expected
        assert render(made)


class TestReport:
    def test_of_a_windows(self) -> None:
        text = render(converted())
        for expected in ("Windows Server 2019 Standard", "17763", "web", "RealTimeIsUniversal"):
            assert expected in text
        assert "10.0.17763" in text
        assert "set-value" in text

    def test_nothing_of_the_guest_becomes_markup(self) -> None:
        bad = facts(product=ATTACK, edition=ATTACK, hostname=ATTACK, architecture=ATTACK)
        text = render(report(before=bad, after=bad))
        text.encode()
        assert "<script" not in text
        assert "\u202e" not in text

    def test_one_of_which_little_is_known(self) -> None:
        bare = facts(
            product="",
            edition="",
            hostname="",
            build=0,
            product_type=ProductType.WORKSTATION,
            adapters=(),
            services={},
        )
        assert "windows" in render(report(before=bare, after=bare))


def test_names_of_a_registry_may_be_no_text() -> None:
    assert jsonable({"a\ud800": "b\udfff"}) == {"a\\ud800": "b\\udfff"}
