"""Devices that images of each program wait for, as the programs write them."""

from __future__ import annotations

import pytest

from converter.formats import initramfs
from converter.guest.memory import MemoryGuest
from converter.steps.initramfs_devices import renamed
from tests.unit import initramfs_samples as made

ROOT, SWAP = made.UUID.format(1), made.UUID.format(2)
CONTEXT = made.context(MemoryGuest(), [])
FILTER = '\tfilter = [ "a|/dev/sda.*|", "r|.*|" ]\n'
GONE = "# converter: the device is on none of the given disks\n"
HOOKS = "var/lib/dracut/hooks"


def edit(files: dict[str, str | bytes], links: dict[str, str] | None = None) -> dict[str, str]:
    """Give what changes in an image; changing it again changes nothing."""
    data = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    changed = renamed(CONTEXT, initramfs.read(made.archive(data, links)))
    again = renamed(CONTEXT, initramfs.read(made.archive({**data, **changed}, links)))
    assert again == {}
    return {path: text.decode("utf-8", "surrogateescape") for path, text in changed.items()}


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("etc/cmdline.d/95resume.conf", " resume=/dev/sda2\n", f"resume=UUID={SWAP}\n"),
        ("etc/cmdline.d/95resume.conf", " resume=UUID=dead rd.md=0\n", "rd.md=0\n"),
        ("etc/cmdline.d/95root-dev.conf", "root=/dev/sda1 rootfstype=ext4 rootflags=rw,relatime\n",
         f"root=UUID={ROOT} rootfstype=ext4 rootflags=rw,relatime\n"),
        ("etc/cmdline.d/95root-journaldev.conf", " root.journaldev=/dev/sda2",
         f"root.journaldev=UUID={SWAP}"),
        ("etc/cmdline", "quiet root=/dev/sda3", "quiet root=PARTUUID=c0ffee-03"),
        ("etc/fstab", "/dev/sda1\t/sysroot/usr ext4 ro 0 2\n",
         f"UUID={ROOT}\t/sysroot/usr ext4 ro 0 2\n"),
        ("etc/fstab.sys", "/dev/disk/by-path/pci-0-part9 /x ext4 ro 0 0\n",
         f"{GONE}# /dev/disk/by-path/pci-0-part9 /x ext4 ro 0 0\n"),
        ("etc/crypttab", "# /dev/sda1\nsda1_crypt /dev/sda1 none luks\n",
         f"# /dev/sda1\nsda1_crypt UUID={ROOT} none luks\n"),
        ("cryptroot/crypttab", "a /dev/sda1 none luks\n", f"a UUID={ROOT} none luks\n"),
        ("conf/conf.d/cryptroot", "target=a,source=/dev/sda1,key=none\n",
         f"target=a,source=UUID={ROOT},key=none\n"),
        ("conf/conf.d/resume", "RESUME=/dev/sda2\n", f"RESUME=UUID={SWAP}\n"),
        ("config/mount.sh", 'rootdev="/dev/sda1"\nresumedev=\'/dev/sda2\'\nx=1\n',
         f"rootdev=/dev/disk/by-uuid/{ROOT}\nresumedev=/dev/disk/by-uuid/{SWAP}\nx=1\n"),
        ("config/mount.sh", "rootdev=/dev/sda3\n", "rootdev=/dev/disk/by-partuuid/c0ffee-03\n"),
        ("init", "#!/bin/nash\nmkrootdev -t ext3 -o defaults,ro /dev/sda1\n",
         f"#!/bin/nash\nmkrootdev -t ext3 -o defaults,ro UUID={ROOT}\n"),
        (f"{HOOKS}/initqueue/finished/devexists-\\x2fdev\\x2fsda1.sh", '[ -e "/dev/sda1" ]\n',
         f'[ -e "/dev/disk/by-uuid/{ROOT}" ]\n'),
        (f"{HOOKS}/initqueue/finished/devexists-x.sh",
         '[ -e "/dev/disk/by-id/ata-VMware_Virtual-part9" ]\n', "true\n"),
        ("etc/lvm/lvm.conf", f"devices {{\n{FILTER}}}\n",
         f"devices {{\n# converter: disks have other names on EC2\n# {FILTER}}}\n"),
        ("etc/mdadm/mdadm.conf", "DEVICE /dev/sda1 /dev/sdb1\nARRAY /dev/md0 UUID=1:2:3:4\n",
         "DEVICE partitions\nARRAY /dev/md0 UUID=1:2:3:4\n"),
        (f"{HOOKS}/emergency/80-\\x2fdev\\x2fsda9.sh",
         '[ -e "/dev/sda9" ] || warn "\\"/dev/sda9\\" does not exist"\n', "true\n"),
    ],
)  # fmt: skip
def test_names_that_would_not_hold(path: str, old: str, new: str) -> None:
    assert edit({path: old}) == {path: new}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/cmdline.d/90lvm.conf", " rd.lvm.lv=vg/root  rd.lvm.lv=vg/swap\n"),
        ("etc/cmdline.d/90crypt.conf", " rd.luks.uuid=luks-1\n"),
        ("etc/cmdline.d/95resume.conf", f" resume=UUID={SWAP}\n"),
        ("etc/cmdline.d/95resume.conf", " resume=/dev/mapper/vg-swap\n"),
        ("etc/cmdline.d/95resume.conf", " resume=/dev/md1\n"),
        ("etc/fstab", "/dev/md1 /sysroot/usr ext4 ro 0 0\n"),
        (f"{HOOKS}/initqueue/finished/devexists-x.sh", '[ -e "/dev/md1" ]\n'),
        ("etc/fstab", f"UUID={ROOT} /sysroot/usr ext4 ro 0 0\n"),
        ("etc/fstab.empty", "/dev/sda1 / ext4 ro 0 0\n"),
        ("conf/initramfs.conf", "MODULES=dep\nRESUME=none\n"),
        ("config/mount.sh", "rootdev=/dev/mapper/vg-root\nresumedev=/dev/vg/swap\n"),
        (f"{HOOKS}/initqueue/finished/devexists-x.sh", '[ -e "/dev/disk/by-uuid/other" ]\n'),
        (f"{HOOKS}/initqueue/finished/wait-other.sh", '[ -e "/dev/sda9" ]\n'),
        ("init", "#!/bin/sh\nresume /dev/sda1\n"),
        ("init", b"\xff\xfe/dev/sda1"),
        ("etc/crypttab", b"\xff /dev/mapper/x none\n"),
        ("bin/x", "/dev/sda1"),
    ],
)
def test_what_holds_stays(path: str, text: str | bytes) -> None:
    assert edit({path: text}) == {}


def test_units_that_would_wait_are_masked() -> None:
    """dracut links a device unit for each device that it had to wait for; systemd.unit(5)."""
    wants = "etc/systemd/system/initrd.target.wants"
    by_path = "dev-disk-by\\x2dpath-pci\\x2d0000:00:10.0\\x2dpart2"
    by_uuid = "dev-disk-by\\x2duuid-0b1c"
    links = {
        f"{wants}/{name}.device": f"../{name}.device"
        for name in ("dev-sda2", by_path, by_uuid, "dev-mapper-vg\\x2droot")
    }
    assert edit({f"{wants}/x": ""}, links) == {
        f"etc/systemd/system/{by_path}.device": "",
        "etc/systemd/system/dev-sda2.device": "",
    }
