"""Images of each program that makes them: where modules go, and what loads them."""

from __future__ import annotations

from converter.capabilities import capabilities
from converter.formats import compression
from converter.guest.memory import MemoryGuest
from converter.model import Severity
from tests.unit import initramfs_samples as made
from tests.unit.initramfs_samples import RELEASE
from tests.unit.steps.drivers_step import INITRD, MODULES, apply, codes, image_of, plan


def test_dracut() -> None:
    files = {
        "usr/lib/dracut/hostonly-kernel-modules.txt": b"ext4\n",
        "usr/lib/systemd/systemd-udevd": b"",
        "etc/cmdline.d/95resume.conf": b" resume=/dev/sda2\n",
    }
    image = compression.compress(made.archive(files, {"lib": "usr/lib"}), "xz")
    guest = MemoryGuest({**made.kernel(), INITRD: image, "/etc/dracut.conf": "# empty\n"})
    found = apply(guest)
    assert codes(found) == []
    assert guest.read("/etc/dracut.conf.d/50-ec2-drivers.conf").splitlines()[-1] == (
        b'add_drivers+=" nvme xen_blkfront "'
    )
    assert {"nvme", "xen_blkfront"} <= image_of(guest).modules(RELEASE)
    resume = image_of(guest).read("etc/cmdline.d/95resume.conf")
    assert resume == f"resume=UUID={made.UUID.format(2)}\n".encode()


def test_mkinitcpio_without_udev_loads_by_its_list() -> None:
    """The indexes of such an image are binary only, and nothing but MODULES loads them."""
    files = {
        "init_functions": b"",
        "config": b'MODULES="ext4"\nHOOKS=""\n',
        f"{MODULES}/kernel/drivers/nvme.ko": b"",
        f"{MODULES}/kernel/drivers/nvme-core.ko": b"",
        f"{MODULES}/kernel/drivers/xen-blkfront.ko": b"",
    }
    guest = MemoryGuest(
        {
            **made.kernel(),
            INITRD: made.archive(files, {"lib": "usr/lib"}),
            "/etc/mkinitcpio.conf": "MODULES=(ext4)\nHOOKS=(base)\n",
        }
    )
    found = apply(guest)
    assert codes(found) == []
    assert guest.read("/etc/mkinitcpio.conf") == b"MODULES=(nvme xen_blkfront ext4)\nHOOKS=(base)\n"
    config = image_of(guest).read("config")
    assert config == b'MODULES="ext4 nvme xen_blkfront"\nHOOKS=""\n'


def test_a_drop_in_that_sets_the_list_counts() -> None:
    name = "/etc/mkinitcpio.conf.d/20-modules.conf"
    guest = MemoryGuest(
        {
            **made.kernel(),
            INITRD: made.archive({"init_functions": b"", "usr/bin/udevadm": b""}),
            "/etc/mkinitcpio.conf": "MODULES=()\n",
            "/etc/mkinitcpio.conf.d/10-hooks.conf": "HOOKS=(base udev)\n",
            name: "MODULES=(vmw_pvscsi)\n",
        }
    )
    apply(guest)
    assert guest.read(name) == b"MODULES=(nvme xen_blkfront vmw_pvscsi)\n"
    assert guest.read("/etc/mkinitcpio.conf") == b"MODULES=()\n"


def test_suse_mkinitrd() -> None:
    files = {
        "run_all.sh": b"",
        "sbin/udevd": b"",
        "config/mount.sh": b"rootdev=/dev/sda1\nresumedev=/dev/disk/by-id/ata-VMware_1-part9\n",
    }
    guest = MemoryGuest(
        {
            **made.kernel(dep="updates/xen-vbd.ko: updates/xen-platform-pci.ko\n"
                          "updates/xen-platform-pci.ko:\n"),
            INITRD: compression.compress(made.archive(files), "gzip"),
            "/etc/sysconfig/kernel": '# comment\nINITRD_MODULES="piix mptspi"\n',
        }
    )  # fmt: skip
    apply(guest)
    assert guest.read("/etc/sysconfig/kernel") == (
        b'# comment\nINITRD_MODULES="piix mptspi xen_vbd xen_platform_pci"\n'
    )
    assert image_of(guest).modules(RELEASE) == {"xen_vbd", "xen_platform_pci"}
    assert image_of(guest).read("config/mount.sh") == (
        f'rootdev=/dev/disk/by-uuid/{made.UUID.format(1)}\nresumedev=""\n'.encode()
    )


def test_red_hats_mkinitrd() -> None:
    """RHEL 5: modules lie in /lib, and the script of nash names each of them."""
    script = (
        b"#!/bin/nash\nmkblkdevs\nresume /dev/sda2\nmkrootdev -t ext3 /dev/sda1\nmount /sysroot\n"
    )
    files = {"bin/nash": b"", "init": script, "lib/ext3.ko": b"", "lib/libc.so": b""}
    dep = (
        f"/lib/modules/{RELEASE}/x/xen-vbd.ko: /lib/modules/{RELEASE}/x/xen-platform-pci.ko\n"
        f"/lib/modules/{RELEASE}/x/xen-platform-pci.ko:\n"
    )
    kernel = made.kernel(dep="x/xen-vbd.ko:\nx/xen-platform-pci.ko:\n")
    guest = MemoryGuest(
        {
            **kernel,
            f"/lib/modules/{RELEASE}/modules.dep": dep,
            INITRD: compression.compress(made.archive(files), "gzip"),
            "/etc/modprobe.conf": "alias scsi_hostadapter mptbase\n",
        }
    )
    found = apply(guest)
    assert codes(found, Severity.ERROR) == []
    image = image_of(guest)
    assert image.modules(RELEASE) == {"ext3", "xen_vbd", "xen_platform_pci"}
    assert image.read("init") == (
        b"#!/bin/nash\nmkblkdevs\n"
        b'echo "Loading xen-platform-pci.ko module"\ninsmod /lib/xen-platform-pci.ko\n'
        b'echo "Loading xen-vbd.ko module"\ninsmod /lib/xen-vbd.ko\nmkblkdevs\n'
        + f"resume UUID={made.UUID.format(2)}\n".encode()
        + f"mkrootdev -t ext3 UUID={made.UUID.format(1)}\nmount /sysroot\n".encode()
    )
    assert image.files["init"].mode & 0o777 == 0o755
    assert not any("modules.dep" in path for path in image.files)
    assert guest.read("/etc/modprobe.conf").splitlines()[1:] == [
        b"alias scsi_hostadapter1 xen_vbd",
        b"alias scsi_hostadapter2 xen_platform_pci",
    ]
    assert capabilities(made.facts(guest, [made.entry()]).os).xen_blk


def test_an_image_that_nothing_is_known_about() -> None:
    guest = MemoryGuest({**made.kernel(), INITRD: made.archive({"init": b"\x7fELF"})})
    found = apply(guest)
    assert codes(found) == ["initramfs-configuration-unknown", "initramfs-loader-unknown"]
    assert codes(found, Severity.WARNING) == ["initramfs-loader-unknown"]
    assert "nvme" in image_of(guest).modules(RELEASE)


def test_an_image_whose_files_are_in_another() -> None:
    files = {"init": b"", "usr/lib/dracut/x": b"", "squash-root.img": b"hsqs"}
    guest = MemoryGuest({**made.kernel(), INITRD: made.archive(files), "/etc/dracut.conf": ""})
    (error,) = (f for f in plan(guest).findings if f.severity is Severity.ERROR)
    assert error.code == "initramfs-not-prepared"
    assert "squash-root.img" in error.message
