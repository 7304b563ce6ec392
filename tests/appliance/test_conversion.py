"""Conversions of a real guest as a user runs them: the whole command, in every container."""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import signal
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from converter import process
from images.cache import image
from images.exports import export, write
from tests.command import Run, converter
from tests.trees import read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.appliance

GUEST = "debian-12-bios"
CONTAINERS = ("vmdk-stream", "vhd-dynamic", "vhd-fixed", "vhdx", "qcow2", "raw")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Conversion:
    """The guest's OVA converted once, for all tests that only look at it."""

    ova: Path
    output: Path
    manifest: dict[str, Any]
    log: str

    @property
    def raw(self) -> Path:
        return self.output / "guest.raw"


@pytest.fixture(scope="module")
def conversion(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conversion]:
    directory = tmp_path_factory.mktemp("conversion")
    ova = export(image(GUEST), "ova")
    before = sha256(ova)
    log = directory / "log"
    done = converter("convert", ova, "-o", directory / "out", "--json", "--log", log).good()
    assert sha256(ova) == before
    yield Conversion(ova, directory / "out", done.document, log.read_text(errors="replace"))
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def tree(conversion: Conversion, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return read_tree(conversion.raw, 1, tmp_path_factory.mktemp("tree"))


@pytest.mark.xdist_group("conversion")
class TestTheConversion:
    def test_publishes_image_manifest_and_report(self, conversion: Conversion) -> None:
        names = sorted(path.name for path in conversion.output.iterdir())
        assert names == ["guest.manifest.json", "guest.raw", "guest.report.html"]
        converter("verify", conversion.output / "guest.manifest.json").good()

    def test_keeps_the_image_sparse(self, conversion: Conversion) -> None:
        found = conversion.raw.stat()
        assert found.st_size == 4 << 30
        assert found.st_blocks * 512 < 2 << 30

    def test_starts_one_appliance(self, conversion: Conversion) -> None:
        assert conversion.log.count("converter.appliance call: launch\n") == 1

    def test_makes_the_planned_changes_and_no_others(self, conversion: Conversion) -> None:
        before = sha256(conversion.ova)
        planned = converter("plan", conversion.ova, "--diff", "--json").good().document
        assert sha256(conversion.ova) == before
        assert all(change["diff"] for change in planned["changes"])
        shown = [
            {name: value for name, value in change.items() if name != "diff"}
            for change in planned["changes"]
        ]
        assert shown == conversion.manifest["changes"]
        assert {change["code"] for change in shown} >= {
            "fstab-device-name",
            "fstab-foreign",
            "grub-device-name",
            "grub-console",
            "initramfs-drivers",
        }

    def test_changes_no_other_file(
        self, conversion: Conversion, tree: dict[str, str], tmp_path: Path
    ) -> None:
        before = read_tree(image(GUEST).path, 1, tmp_path)
        touched = {path for path in before | tree if before.get(path) != tree.get(path)}
        changes = conversion.manifest["changes"]
        assert touched == {
            *(change["path"] for change in changes),
            *(change["backup"] for change in changes if change["backup"]),
        }

    def test_keeps_the_original_of_each_changed_file(
        self, conversion: Conversion, tree: dict[str, str], tmp_path: Path
    ) -> None:
        before = read_tree(image(GUEST).path, 1, tmp_path)
        kept = {
            change["path"]: change["backup"]
            for change in conversion.manifest["changes"]
            if change["backup"] is not None
        }
        changed = {change["path"] for change in conversion.manifest["changes"]}
        assert set(kept) == {path for path in changed & set(before) if before[path][0] == "-"}
        for path, backup in kept.items():
            assert tree[backup] == before[path]

    def test_leaves_nothing_to_plan(self, conversion: Conversion) -> None:
        assert converter("plan", conversion.raw, "--json").good().document["changes"] == []


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.xdist_group("conversion")
def test_every_container_gives_the_same_guest(
    kind: str, tree: dict[str, str], tmp_path: Path
) -> None:
    source = write(image(GUEST).path, kind, tmp_path)
    before = sha256(source)
    converter("convert", source, "-o", tmp_path, "--name", "result").good()
    assert sha256(source) == before
    assert read_tree(tmp_path / "result.raw", 1, tmp_path) == tree


@pytest.mark.xdist_group("conversion")
def test_without_changes_the_same_bytes_are_handed_off(tmp_path: Path) -> None:
    source = write(image(GUEST).path, "vhdx", tmp_path)
    done = converter("convert", source, "-o", tmp_path, "--name", "same", "--no-changes", "--json")
    manifest = done.good().document
    assert manifest["changes"] == []
    assert manifest["capabilities"]["nvme"] is False
    assert sha256(tmp_path / "same.raw") == sha256(image(GUEST).path)


@pytest.fixture(scope="module")
def ova() -> Path:
    return export(image(GUEST), "ova")


class TestAManifestOfLargeFiles:
    """It is verified beside the copy and the appliance, and nothing is handed off before."""

    def machine(self, directory: Path, ova: Path, content: bytes) -> Path:
        """Give the OVA with 320 MiB more, and a manifest of these that was made of `content`."""
        path = directory / "guest.ova"
        shutil.copyfile(ova, path)
        digest = hashlib.sha256()
        for _ in range(320):
            digest.update(content)
        manifest = f"SHA256(pad.bin)= {digest.hexdigest()}\n".encode()
        with tarfile.open(path, "a") as archive:
            pad, listed = tarfile.TarInfo("pad.bin"), tarfile.TarInfo("pad.mf")
            pad.size, listed.size = 320 << 20, len(manifest)
            with (directory / "pad.bin").open("w+b") as file:
                file.truncate(pad.size)
                archive.addfile(pad, file)
            archive.addfile(listed, io.BytesIO(manifest))
        return path

    def test_that_is_right(self, ova: Path, tmp_path: Path) -> None:
        given = self.machine(tmp_path, ova, bytes(1 << 20))
        converter("convert", given, "-o", tmp_path / "out", "--name", "guest").good()
        assert published(tmp_path / "out") == WHOLE

    def test_that_is_wrong(self, ova: Path, tmp_path: Path) -> None:
        given = self.machine(tmp_path, ova, b"x" * (1 << 20))
        for done in (
            converter("check", given, "--json"),
            converter("convert", given, "-o", tmp_path / "out", "--json"),
        ):
            assert (done.code, done.document["error"]["code"]) == (4, "ova-manifest-mismatch")
        assert not (tmp_path / "out").exists()


WHOLE = ["guest.manifest.json", "guest.raw", "guest.report.html"]


class TestAStoppedConversion:
    """Nothing under a final name, no process, and nothing in the way of the next run."""

    @pytest.mark.xdist_group("stopped")
    def test_killed_at_any_moment(self, ova: Path, tmp_path: Path) -> None:
        before = sha256(ova)
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        output = tmp_path / "out"
        # Ten moments, spread over the time that a whole conversion takes.
        for tenth in range(10):
            moment = random.uniform(tenth, tenth + 1) * 3.5  # noqa: S311 - no secret
            run = Run("convert", ova, "-o", output, **_places(scratch))
            run.stop_after(moment, signal.SIGKILL)
            assert run.left_over(within=30) == [], f"killed after {moment} s"
            if published(output) == WHOLE:  # it was done sooner than killed, if not at its end
                converter("verify", output / "guest.manifest.json").good()
                shutil.rmtree(output)
            assert published(output) == [], f"killed after {moment} s"
        converter("convert", ova, "-o", output, **_places(scratch)).good()
        assert published(output) == WHOLE
        assert [path.name for path in output.iterdir() if path.name.startswith(".")] == []
        assert sha256(ova) == before

    @pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("seconds", [1, 8, 16])
    @pytest.mark.xdist_group("interrupted")
    def test_interrupted(
        self, ova: Path, tmp_path: Path, signal_: signal.Signals, seconds: int
    ) -> None:
        run = Run("convert", ova, "-o", tmp_path / "out", **_places(tmp_path))
        done = run.stop_after(seconds, signal_)
        assert run.left_over(within=5) == []
        if done.code == 0:  # it was done sooner than interrupted
            assert len(published(tmp_path / "out")) == 3
            return
        assert done.code == 130, done.stderr
        assert [str(path) for path in tmp_path.rglob("*") if path.name != "out"] == []

    @pytest.mark.xdist_group("interrupted")
    def test_interrupted_while_the_appliance_stands_still(self, ova: Path, tmp_path: Path) -> None:
        run = Run("convert", ova, "-o", tmp_path / "out", **_places(tmp_path))
        stopped = run.stop_child("qemu-system-x86_64")
        assert stopped is not None
        assert run.stop_after(0, signal.SIGTERM).code == 130
        assert run.left_over(within=10) == []
        assert [path for path in tmp_path.rglob("*") if path.name != "out"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.xdist_group("conversion")
@pytest.mark.parametrize("lack", [200 << 20, 10 << 20], ids=["copy", "changes"])
def test_disk_that_fills_up(conversion: Conversion, tmp_path: Path, lack: int) -> None:
    ova, size = conversion.ova, conversion.raw.stat().st_blocks * 512 - lack
    with mounted_tmpfs(tmp_path / "small", size) as small:
        run = Run("convert", ova, "-o", small / "out", **_places(tmp_path))
        done = run.wait()
        assert done.code == 5, done.stderr
        assert "disk-full" in done.stderr
        assert run.left_over(within=10) == []
        assert list(small.iterdir()) == []


@contextmanager
def mounted_tmpfs(at: Path, size: int) -> Iterator[Path]:
    at.mkdir()
    process.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(at)])
    try:
        yield at
    finally:
        process.run(["umount", str(at)])


def _places(scratch: Path) -> dict[str, str]:
    """Give the environment for work in `scratch`; the appliance is taken from where it is kept."""
    return {"TMPDIR": str(scratch), "LIBGUESTFS_CACHEDIR": "/var/tmp"}


def published(directory: Path) -> list[str]:
    if not directory.exists():
        return []
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
