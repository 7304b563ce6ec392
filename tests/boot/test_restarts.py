"""A machine that restarts is started again, as it is on EC2; one that ends is not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from converter import process
from converter.accelerator import choose
from converter.guest.appliance import Appliance
from images.cache import image
from tests.command import converter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("shape-debian-12-bios")]

GUEST = "debian-12-bios"
# What Ubuntu's images for clouds do: a kernel of another cloud needs no initramfs.
TRY_WITHOUT_INITRAMFS = """\
load_env
if [ "$tried" != 1 ]; then
  set tried=1
  save_env tried
  linux {kernel} root=/dev/sda1 ro console=ttyS0 panic=-1
  boot
fi
"""


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Convert a guest, and give its disk."""
    directory = tmp_path_factory.mktemp("restarts")
    converter("convert", *image(GUEST).disks, "-o", directory, "--name", "guest").good()
    yield directory / "guest.raw"
    shutil.rmtree(directory)


def boot(guest: Path, directory: Path, first: str) -> Any:
    """Boot a copy of the guest, with `first` before all that its GRUB is told."""
    disk, overlay = directory / "disk.raw", directory / "disk.qcow2"
    process.run(["cp", "--reflink=auto", "--sparse=always", str(guest), str(disk)])
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(overlay)]
    )
    with Appliance(
        [overlay], settings=choose().libguestfs_settings, directory=directory
    ) as machine:
        machine.mount("/dev/sda1", "/", options="rw")
        (kernel,) = [name for name in machine.list("/boot") if name.startswith("vmlinuz-")]
        menu = first.format(kernel=f"/boot/{kernel}").encode() + machine.read("/boot/grub/grub.cfg")
        block = b"# GRUB Environment Block\n".ljust(1024, b"#")
        for path, data in (("/boot/grub/grub.cfg", menu), ("/boot/grub/grubenv", block)):
            machine.write(path, data, mode=0o644, uid=0, gid=0)
        machine.unmount()
    process.run(["qemu-img", "commit", "-q", str(overlay)])
    done = converter("boot", disk, "--json")
    disk.unlink()
    return done.document


def test_a_try_that_panics_is_not_the_end(guest: Path, tmp_path: Path) -> None:
    report = boot(guest, tmp_path, TRY_WITHOUT_INITRAMFS)
    assert (report["reached"], report["starts"]) == ("multi-user", 2), report
    assert "Kernel panic" not in report["console_tail"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("command", "reached", "starts"), [("halt", "stopped", 1), ("reboot", "restart-loop", 3)]
)
def test_what_does_not_come_up_is_told(
    guest: Path, tmp_path: Path, command: str, reached: str, starts: int
) -> None:
    report = boot(guest, tmp_path, f"{command}\n")
    assert (report["reached"], report["starts"]) == (reached, starts)
