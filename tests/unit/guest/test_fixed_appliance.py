from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING, Any

import pytest

from converter import process
from converter.errors import ConversionError
from converter.guest import fixed_appliance
from tests.unit.formats.test_linux_image import KERNEL, bzimage, elf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def parts(tmp_path: Path) -> str:
    (tmp_path / "guestfs/supermin.d").mkdir(parents=True)
    return f"/missing:{tmp_path}/guestfs"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Let supermin make an appliance of a kernel, in a cache of our own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def with_kernel(image: bytes) -> None:
        def run(argv: list[str], **_: Any) -> None:
            built = tmp_path / "cache/converter/appliance/built"
            assert argv[:3] == ["env", f"TMPDIR={tmp_path}", "supermin"]
            assert argv[-1] == str(built)
            built.mkdir(exist_ok=True)
            for name, content in (("kernel", image), ("initrd", b"i"), ("root", b"r")):
                (built / name).write_bytes(content)

        monkeypatch.setattr(process, "run", run)

    return with_kernel


def test_the_kernel_is_unpacked_and_the_rest_is_as_it_was(
    parts: str, build: Any, tmp_path: Path
) -> None:
    build(bzimage(gzip.compress(KERNEL)))
    made = fixed_appliance.prepare(parts, work=tmp_path)
    assert made is not None
    assert (made / "kernel").read_bytes() == KERNEL
    assert (made / "initrd").read_bytes() == b"i"
    assert (made / "root").read_bytes() == b"r"
    assert (made / "README.fixed").is_file()
    assert fixed_appliance.prepare(parts, work=tmp_path) == made


def test_another_kernel_is_another_appliance(parts: str, build: Any, tmp_path: Path) -> None:
    build(bzimage(gzip.compress(KERNEL)))
    first = fixed_appliance.prepare(parts, work=tmp_path)
    build(bzimage(gzip.compress(KERNEL + b"new")))
    assert fixed_appliance.prepare(parts, work=tmp_path) not in (first, None)


@pytest.mark.parametrize("image", [b"no kernel", bzimage(gzip.compress(elf()))])
def test_without_such_a_kernel_libguestfs_does_it_by_itself(
    parts: str, build: Any, image: bytes, tmp_path: Path
) -> None:
    build(image)
    assert fixed_appliance.prepare(parts, work=tmp_path) is None
    left = {path.name for path in (tmp_path / "cache/converter/appliance").iterdir()}
    assert left <= {"built", "lock"}


def test_what_a_killed_supermin_left_is_removed(parts: str, build: Any, tmp_path: Path) -> None:
    build(bzimage(gzip.compress(KERNEL)))
    base = tmp_path / "cache/converter/appliance"
    for name in ("built.x1y2z3", "built.other"):
        (base / name).mkdir(mode=0o700, parents=True)
        (base / name / "root").write_bytes(b"x")
    base.chmod(0o700)
    os.utime(base / "built.x1y2z3", (0, 0))
    made = fixed_appliance.prepare(parts, work=tmp_path)
    assert made is not None
    left = {path.name for path in base.iterdir()}
    assert left == {"built", "built.other", made.name}
    assert (made / "root").read_bytes() == b"r"


def test_an_appliance_of_the_users_is_left_alone(tmp_path: Path, build: Any) -> None:
    build(bzimage(gzip.compress(KERNEL)))
    assert fixed_appliance.prepare(str(tmp_path), work=tmp_path) is None


def test_a_directory_that_others_can_write_to_is_not_used(
    parts: str, build: Any, tmp_path: Path
) -> None:
    build(bzimage(gzip.compress(KERNEL)))
    (tmp_path / "cache/converter/appliance").mkdir(parents=True)
    (tmp_path / "cache/converter/appliance").chmod(0o777)
    assert fixed_appliance.prepare(parts, work=tmp_path) is None


def test_a_supermin_that_fails(
    parts: str, build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConversionError("tool-failed", "supermin: no kernel can be read")

    build(b"")
    monkeypatch.setattr(process, "run", fail)
    assert fixed_appliance.prepare(parts, work=tmp_path) is None
