"""Exports, by the command: QEMU is the judge of what is in them. No appliance is started."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from converter import process
from tests.command import Run, converter
from tests.torture.mounts import Tmpfs

pytestmark = [pytest.mark.appliance, pytest.mark.xdist_group("export")]

MIB = 1 << 20
# By our names, and by QEMU's.
FORMATS = {"vmdk": "vmdk", "vhd": "vpc", "vhdx": "vhdx", "qcow2": "qcow2", "raw": "raw"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a disk with data that packs well, data that does not, zeros, and holes."""
    path = tmp_path_factory.mktemp("image") / "guest.raw"
    draw = random.Random(0)  # noqa: S311 - no secret
    with path.open("wb") as file:
        file.write(draw.randbytes(3 * MIB + 1000))
        file.seek(40 * MIB - 7)
        file.write(b"text and more text\n" * 100_000)
        file.seek(70 * MIB)
        file.write(bytes(MIB) + b"x")
        file.truncate(101 * MIB + 1536)
    return path


@pytest.mark.parametrize("kind", FORMATS)
def test_holds_what_the_image_holds(image: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / f"guest.{kind}"
    done = converter("export", image, "--format", kind, "-o", target, "--json").good()
    assert "export: 100%" in done.stderr
    assert done.document == {
        "path": str(target),
        "format": kind,
        "virtual_size": image.stat().st_size,
        "size": target.stat().st_size,
    }
    form = FORMATS[kind]
    process.run(["qemu-img", "compare", "-f", "raw", "-F", form, str(image), str(target)])
    if form not in ("vpc", "raw"):  # of these QEMU checks nothing
        process.run(["qemu-img", "check", "-f", form, str(target)])
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.stat().st_blocks * 512 < 24 * MIB


def test_a_vmdk_is_hardly_larger_than_qemus(image: Path, tmp_path: Path) -> None:
    target, other = tmp_path / "ours.vmdk", tmp_path / "other.vmdk"
    converter("export", image, "--format", "vmdk", "-o", target).good()
    options = ["-O", "vmdk", "-o", "subformat=streamOptimized"]
    process.run(["qemu-img", "convert", "-f", "raw", *options, str(image), str(other)])
    assert target.stat().st_size < 1.2 * other.stat().st_size


@pytest.mark.parametrize("kind", ["qcow2", "vmdk"])
def test_another_format_is_not_taken_for_an_image(tmp_path: Path, kind: str) -> None:
    """Be it given by mistake, or that a guest wrote it to the first sectors of its disk."""
    secret, image, target = tmp_path / "secret", tmp_path / "guest.raw", tmp_path / "guest.qcow2"
    secret.write_bytes(b"secret" * 1000)
    backing = ["-F", "raw", "-b", str(secret)]
    process.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(image), "1M"])
    (tmp_path / "disk").write_bytes(image.read_bytes())
    for given, code in ((image, "format-mismatch"), (tmp_path / "disk", "image-not-raw")):
        done = converter("export", given, "--format", kind, "-o", target, "--json")
        assert (done.code != 0, done.document["error"]["code"]) == (True, code)
    assert not target.exists()


@pytest.mark.parametrize(
    ("image", "code", "status"),
    [("none.raw", "source-unreadable", 2), ("empty.raw", "disk-size-zero", 4)],
)
def test_what_is_no_image(tmp_path: Path, image: str, code: str, status: int) -> None:
    (tmp_path / "empty.raw").touch()
    done = converter(
        "export", tmp_path / image, "--format", "vmdk", "-o", tmp_path / "a.vmdk", "--json"
    )
    assert (done.code, done.document["error"]["code"]) == (status, code)
    assert [path.name for path in tmp_path.iterdir()] == ["empty.raw"]


def test_a_name_that_is_taken(image: Path, tmp_path: Path) -> None:
    target = tmp_path / "guest.vmdk"
    target.write_text("mine")
    done = converter("export", image, "--format", "vmdk", "-o", target, "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "output-exists")
    assert target.read_text() == "mine"


def test_a_disk_that_is_too_large_for_the_format(tmp_path: Path) -> None:
    image, target = tmp_path / "guest.raw", tmp_path / "guest.vhd"
    image.touch()
    os.truncate(image, 3 << 40)
    done = converter("export", image, "--format", "vhd", "-o", target, "--json")
    assert (done.code, done.document["error"]["code"]) == (6, "export-failed")
    assert "2040 GiB" in done.document["error"]["hint"]
    assert [path.name for path in tmp_path.iterdir()] == ["guest.raw"]


@pytest.mark.parametrize("kind", FORMATS)
def test_no_room_for_it(image: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / f"guest.{kind}"
    limited = ["prlimit", f"--fsize={MIB}"]
    done = Run("export", image, "--format", kind, "-o", target, "--json", within=limited).wait()
    assert (done.code, done.document["error"]["code"]) == (5, "disk-full")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a filesystem")
@pytest.mark.parametrize("kind", FORMATS)
def test_no_room_for_it_nor_for_anything_else(image: Path, tmp_path: Path, kind: str) -> None:
    with Tmpfs(tmp_path / "disk", MIB) as disk:
        target = disk.path / f"guest.{kind}"
        done = converter(
            "export", image, "--format", kind, "-o", target, "--json", TMPDIR=str(disk.path)
        )
        assert (done.code, done.document["error"]["code"]) == (5, "disk-full")
        assert list(disk.path.iterdir()) == []
        assert "Traceback" not in done.stderr


def test_an_image_that_is_in_use(image: Path, tmp_path: Path) -> None:
    target = tmp_path / "guest.qcow2"
    holder = subprocess.Popen(
        ["qemu-io", "-f", "raw", str(image)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
    )  # fmt: skip
    try:
        assert holder.stdin
        assert holder.stdout
        holder.stdin.write(b"length\n")
        holder.stdout.read(1)  # it has opened the image
        done = converter("export", image, "--format", "qcow2", "-o", target, "--json")
    finally:
        holder.communicate()
    assert (done.code, done.document["error"]["code"]) == (2, "source-in-use")


def test_stdout_on_a_full_disk(image: Path, tmp_path: Path) -> None:
    target = tmp_path / "guest.raw"
    argv = [sys.executable, "-m", "converter", "export", str(image), "-o", str(target)]
    argv += ["--format", "raw"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 5
        assert b"answer-lost" in done.stderr
        assert target.stat().st_size == image.stat().st_size
        target.unlink()
        subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=full, check=True)
    assert target.stat().st_size == image.stat().st_size


@pytest.mark.parametrize("kind", ["vmdk", "vhdx"])
def test_interrupted(tmp_path: Path, kind: str) -> None:
    image, target = tmp_path / "guest.raw", tmp_path / f"guest.{kind}"
    draw = random.Random(0)  # noqa: S311 - no secret
    with image.open("wb") as file:
        for _ in range(40):
            file.write(draw.randbytes(16 * MIB))
    run = Run("export", image, "--format", kind, "-o", target)
    while run.process.poll() is None and not any(tmp_path.glob(f".*.partial/{target.name}")):
        pass
    run.process.send_signal(signal.SIGTERM)
    assert run.wait().code == 130
    assert run.left_over(within=5) == []
    assert [path.name for path in tmp_path.iterdir()] == ["guest.raw"]
