"""What the commands answer when nothing goes wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from converter import cli, pipeline
from converter.boot import BootReport
from converter.cli import commands, host
from converter.cli.commands import default_name
from converter.doctor import Check
from converter.examination import Examination
from converter.handoff import manifest
from converter.handoff.manifest import Difference
from converter.inspection import Inspection
from converter.inspection.storage import Storage
from converter.model import BootMode, Facts, Policy, Wanted
from tests.unit.samples import ERROR, FACTS, PLAN, WARNING, linux, report, source

HOSTILE = "evil\x1b[2J\nverdict: good\udcff"


def inspection(facts: Facts = FACTS) -> Inspection:
    return Inspection(facts, Storage((), (), ()), (WARNING,))


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert cli.run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let `examine` find a convertible guest; gives what it was asked."""
    asked: dict[str, Any] = {}

    def examine(disks: Any, wanted: Any, _monitor: Any) -> Examination:
        asked.update(disks=disks, wanted=wanted)
        return Examination(source(), PLAN, (WARNING,), inspection())

    monkeypatch.setattr(pipeline, "examine", examine)
    return asked


def test_inspect(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = (source(), inspection(linux(hostname=HOSTILE)))
    monkeypatch.setattr(pipeline, "inspect", lambda *_, **__: found)
    document = answer(capsys, "inspect", "x")
    assert set(document) >= {"source", "guest", "disks", "boot_modes"}
    assert document["boot_modes"] == ["legacy-bios"]
    assert document["guest"]["hostname"] == "evil\x1b[2J\nverdict: good\\udcff"
    assert cli.run(["inspect", "x"]) == 0
    shown = capsys.readouterr().out
    assert "  hostname: evil\\x1b[2J\n    verdict: good" in shown
    assert "\x1b" not in shown
    assert "legacy-bios" in shown


def test_check(examined: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    document = answer(capsys, "check", "a", "b", "--policy", "aws", "--boot-mode", "uefi")
    assert document["verdict"] == "convertible"
    assert [finding["code"] for finding in document["findings"]] == ["old"]
    assert examined["disks"] == (Path("a"), Path("b"))
    assert examined["wanted"] == Wanted(Policy.AWS, BootMode.UEFI)
    assert cli.run(["check", "a"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        "warning: it is old [old]",
        "    renew it",
        "    the service says: Unsupported kernel version",
        "convertible",
    ]


def test_check_of_a_refused_guest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Examination(source(), PLAN, (WARNING, ERROR))
    monkeypatch.setattr(pipeline, "examine", lambda *_, **__: refused)
    document = answer(capsys, "check", "x", code=3)
    assert document["verdict"] == "refused"
    assert cli.run(["check", "x"]) == 3
    assert capsys.readouterr().out.splitlines()[0] == "error: it is bad [bad]"
    document = answer(capsys, "plan", "x", code=3)
    assert [finding["code"] for finding in document["findings"]] == ["old", "bad"]


@pytest.mark.usefixtures("examined")
def test_plan(capsys: pytest.CaptureFixture[str]) -> None:
    document = answer(capsys, "plan", "x")
    assert set(document) == {"changes", "findings"}
    assert document["changes"][0]["diff"] == PLAN.diffs[0]
    assert cli.run(["plan", "x", "--diff"]) == 0
    shown = capsys.readouterr().out
    assert "write-file /etc/fstab [fstab-device-name]" in shown
    assert "\n-/dev/sda1\n+UUID=1\n" in shown
    assert "1 changes" in shown


class TestConvert:
    @pytest.fixture
    def requested(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        requests: list[Any] = []

        def convert(request: Any, _monitor: Any, **_: Any) -> Any:
            requests.append(request)
            return report(disks=2)

        monkeypatch.setattr(pipeline, "convert", convert)
        return requests

    def test_prints_the_manifest(
        self, requested: list[Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        document = answer(capsys, "convert", "/in/web.ova", "-o", "out")
        assert document["schema"] == 1
        (request,) = requested
        assert (request.name, request.output) == ("web", Path("out"))

    @pytest.mark.usefixtures("requested")
    def test_prints_what_was_made(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.run(["convert", "x.vmdk", "-o", "out", "--name", "web"]) == 0
        assert capsys.readouterr().out.splitlines()[-4:] == [
            *("out/web.raw", "out/web-1.raw", "out/web.manifest.json", "out/web.report.html"),
        ]

    @pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a\x1b"])
    def test_refuses_bad_names_at_once(self, requested: list[Any], name: str) -> None:
        assert cli.run(["convert", "x.ova", "-o", "out", "--name", name]) == 2
        assert requested == []

    @pytest.mark.parametrize("disk", ["..", "/", ".hidden.raw", "-x.raw"])
    def test_asks_for_a_name_where_a_disk_gives_none(
        self, requested: list[Any], capsys: pytest.CaptureFixture[str], disk: str
    ) -> None:
        assert cli.run(["convert", "-o", "out", "--", disk]) == 2
        assert "--name" in capsys.readouterr().err
        assert requested == []


@pytest.mark.parametrize(
    ("disk", "name"),
    [
        ("web.ova", "web"),
        ("a/web.vmdk", "web"),
        ("web.raw.gz", "web"),
        ("web.raw.XZ", "web"),
        ("web.gz", "web"),
        ("web", "web"),
        ("my.vm.v2.qcow2", "my.vm.v2"),
        (".raw", ".raw"),
    ],
)
def test_names_come_from_the_first_disk(disk: str, name: str) -> None:
    assert default_name(Path(disk)) == name


@pytest.mark.parametrize(("reached", "code"), [("multi-user", 0), ("kernel-panic", 6)])
def test_boot(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reached: str, code: int
) -> None:
    made = BootReport(
        reached, "", 1, 12.5, {"source": "/dev/x"}, ("10.0.2.15",), (), (), (), "", "a\x1b[2J"
    )
    monkeypatch.setattr(commands, "boot_image", lambda *_, **__: made)
    document = answer(capsys, "boot", "x", code=code)
    assert set(document) >= {
        *("reached", "seconds", "root", "addresses", "failed_units", "state", "console_tail"),
    }
    assert cli.run(["boot", "x"]) == code
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "verdict", "code"),
    [((), "whole", 0), ((Difference("disk-size", "web.raw", "it is cut"),), "differs", 4)],
)
def test_verify(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: Any,
    verdict: str,
    code: int,
) -> None:
    monkeypatch.setattr(manifest, "verify", lambda _: found)
    document = answer(capsys, "verify", "x", code=code)
    assert document["verdict"] == verdict
    assert [problem["code"] for problem in document["problems"]] == [item.code for item in found]
    assert cli.run(["verify", "x"]) == code
    assert capsys.readouterr().out.splitlines()[-1] == verdict


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 5)])
def test_doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int, *, ok: bool
) -> None:
    checks = (Check("python", ok=True, detail="3"), Check("qemu-img", ok=ok, detail="x", hint="y"))
    monkeypatch.setattr(host, "examine", lambda: checks)
    document = answer(capsys, "doctor", code=code)
    assert document["ok"] is ok
    assert document["checks"][1] == {"name": "qemu-img", "ok": ok, "detail": "x", "hint": "y"}
    assert cli.run(["doctor"]) == code
    assert ("MISSING qemu-img: x\n        y" in capsys.readouterr().out) is not ok


def test_a_finding_with_no_text_in_it_is_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Examination(source(), PLAN, (replace(WARNING, message="\udcff"),))
    monkeypatch.setattr(pipeline, "examine", lambda *_, **__: found)
    document = answer(capsys, "check", "x")
    assert document["findings"][0]["message"] == "\\udcff"
