"""Linux guests that cannot be converted: a fixture, and small functions that spoil it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.guests import harness

Data = dict[str, Any]
State = Callable[[Data], None]

GRUB = "/boot/grub/grub.cfg"
# Of a filesystem that is on no disk.
_ANOTHER = "dead0000-0000-4000-8000-000000000000"


def guest(base: str, *states: State) -> harness.Fixture:
    """Give a fixture with `states` applied, one after another."""
    data = copy.deepcopy(harness.load(base).data)
    for state in states:
        state(data)
    return harness.Fixture(base, data)


# --- what the guest is ----------------------------------------------------------------------------


def i386(data: Data) -> None:
    data["architecture"] = "i386"


def unknown_distribution(data: Data) -> None:
    data["files"]["/etc/os-release"] = 'NAME="Homemade"\nID=homemade\nVERSION_ID="1"\n'
    del data["files"]["/etc/debian_version"]


def untabled(data: Data) -> None:
    data["files"]["/etc/os-release"] = 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="99"\n'


def no_ena(data: Data) -> None:
    data["kernels"]["main"]["modules"].remove("ena")


# --- what starts it -------------------------------------------------------------------------------


def no_boot_code(data: Data) -> None:
    data["disks"][0]["boot"] = ""


def no_bootloader(data: Data) -> None:
    data["files"][GRUB] = False


def lilo(data: Data) -> None:
    """Its own code is in the first sector (`disks.LILO`)."""
    no_bootloader(data)
    no_boot_code(data)
    data["files"]["/etc/lilo.conf"] = "boot=/dev/sda\nimage=/vmlinuz\n\tlabel=linux\n"


def extlinux(data: Data) -> None:
    """It is in the active partition (`disks.EXTLINUX`); code in the first sector leads there."""
    no_bootloader(data)
    data["disks"][0]["boot"] = "active-"
    data["files"]["/boot/extlinux/extlinux.conf"] = "default linux\nlabel linux\n kernel /vmlinuz\n"


def grub_with_an_error(data: Data) -> None:
    data["files"][GRUB] += "\nif [ x = y ]; then\n"


def no_entries(data: Data) -> None:
    data["files"][GRUB] = "set timeout=5\n"


def entry_missing(data: Data) -> None:
    """The default is the title of a kernel that was removed."""
    data["files"][GRUB] = data["files"][GRUB].replace('default="0"', 'default="gone"')


def bls_without_entries(data: Data) -> None:
    data["files"][GRUB] = "set default=gone\ninsmod blsuki\nblscfg\n"


def bls_entry_missing(data: Data) -> None:
    entries = {
        f"/boot/loader/entries/debian-{name}.conf": f"title Debian\nversion {name}\n"
        f"linux {data['kernels']['main']['image']}\ninitrd {data['kernels']['main']['initramfs']}\n"
        f"options root=UUID={harness.fs_uuid('/')} ro\n"
        for name in ("one", "two")
    }
    bls_without_entries(data)
    data["files"] |= entries


def default_gone(data: Data) -> None:
    """The environment block names an entry that was removed."""
    for lines in data["grubenv"].values():
        lines[:] = ["saved_entry=gone"]


def another_grub(data: Data) -> None:
    """Beside /boot/grub, a /boot/grub2 that starts another entry."""
    data["files"]["/boot/grub2/grub.cfg"] = data["files"][GRUB].replace("ro  quiet", "ro debug")


def grub_modules(data: Data) -> None:
    """They tell in which directory GRUB reads its configuration."""
    data["files"]["/boot/grub/i386-pc/normal.mod"] = ""


# --- its kernel -----------------------------------------------------------------------------------


def _starts(data: Data, image: str) -> None:
    text = data["files"][GRUB]
    data["files"][GRUB] = text.replace(data["kernels"]["main"]["image"], image)


def kernel_missing(data: Data) -> None:
    _starts(data, "/boot/vmlinuz-9.9.9-removed")


def xen_kernel(data: Data) -> None:
    name = "2.6.32.12-0.7-xen"
    old = data["kernels"]["main"]["release"]
    _replace(data, old, name)


def _replace(data: Any, old: str, new: str) -> None:
    for key, value in list(data.items() if isinstance(data, dict) else enumerate(data)):
        if isinstance(value, str):
            data[key] = value.replace(old, new)
        elif isinstance(value, dict | list):
            _replace(value, old, new)


def initramfs_unreadable(data: Data) -> None:
    data["kernels"]["main"]["initramfs"], path = "", data["kernels"]["main"]["initramfs"]
    data["files"][path] = "no cpio archive\n" * 100


def no_initramfs(data: Data) -> None:
    lines = data["files"][GRUB].splitlines(keepends=True)
    data["files"][GRUB] = "".join(line for line in lines if "initrd" not in line)


def no_module_index(data: Data) -> None:
    release = data["kernels"]["main"]["release"]
    data["files"][f"/lib/modules/{release}/modules.dep"] = ""


# --- its filesystems ------------------------------------------------------------------------------


def fstab_is_a_directory(data: Data) -> None:
    data["files"]["/etc/fstab"] = False
    data["directories"] = [*data.get("directories", ()), "etc/fstab"]


def no_room(data: Data) -> None:
    """Its root has place for what is there, and little more: of blocks, and of inodes."""
    data["disks"][0]["partitions"][0] |= {"size": "64M", "mkfs": ["-N", "208"]}


def var_missing(data: Data) -> None:
    data["files"]["/etc/fstab"] += f"UUID={_ANOTHER} /var ext4 defaults 0 2\n"


def _further(data: Data, *partitions: dict[str, Any]) -> None:
    """Put partitions behind the others."""
    first, *rest = data["disks"][0]["partitions"]
    data["disks"][0]["partitions"] = [first | {"size": "18G"}, *rest, *partitions]


def home(data: Data) -> None:
    """A filesystem of its own."""
    _further(data, {"number": 6, "size": "64M", "type": "linux", "fs": "ext4", "mount": "/home"})
    data["files"]["/etc/fstab"] += f"UUID={harness.fs_uuid('/home')} /home ext4 defaults 0 2\n"


def swap_file(data: Data) -> None:
    data["files"]["/etc/fstab"] += "/swapfile none swap sw 0 0\n"


def sealed(data: Data) -> None:
    """Room for LUKS and BitLocker, and a partition of the Logical Disk Manager."""
    kinds = enumerate(("linux", "windows", "42"), start=6)
    _further(data, *({"number": number, "size": "64M", "type": kind} for number, kind in kinds))


def root_of_another(data: Data) -> None:
    """GRUB gives the kernel another root than the one that is there."""
    data["files"][GRUB] = data["files"][GRUB].replace(
        f"root=UUID={harness.fs_uuid('/')}", f"root=UUID={_ANOTHER}"
    )


def twin(data: Data) -> None:
    """Another machine's disk: with filesystems of its own."""
    for partition in data["disks"][0]["partitions"]:
        if partition.get("fs"):
            old = harness.fs_uuid(partition["mount"])
            partition["uuid"] = f"{_ANOTHER[:8]}{old[8:]}"
            _replace(data, old, partition["uuid"])


def small_esp(data: Data) -> None:
    data["disks"][0]["partitions"][0]["size"] = "64M"


# --- its network ----------------------------------------------------------------------------------


def no_dhcp_client(data: Data) -> None:
    data["programs"].remove("/sbin/dhclient")


def network_off(data: Data) -> None:
    data["units"].remove("networking.service")
