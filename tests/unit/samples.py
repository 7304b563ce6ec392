"""A guest and its conversion, for tests of what is judged, written and shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from converter.model import (
    BootEntry,
    Bootloader,
    BootMode,
    ByteRange,
    Capabilities,
    Checksum,
    ContainerFormat,
    Disk,
    DiskFormat,
    Facts,
    Filesystem,
    Finding,
    Initramfs,
    Kernel,
    LinuxFacts,
    Mount,
    NetworkStack,
    OutputDisk,
    Partition,
    Plan,
    Report,
    Severity,
    Source,
    SourceDisk,
    TableType,
    WriteFile,
)

KERNEL = Kernel(
    "6.1.0-13-amd64",
    "/boot/vmlinuz-6.1.0-13-amd64",
    modules=frozenset({"nvme", "ena", "xen_netfront", "ext4"}),
    builtin=frozenset({"xen_blkfront"}),
)
LINUX = LinuxFacts(
    distribution="debian",
    version="12",
    pretty_name="Debian GNU/Linux 12 (bookworm)",
    hostname="web",
    architecture="x86_64",
    package_manager="dpkg",
    init_system="systemd",
    selinux="",
    kernels=(KERNEL,),
    default_kernel=KERNEL,
    initramfs=Initramfs(
        "/boot/initrd.img-6.1.0-13-amd64", ("zstd",), 2, "initramfs-tools", frozenset({"nvme"})
    ),
    bootloader=Bootloader(
        "grub2",
        "/boot/grub/grub.cfg",
        frozenset({BootMode.LEGACY_BIOS}),
        BootEntry("Debian", "gnulinux", KERNEL.image, "", ("root=UUID=1", "ro")),
    ),
    networks=(NetworkStack("ifupdown", ("/etc/network/interfaces",), ("ens33",), static=True),),
    agents=(),
    guest_tools=("open-vm-tools",),
)
FACTS = Facts(
    disks=(
        Disk(
            "/dev/sda",
            4 << 30,
            TableType.MBR,
            "0xfeed",
            boot_code=True,
            partitions=(Partition(1, 1 << 20, 4 << 30, "83", active=True),),
        ),
    ),
    filesystems=(Filesystem("/dev/sda1", "ext4", "1"),),
    volumes=(),
    mounts=(Mount("/", "/dev/sda1", "ext4", "1"),),
    boot_modes=frozenset({BootMode.LEGACY_BIOS}),
    os=LINUX,
)
WARNING = Finding(Severity.WARNING, "old", "it is old", "renew it", "Unsupported kernel version")
ERROR = Finding(Severity.ERROR, "bad", "it is bad", "mend it")
PLAN = Plan(
    (WriteFile("fstab-device-name", "names", "/etc/fstab", b"x", 0o644, 0, 0, "ab", "/etc/old"),),
    diffs=("--- /etc/fstab\n+++ /etc/fstab\n@@ -1 +1 @@\n-/dev/sda1\n+UUID=1\n",),
)


def source(
    disks: int = 1,
    *,
    form: ContainerFormat = ContainerFormat.OVA,
    disk_format: DiskFormat = DiskFormat.VMDK,
    subformat: str = "streamOptimized",
    size: int = 4 << 30,
) -> Source:
    path = Path("/in/web.ova")
    found = tuple(
        SourceDisk(f"disk{number}", disk_format, subformat, size, ByteRange(path, 0, 10))
        for number in range(disks)
    )
    return Source((path,), form, found)


def linux(**changed: Any) -> Facts:
    """Give the sample's facts with other values in its `LinuxFacts`."""
    return replace(FACTS, os=replace(LINUX, **changed))


def report(disks: int = 1, **changed: Any) -> Report:
    made = tuple(
        OutputDisk(f"web-{n}.raw" if n else "web.raw", 4 << 30, 1 << 20, Checksum("m", "00"))
        for n in range(disks)
    )
    whole = Report(
        source=source(),
        before=FACTS,
        after=FACTS,
        boot_mode=BootMode.LEGACY_BIOS,
        disks=made,
        capabilities=Capabilities(nvme=True, ena=True, xen_blk=True, xen_net=True, ixgbevf=False),
        plan=PLAN,
        findings=(WARNING,),
        timings={"copy": 1.5},
    )
    return replace(whole, **changed)
