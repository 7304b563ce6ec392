"""Headers with any bytes changed: a disk, or an error of ours, within no time."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

import pytest

from converter.errors import DamagedInputError, GuestRefusedError
from tests.unit.source.build import (
    GRAIN,
    MIB,
    checked,
    dynamic_vhd,
    ovf,
    pattern,
    qcow2,
    sparse_vmdk,
    stored,
    stream_vmdk,
    tar,
    vdi,
    vhdx,
    vhdx_regions,
)
from tests.unit.source.opening import open_at

if TYPE_CHECKING:
    from pathlib import Path

DATA = pattern(GRAIN)
STREAM = stream_vmdk({0: DATA, 2: DATA}, 400)
IMAGES = {
    "stream.vmdk": STREAM,
    "sparse.vmdk": sparse_vmdk({0: DATA}, 400),
    "a.vhd": dynamic_vhd({0: DATA}, MIB, block=GRAIN),
    "a.vhdx": vhdx({0: DATA}, 3 * MIB),
    "a.vdi": vdi({0: DATA}, 3 * MIB),
    "a.qcow2": qcow2({0: DATA}, MIB),
    "extended.qcow2": qcow2({0: DATA}, MIB, features=16),
    "a.ova": tar(("vm.ovf", ovf().encode()), ("a.vmdk", STREAM)),
}
VALUES = (b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7, b"\x80" + bytes(7), b"\x01" + bytes(3))


def check(path: Path, place: int, value: bytes) -> None:
    """Open the image with `value` at `place`, and put back what was there."""
    with path.open("r+b") as file:
        file.seek(place)
        before = file.read(len(value))
        file.seek(place)
        file.write(value)
        file.flush()
        with contextlib.suppress(DamagedInputError, GuestRefusedError):
            open_at(path)
        file.seek(place)
        file.write(before)


@pytest.mark.parametrize("name", IMAGES)
def test_changed_bytes(tmp_path: Path, name: str) -> None:
    draw = random.Random(name)  # noqa: S311 - no secret
    image = IMAGES[name]
    used = [place for place, byte in enumerate(image[: 3 * MIB + 512]) if byte]
    used = [place for place in used if place < 4096 or place % 4096 < 96]
    path = stored(tmp_path, name, image)
    for _ in range(15):
        check(path, draw.choice(used), draw.choice(VALUES))
    assert path.read_bytes()[: len(image)] == image


def test_metadata_of_a_vhdx_that_is_checked_by_nothing(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.vhdx", IMAGES["a.vhdx"])
    for number, at in enumerate(range(0, 96, 4)):
        check(path, 2 * MIB + 8 + at, VALUES[number % len(VALUES)])


@pytest.mark.parametrize("size", [0, 32, 40, 64 << 10, 1 << 31])
def test_a_metadata_region_of_any_size(tmp_path: Path, size: int) -> None:
    region = bytearray(vhdx_regions())
    region[16 + 24 : 16 + 28] = size.to_bytes(4, "little")
    table = checked(bytes(region))
    data = vhdx({}, MIB, regions=(table, table))
    with contextlib.suppress(DamagedInputError, GuestRefusedError):
        open_at(stored(tmp_path, "a.vhdx", data))
