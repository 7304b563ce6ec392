from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from converter import accelerator, boot, doctor, process
from converter.accelerator import Accelerator, Kind
from converter.confinement import Confinement, launcher
from converter.data import load
from converter.errors import ConversionError, UsageError

TABLE = load("host")
ROWS = [("_tool", row) for row in TABLE["tools"]] + [("_module", row) for row in TABLE["modules"]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no machine to find out about KVM, and no helper."""
    monkeypatch.setattr(doctor, "choose", lambda: Accelerator(Kind.TCG, "it is a test"))
    monkeypatch.setattr(process, "run", lambda *_, **__: process.Completed(0, b"", b""))


def checked(name: str) -> doctor.Check:
    (found,) = [check for check in doctor.examine() if check.name == name]
    return found


@pytest.mark.parametrize(("kind", "row"), ROWS, ids=lambda value: str(value)[:30])
def test_what_is_missing_is_told_with_its_packages(
    monkeypatch: pytest.MonkeyPatch, kind: str, row: dict[str, str]
) -> None:
    def fail(_: str) -> None:
        raise ImportError("libguestfs.so.0: cannot open shared object file")

    monkeypatch.setattr(shutil, "which", lambda _name, **_options: None)
    monkeypatch.setattr(doctor, "import_module", fail)
    found = checked(row["name"])
    assert not found.ok
    assert row["purpose"] in found.detail
    assert ("cannot open" in found.detail) is (kind == "_module")
    assert f"apt-get install {row['debian']} " in found.hint
    assert f"dnf install {row['fedora']} " in found.hint


def test_firmware_and_kernel_are_told_too() -> None:
    firmware = {**TABLE["firmware"], "pairs": [["/missing/code", "/missing/variables"]]}
    assert not doctor._firmware(firmware).ok
    assert "apt-get install ovmf " in doctor._firmware(firmware).hint
    kernel = {**TABLE["kernel"], "directory": "/missing"}
    assert not doctor._kernel(kernel).ok
    assert "chmod" in doctor._kernel(kernel).detail


def test_a_kernel_and_firmware_that_are_there(tmp_path: Path) -> None:
    for name in ("vmlinuz-1", "code", "variables"):
        (tmp_path / name).touch()
    pairs = [["/missing", "/missing"], [str(tmp_path / "code"), str(tmp_path / "variables")]]
    assert doctor._firmware({**TABLE["firmware"], "pairs": pairs}).ok
    assert doctor._kernel({**TABLE["kernel"], "directory": str(tmp_path)}).ok


def test_the_firmware_is_the_one_that_is_booted_with() -> None:
    pairs = [tuple(map(Path, pair)) for pair in TABLE["firmware"]["pairs"]]
    assert tuple(pairs) == boot.OVMF


def test_too_little_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 8, 1 << 29))
    found = checked("space")
    assert not found.ok
    assert "512 MiB free" in found.detail
    assert "TMPDIR" in found.hint


def test_no_space_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    assert "No usable" in checked("space").detail


def test_the_accelerator_is_told_and_tcg_is_no_lack() -> None:
    found = checked("accelerator")
    assert (found.ok, found.detail) == (True, "tcg: it is a test")


def test_a_wrong_wish_is_told_beside_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "choose", accelerator.choose)
    monkeypatch.setenv(accelerator.VARIABLE, "warp")
    found = checked("accelerator")
    assert not found.ok
    assert found.hint == "kvm or tcg"
    with pytest.raises(UsageError):
        accelerator.choose()


@pytest.mark.parametrize(
    ("version", "is_x86", "told"),
    [
        (7, True, "Landlock 7, seccomp"),
        (0, True, "no Landlock: helpers may open any file, seccomp"),
        (3, False, "Landlock 3, no filter of system calls"),
    ],
)
def test_what_helpers_are_confined_by_is_told(
    monkeypatch: pytest.MonkeyPatch, version: int, told: str, *, is_x86: bool
) -> None:
    monkeypatch.setattr(launcher, "landlock_version", lambda: version)
    monkeypatch.setattr(launcher, "has_seccomp", lambda: is_x86)
    found = checked("confinement")
    assert (found.ok, found.detail) == (True, told)


def test_a_helper_that_does_not_start_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(argv: list[str], *, confinement: Confinement) -> None:
        raise ConversionError("tool-failed", f"{argv[0]} failed: Permission denied")

    monkeypatch.setattr(process, "run", fail)
    found = checked("confinement")
    assert not found.ok
    assert "qemu-img failed: Permission denied" in found.detail
    assert "/usr" in found.hint


def test_a_launcher_that_cannot_be_executed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "launcher.py cannot be executed: QEMU is not confined" in checked("confinement").detail


def test_the_document() -> None:
    checks = [doctor.Check("a", ok=True, detail="x"), doctor.Check("b", ok=False, detail="y")]
    document: dict[str, Any] = doctor.as_json(checks)
    assert document["ok"] is False
    assert document["checks"][1] == {"name": "b", "ok": False, "detail": "y", "hint": ""}
    assert doctor.as_json(checks[:1])["ok"] is True
