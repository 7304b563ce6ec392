"""Converted disks start: GRUB, with the reader of the old table only, is built for the new one.

The guest is GRUB alone, on a real filesystem, started by a real BIOS.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.disk.apply import write_table
from converter.disk.conversion import prepare
from converter.disk.table import read_table
from converter.guest.memory import MemoryGuest
from converter.guest.recording import RecordingGuest
from converter.inspection.storage import Storage
from converter.model import ConvertTable, TableType
from converter.steps import partition_table
from converter.steps.step import Context, Options
from tests.unit.samples import FACTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.model import Disk

pytestmark = pytest.mark.boot

GRUB = Path("/usr/lib/grub/i386-pc")
SECTOR = 512
SIZE = 64 << 20
MARK = "GRUB-IS-UP"
CONFIG = f"serial --unit=0\nterminal_output serial\necho {MARK}\necho {MARK}\nsleep 30\n"
MBR = "label: dos\nlabel-id: 0x1234abcd\nstart=2048, size=2048, type=82\nstart=4096, type=83\n"
# Extended: the root is the logical partition 5.
LOGICAL = (
    "label: dos\nlabel-id: 0x1234abcd\nstart=2048, size=2048, type=82\nstart=4096, type=5\n"
    "start=6144, type=83\n"
)
GPT = (
    "label: gpt\nlabel-id: 01234567-89AB-CDEF-0123-456789ABCDEF\n"
    "start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\nstart=4096, type=L\n"
)
# The layout of cloud images: numbers that an MBR has not.
CLOUD = (
    "label: gpt\nlabel-id: 01234567-89AB-CDEF-0123-456789ABCDEF\n"
    "14 : start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\n"
    "16 : start=4096, type=L\n"
)


def make(directory: Path, script: str, *, number: int, core_at: int) -> Path:
    """Make a disk that GRUB was installed to, as grub-install does it, for its own table alone."""
    image = directory / "disk.raw"
    with image.open("wb") as file:
        file.truncate(SIZE)
    process.run(["sfdisk", "-q", "--no-reread", str(image)], stdin=script.encode())
    disk = table(image)
    kind = "gpt" if disk.table is TableType.GPT else "msdos"
    root = next(part for part in disk.partitions if part.number == number)
    fill(directory, image, start=root.start, size=root.size)
    core = directory / "core.img"
    process.run(
        [
            "grub-mkimage", "-d", str(GRUB), "-O", "i386-pc", "-o", str(core),
            "-p", f"(,{kind}{number})/boot/grub", "biosdisk", f"part_{kind}", "ext2",
        ]
    )  # fmt: skip
    boot = bytearray((GRUB / "boot.img").read_bytes())
    boot[0x5C:0x64] = core_at.to_bytes(8, "little")
    data = bytearray(core.read_bytes())
    data[0x1F4:0x1FC] = (core_at + 1).to_bytes(8, "little")
    with image.open("r+b") as file:
        file.write(boot[:440])
        file.seek(core_at * SECTOR)
        file.write(data)
    return image


def fill(directory: Path, image: Path, *, start: int, size: int) -> None:
    tree = directory / "tree/boot/grub/i386-pc"
    tree.mkdir(parents=True)
    for module in GRUB.glob("*.[ml][os][dt]"):
        (tree / module.name).write_bytes(module.read_bytes())
    (tree.parent / "grub.cfg").write_text(CONFIG)
    part = directory / "root.ext4"
    with part.open("wb") as file:
        file.truncate(size)
    process.run(["mkfs.ext4", "-q", "-d", str(directory / "tree"), str(part)])
    process.run(
        ["dd", f"if={part}", f"of={image}", "bs=1M", f"seek={start}", "oflag=seek_bytes",
         "conv=notrunc,sparse", "status=none"]
    )  # fmt: skip


def reader(image: Path) -> Callable[[int, int], bytes]:
    def read(offset: int, length: int) -> bytes:
        with image.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    return read


def table(image: Path) -> Disk:
    return read_table(reader(image), device="/dev/sda", size=image.stat().st_size)


def convert(directory: Path, image: Path, wanted: TableType) -> tuple[Path, ConvertTable]:
    conversion = prepare(reader(image), table(image), wanted, bios=True)
    assert conversion is not None
    files = {
        f"/boot/grub/i386-pc/{name}": (GRUB / name).read_bytes()
        for name in ("part_gpt.mod", "part_msdos.mod")
    }
    recording = RecordingGuest(MemoryGuest(files))
    facts = replace(FACTS, disks=(table(image),))
    options = Options(conversion=conversion)
    partition_table.STEP.run(Context(recording, facts, Storage(facts.disks, (), ()), options))
    (change,) = recording.plan.changes
    assert isinstance(change, ConvertTable)
    overlay = directory / "overlay.qcow2"
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image), str(overlay)]
    )
    write_table(overlay, change, directory=directory)
    made = directory / "made.raw"
    process.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(overlay), str(made)])
    return made, change


def starts(image: Path, *, within: float = 90) -> bool:
    """Tell whether GRUB comes up from a raw image, by what it says on the serial line."""
    log = image.with_suffix(".serial")
    log.unlink(missing_ok=True)
    argv = [
        "qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-m", "128", "-display", "none",
        "-no-reboot", "-serial", f"file:{log}", "-monitor", "none", "-snapshot",
        "-drive", f"file={image},format=raw,if=ide",
    ]  # fmt: skip
    deadline = time.monotonic() + within
    with process.start(argv) as machine:
        try:
            while time.monotonic() < deadline and machine.poll() is None:
                if log.is_file() and MARK in log.read_text(errors="replace"):
                    return True
                time.sleep(0.2)
        finally:
            machine.kill()
    return False


@pytest.mark.parametrize(
    ("script", "number", "core_at", "wanted", "after"),
    [
        (MBR, 2, 1, TableType.GPT, {1: 2048, 2: 4096, 3: 34}),
        (LOGICAL, 5, 1, TableType.GPT, {1: 2048, 2: 34, 5: 6144}),
        (GPT, 2, 2048, TableType.MBR, {2: 4096}),
        (CLOUD, 16, 2048, TableType.MBR, {1: 4096}),
    ],
    ids=["mbr-to-gpt", "logical-to-gpt", "gpt-to-mbr", "cloud-gpt-to-mbr"],
)
def test_a_converted_disk_starts(
    tmp_path: Path,
    *,
    script: str,
    number: int,
    core_at: int,
    wanted: TableType,
    after: dict[int, int],
) -> None:
    image = make(tmp_path, script, number=number, core_at=core_at)
    before = image.read_bytes()
    made, _ = convert(tmp_path, image, wanted)
    assert image.read_bytes() == before
    disk = table(made)
    assert disk.table is wanted
    assert disk.boot_code
    assert {part.number: part.start // SECTOR for part in disk.partitions} == after
    assert starts(made)


def test_the_unconverted_disk_starts_too(tmp_path: Path) -> None:
    """Without this the test above could not tell a conversion from a GRUB that always starts."""
    image = make(tmp_path, GPT, number=2, core_at=2048)
    assert starts(image)
    with image.open("r+b") as file:
        file.seek(2049 * SECTOR)
        file.write(bytes(20 * SECTOR))
    assert not starts(image, within=8)


def test_sfdisk_sees_the_same_partitions(tmp_path: Path) -> None:
    image = make(tmp_path, LOGICAL, number=5, core_at=1)
    made, change = convert(tmp_path, image, TableType.GPT)
    process.run(["sfdisk", "--verify", str(made)])
    listed = process.run(["sfdisk", "--dump", str(made)]).stdout.decode()
    for part in change.partitions:
        assert f"start={part.start // SECTOR:>12}" in listed
        assert part.uuid.upper() in listed
