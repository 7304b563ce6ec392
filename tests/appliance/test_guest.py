"""The appliance does what the contract says, in a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.accelerator import choose
from converter.guest.appliance import Appliance
from tests.contract import GuestContract, make_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.appliance


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    directory: Path = tmp_path_factory.mktemp("appliance")
    disk = directory / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(256 << 20)
    process.run(["mkfs.ext4", "-q", "-F", str(disk)])
    overlay = directory / "disk.qcow2"
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(overlay)]
    )
    settings = choose().libguestfs_settings
    with Appliance([overlay], settings=settings, directory=directory) as machine:
        yield machine


class TestApplianceGuest(GuestContract):
    @pytest.fixture
    def guest(self, machine: Appliance) -> Iterator[Appliance]:
        ((device, _size),) = machine.devices()
        machine.mount(device, "/", options="rw")
        # A fresh tree for every test, on one filesystem: the last test's is moved out of the way.
        for name in machine.list("/"):
            if name != "lost+found":
                machine._handle.rm_rf(f"/{name}")
        make_tree(machine)
        yield machine
        machine.unmount()
