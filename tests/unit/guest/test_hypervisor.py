from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter import confinement
from converter.confinement import LAUNCHER, launcher
from converter.errors import ConversionError
from converter.guest import hypervisor


class Handle:
    """libguestfs' handle, as far as it is asked here."""

    def __init__(self) -> None:
        self.hv = "/usr/bin/qemu"
        self.options: list[tuple[str, str]] = []

    def config(self, name: str, value: str) -> None:
        self.options.append((name, value))

    def get_hv(self) -> str:
        return self.hv

    def set_hv(self, path: str) -> None:
        self.hv = path

    def get_memsize(self) -> int:
        return 1280

    def get_cachedir(self) -> str:
        return "/cache"

    def get_path(self) -> str:
        return "/usr/lib/guestfs:/opt/guestfs"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


def told(work: Path, handle: Handle, fixed: Path | None) -> list[str]:
    disks = [work / "disk0.qcow2"]
    assert hypervisor.confine(handle, disks, directory=work, fixed=fixed)
    data = Path(handle.hv + launcher.OPTIONS).read_bytes()
    assert data.endswith(b"\0")
    return data.decode().split("\0")[:-1]


def values(words: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(words) if name == option]


def test_qemu_gets_what_it_needs(work: Path, tmp_path: Path) -> None:
    source, image, fixed = tmp_path / "source", tmp_path / "built", tmp_path / "fixed"
    (work / "s1").symlink_to(source)
    fixed.mkdir()
    (fixed / "root").symlink_to(image)
    handle = Handle()
    words = told(work, handle, fixed)
    assert values(words, "--read") == list(map(str, (work, source, fixed, image)))
    assert values(words, "--write") == [str(work / "disk0.qcow2"), "/dev/kvm"]
    assert values(words, "--scratch") == [str(work / "scratch")]
    assert values(words, "--limit") == [f"as={(8 << 30) + (1280 << 20)}"]
    assert words[-2:] == ["--", "/usr/bin/qemu"]
    assert Path(handle.hv).resolve() == LAUNCHER
    assert handle.options == [("-sandbox", hypervisor.SANDBOX)]


def test_an_appliance_of_libguestfs_own(work: Path) -> None:
    words = told(work, Handle(), None)
    assert values(words, "--read")[1:] == [
        f"/cache/.guestfs-{os.geteuid()}",
        "/usr/lib/guestfs",
        "/opt/guestfs",
    ]


def test_a_launcher_that_cannot_be_executed(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "starts_by_itself", lambda: False)
    handle = Handle()
    assert not hypervisor.confine(handle, [], directory=work, fixed=None)
    assert handle.hv == "/usr/bin/qemu"
    assert handle.options == [("-sandbox", hypervisor.SANDBOX)]


def test_no_room_for_the_options(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ConversionError, match="No space") as caught:
        told(work, Handle(), None)
    assert caught.value.code == "disk-full"


@given(st.text("a$\\é/ ", min_size=1, max_size=3000))
def test_a_name_that_ends_far_from_every_end(name: str) -> None:
    path = Path(f"/work/{name}/qemu")
    spelled = hypervisor.spelled(path)
    assert Path(spelled) == path
    quoted = len(os.fsencode(re.sub(r'([$`\\"])', r"\\\1", spelled))) + 2
    ends = {256 << doubled for doubled in range(8)}
    assert not ends & set(range(quoted + 1, quoted + 512))
