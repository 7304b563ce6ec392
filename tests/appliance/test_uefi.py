"""The fallback loader and SELinux labels on real filesystems: FAT and ext4 in the appliance."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.accelerator import choose
from converter.guest.appliance import Appliance
from converter.guest.labels import LABEL
from converter.guest.replay import replay
from converter.inspection import inspect_machine
from converter.model import BootMode, CopyFile, MakeLink, WriteFile
from converter.steps.order import make_plan
from tests.unit import efi_programs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from converter.inspection import Inspection
    from converter.model import Plan

# One appliance for all: the guest is inspected, changed, and inspected again.
pytestmark = [pytest.mark.appliance, pytest.mark.xdist_group("uefi")]

MIB = 1 << 20
ROOT = "11111111-2222-3333-4444-555555555555"
TABLE = (
    "label: gpt\nstart=2048, size=131072, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n"
    "start=133120, size=124928, type=L\n"
)
ETC = b"system_u:object_r:etc_t:s0\0"
UNIT = b"system_u:object_r:systemd_unit_file_t:s0\0"
FILES = {
    "etc/fstab": f"UUID={ROOT} / ext4 defaults 0 1\n",
    "etc/os-release": "ID=debian\nVERSION_ID=12\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=default\n",
    "etc/selinux/default/contexts/files/file_contexts": (
        "/etc/.* system_u:object_r:etc_t:s0\n"
        "/etc/systemd/system(/.*)? system_u:object_r:systemd_unit_file_t:s0\n"
    ),
    "etc/cloud/cloud.cfg.d/99-old.cfg": "datasource_list: [ NoCloud ]\n",
    "usr/bin/cloud-init": "#!/usr/bin/python3\n",
    "usr/bin/vmtoolsd": "",
    "usr/lib/systemd/systemd": "",
    "usr/lib/systemd/system/open-vm-tools.service": "[Unit]\n",
    "boot/grub/grub.cfg": "menuentry Linux {\n linux /vmlinuz root=/dev/sda2\n}\n",
}
ESP = {
    "shimx64.efi": efi_programs.shim(),
    "grubx64.efi": efi_programs.grub(),
    "mmx64.efi": efi_programs.pe((b".text", b"\x90" * (3 * MIB))),
    "fbx64.efi": efi_programs.pe((b".text", b"fallback")),
    "grub.cfg": f"search.fs_uuid {ROOT} root\nset prefix=($root)'/boot/grub'\n".encode(),
}


def make_disk(directory: Path) -> Path:
    disk = directory / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(128 * MIB)
    process.run(["sfdisk", "-q", "--no-reread", str(disk)], stdin=TABLE.encode())
    tree = directory / "tree"
    for name, text in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "bin").mkdir()
    (tree / "bin/sh").write_bytes(b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\0" + bytes(44))
    for name in ("boot/efi", "etc/systemd/system"):
        (tree / name).mkdir(parents=True)
    for name, label in (("etc", ETC), ("etc/systemd/system", UNIT), ("etc/cloud/cloud.cfg.d", ETC)):
        os.setxattr(tree / name, LABEL, label)
    root, esp = directory / "root", directory / "esp"
    for path, size in ((root, 61 * MIB), (esp, 64 * MIB)):
        with path.open("wb") as file:
            file.truncate(size)
    process.run(["mkfs.ext4", "-q", "-U", ROOT, "-d", str(tree), str(root)])
    process.run(["mkfs.vfat", str(esp)])
    process.run(["mmd", "-i", str(esp), "::/EFI", "::/EFI/debian"])
    for name, data in ESP.items():
        (directory / name).write_bytes(data)
        process.run(["mcopy", "-i", str(esp), str(directory / name), "::/EFI/debian/"])
    for path, start in ((esp, 2048), (root, 133120)):
        process.run(
            ["dd", f"if={path}", f"of={disk}", "bs=1M", f"seek={start * 512}", "oflag=seek_bytes",
             "conv=notrunc,sparse", "status=none"]
        )  # fmt: skip
    return disk


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    directory = tmp_path_factory.mktemp("uefi")
    disk, overlay = make_disk(directory), directory / "disk.qcow2"
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(overlay)]
    )
    settings = choose().libguestfs_settings
    with Appliance([overlay], settings=settings, directory=directory) as machine:
        yield machine


@pytest.fixture(scope="module")
def before(machine: Appliance) -> Inspection:
    return inspect_machine(machine)


@pytest.fixture(scope="module")
def plan(machine: Appliance, before: Inspection) -> Plan:
    plan = make_plan(machine, before)
    replay(plan, machine, progress=lambda _fraction: None)
    machine.unmount()
    return plan


@pytest.fixture(scope="module")
def after(machine: Appliance, plan: Plan) -> Inspection:
    assert plan.changes
    return inspect_machine(machine)


def test_a_partition_that_is_in_no_fstab_is_found(before: Inspection) -> None:
    (esp,) = before.facts.esps
    assert (esp.path, esp.type) == ("/boot/efi", "vfat")
    assert esp.space is not None
    assert before.facts.boot_modes == {BootMode.UEFI}
    assert esp not in before.facts.mounts


def test_programs_are_copied_byte_for_byte(
    machine: Appliance, plan: Plan, after: Inspection
) -> None:
    copied = {item.path: item.source for item in plan.changes if isinstance(item, CopyFile)}
    assert sorted(copied) == [
        "/boot/efi/EFI/BOOT/BOOTX64.EFI",
        "/boot/efi/EFI/BOOT/grubx64.efi",
        "/boot/efi/EFI/BOOT/mmx64.efi",
    ]
    for path, source in copied.items():
        expected = ESP[source.rpartition("/")[2]]
        assert machine.read(path, limit=8 * MIB) == expected
    assert after.facts.boot_modes == {BootMode.UEFI}


def test_new_names_have_their_labels(machine: Appliance, plan: Plan, after: Inspection) -> None:
    labelled = {
        change.path: dict(change.attributes)
        for change in plan.changes
        if isinstance(change, WriteFile | MakeLink) and change.attributes
    }
    assert labelled["/etc/systemd/system/open-vm-tools.service"] == {LABEL: UNIT}
    assert labelled["/etc/cloud/cloud.cfg.d/zz_ec2_datasource.cfg"] == {LABEL: ETC}
    for path, attributes in labelled.items():
        assert dict(machine.attributes(path))[LABEL] == attributes[LABEL]
    assert machine.lstat("/.autorelabel") is None
    assert after.facts.linux.selinux == "enforcing"


def test_a_second_plan_changes_nothing(machine: Appliance, after: Inspection) -> None:
    again = make_plan(machine, after)
    assert again.changes == ()
