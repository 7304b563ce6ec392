"""Guests that are refused at once: real disks, made by real tools, and no appliance for any."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from converter import process
from tests.command import converter
from tests.unit.source.build import ovf, tar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command import Done

pytestmark = [pytest.mark.appliance, pytest.mark.xdist_group("preflight")]

MIB = 1 << 20
SIZE = 64 * MIB
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
LDM = "AF9B60A0-1431-4F62-BC68-3311714A69AD"
CORE_STORAGE = "53746F72-6167-11AA-AA11-00306543ECAC"


def partitioned(path: Path, kind: str, *partitions: str) -> Path:
    """Make a disk with a table, and partitions as sfdisk(8) has them: of 20 MiB, from 1 MiB on."""
    with path.open("wb") as file:
        file.truncate(SIZE)
    lines = [f"{1 + 20 * n}MiB,20MiB,{part}" for n, part in enumerate(partitions)]
    script = "\n".join([f"label: {kind}", *lines, ""])
    process.run(["sfdisk", "-q", str(path)], stdin=script.encode())
    return path


def put(disk: Path, at: int, data: bytes) -> None:
    with disk.open("r+b") as file:
        file.seek(at)
        file.write(data)


def luks(path: Path, kind: str) -> bytes:
    """Give what `cryptsetup luksFormat` writes first."""
    with path.open("wb") as file:
        file.truncate(20 * MIB)
    process.run(
        ["cryptsetup", "luksFormat", "-q", "--type", kind, "--pbkdf", "pbkdf2",
         "--pbkdf-force-iterations", "1000", "--use-urandom", str(path), "-"],
        stdin=b"secret",
    )  # fmt: skip
    return path.read_bytes()[:MIB]


def encrypted(directory: Path, name: str, kind: str) -> Path:
    disk = partitioned(directory / name, "dos", "83,*", "83")
    put(disk, 21 * MIB, luks(directory / "luks", kind))
    return disk


def _bitlocker(directory: Path) -> Path:
    disk = partitioned(directory / "disk.raw", "dos", "7,*")
    put(disk, MIB, b"\xeb\x58\x90-FVE-FS-".ljust(510, b"\0") + b"\x55\xaa")
    return disk


def _file_vault(directory: Path) -> Path:
    disk = partitioned(directory / "disk.raw", "gpt", CORE_STORAGE)
    for at, data in ((8, b"\1\0"), (88, b"CS"), (172, b"\2\0\0\0")):
        put(disk, MIB + at, data)
    return disk


def _blank(directory: Path) -> Path:
    disk = directory / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(SIZE)
    return disk


def _bootless(directory: Path) -> Path:
    disk = partitioned(directory / "disk.raw", "gpt", LINUX)
    process.run(["mkfs.ext4", "-q", "-F", "-E", f"offset={MIB}", str(disk), "20M"])
    return disk


def _cut_off(directory: Path, kind: str) -> Path:
    disk = partitioned(directory / "disk.raw", kind, LINUX if kind == "gpt" else "83", "")
    with disk.open("r+b") as file:
        file.truncate(30 * MIB)
    return disk


@dataclass(frozen=True, slots=True)
class Case:
    """A disk, and what is said of it: the error that comes first, and the exit code."""

    make: Callable[[Path], Path]
    code: str
    exit: int = 3


CASES = {
    "luks1": Case(lambda at: encrypted(at, "disk.raw", "luks1"), "encrypted-volume"),
    "luks2": Case(lambda at: encrypted(at, "disk.raw", "luks2"), "encrypted-volume"),
    "bitlocker": Case(_bitlocker, "encrypted-volume"),
    "filevault": Case(_file_vault, "encrypted-volume"),
    "ldm-mbr": Case(lambda at: partitioned(at / "disk.raw", "dos", "42,*"), "dynamic-disk"),
    "ldm-gpt": Case(lambda at: partitioned(at / "disk.raw", "gpt", LDM), "dynamic-disk"),
    "blank": Case(_blank, "no-partitions"),
    "empty-mbr": Case(lambda at: partitioned(at / "disk.raw", "dos"), "no-partitions"),
    "empty-gpt": Case(lambda at: partitioned(at / "disk.raw", "gpt"), "no-partitions"),
    "no-loader": Case(_bootless, "no-bootable-partition"),
    "cut-mbr": Case(lambda at: _cut_off(at, "dos"), "truncated", 4),
    "cut-gpt": Case(lambda at: _cut_off(at, "gpt"), "truncated", 4),
}
# Every format is read by its own tables.
FORMATS = {
    "ova": ("vmdk", ["-o", "subformat=streamOptimized"]),
    "vmdk": ("vmdk", ["-o", "subformat=twoGbMaxExtentSparse"]),
    "vhd": ("vpc", []),
    "vhdx": ("vhdx", []),
    "qcow2": ("qcow2", ["-c"]),
    "vdi": ("vdi", []),
}


def judged(directory: Path, command: str, *sources: Path) -> Done:
    """Run a command on a source: no appliance starts, nothing is copied, the source stays."""
    log = directory / "log"
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in sources}
    arguments = ("-o", directory / "out") if command == "convert" else ()
    done = converter(command, *sources, *arguments, "--json", "--log", log)
    said = log.read_text("utf-8")
    assert "appliance: starting" not in said
    assert "qemu-img" not in said
    assert not list(directory.glob("out/*"))
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in sources} == before
    return done


@pytest.mark.parametrize("case", CASES)
def test_is_refused_at_once(case: str, tmp_path: Path) -> None:
    disk = CASES[case].make(tmp_path)
    done = judged(tmp_path, "check", disk)
    assert done.code == CASES[case].exit, done.stderr
    first = done.document["findings"][0]
    assert (first["severity"], first["code"]) == ("error", CASES[case].code)
    assert first["hint"]


@pytest.mark.parametrize("form", FORMATS)
def test_in_every_format(form: str, tmp_path: Path) -> None:
    raw = encrypted(tmp_path, "disk.raw", "luks1")
    driver, options = FORMATS[form]
    source = tmp_path / f"disk.{'vmdk' if form == 'ova' else form}"
    process.run(["qemu-img", "convert", "-f", "raw", "-O", driver, *options, str(raw), str(source)])
    if form == "ova":
        text = ovf([f'<File ovf:href="{source.name}" ovf:id="f0"/>'])
        archive = tmp_path / "disk.ova"
        archive.write_bytes(tar(("vm.ovf", text.encode()), (source.name, source.read_bytes())))
        source = archive
    done = judged(tmp_path, "check", source)
    assert done.code == 3, done.stderr
    messages = [finding["message"] for finding in done.document["findings"]]
    assert any("(/dev/sda2) is encrypted with LUKS" in message for message in messages)


@pytest.mark.parametrize("command", ["plan", "convert"])
def test_so_does_every_command(command: str, tmp_path: Path) -> None:
    done = judged(tmp_path, command, encrypted(tmp_path, "disk.raw", "luks2"))
    assert done.code == 3
    assert done.document["error"]["code"] == "encrypted-volume"


def test_all_that_is_wrong_is_told(tmp_path: Path) -> None:
    first = encrypted(tmp_path, "first.raw", "luks2")
    second = tmp_path / "second.vmdk"
    process.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized",
         str(first), str(second)]
    )  # fmt: skip
    with second.open("r+b") as file:
        file.truncate(second.stat().st_size // 2)
    third = partitioned(tmp_path / "third.raw", "dos", "42")
    child = tmp_path / "child.qcow2"
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(first), str(child)]
    )
    done = judged(tmp_path, "check", first, second, third, child)
    assert done.code == 4
    found = {finding["code"]: finding["message"] for finding in done.document["findings"]}
    assert set(found) == {"truncated", "foreign-file", "encrypted-volume", "dynamic-disk"}
    assert "/dev/sda2" in found["encrypted-volume"]
    assert "/dev/sdc" in found["dynamic-disk"]
    plain = converter("check", first, second, third, child)
    assert plain.code == 4
    assert all(f"[{code}]" in plain.stderr for code in found)
