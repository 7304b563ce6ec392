"""Small kernels and initramfs images, put together by our own writer, in a guest in memory."""

from __future__ import annotations

import lzma
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from converter.formats import cpio
from converter.formats.cpio import Item, Kind
from converter.guest.recording import RecordingGuest
from converter.inspection.blocked import blocked_modules
from converter.inspection.initramfs import inspect_initramfs
from converter.inspection.kernels import inspect_kernels, kernel_of
from converter.inspection.storage import Storage
from converter.model import (
    BootEntry,
    Bootloader,
    BootMode,
    Disk,
    Facts,
    Filesystem,
    Partition,
    TableType,
)
from converter.steps.step import Context
from tests.unit import samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converter.guest.memory import MemoryGuest

RELEASE = "6.1.0-13-amd64"
ELF = b"\x7fELF module "
# What the kernel's build adds to the end of a signed module.
SIGNATURE = b"~signature~Module signature appended~\n"
NVME_ALIAS = "alias pci:v*d*sv*sd*bc01sc08i02* nvme\n"
XEN_ALIAS = "alias xen:vbd xen_blkfront\n"

DEP = """\
kernel/drivers/nvme/host/nvme.ko.xz: kernel/drivers/nvme/host/nvme-core.ko.xz
kernel/drivers/nvme/host/nvme-core.ko.xz:
kernel/drivers/block/xen-blkfront.ko.xz:
kernel/drivers/net/ena.ko.xz:
kernel/drivers/net/xen-netfront.ko.xz:
kernel/drivers/net/ixgbevf.ko.xz:
kernel/fs/ext4/ext4.ko.xz:
"""

UUID = "0b1c6e4e-0000-4000-8000-00000000000{}"
STORAGE = Storage(
    disks=(
        Disk(
            "/dev/sda",
            1 << 30,
            TableType.MBR,
            "x",
            boot_code=True,
            partitions=tuple(
                Partition(number, number << 20, 1 << 20, "83", "", f"c0ffee-0{number}")
                for number in (1, 2, 3)
            ),
        ),
    ),
    filesystems=(
        Filesystem("/dev/sda1", "ext4", UUID.format(1)),
        Filesystem("/dev/sda2", "swap", UUID.format(2)),
    ),
    volumes=(),
)


def module(path: str) -> bytes:
    """Give the content of the module at `path`, compressed as its name says."""
    data = ELF + path.encode() + SIGNATURE
    return lzma.compress(data, check=lzma.CHECK_CRC32) if path.endswith(".xz") else data


def kernel(
    release: str = RELEASE, *, dep: str | None = DEP, builtin: str = "", image: str = ""
) -> dict[str, bytes]:
    """Give the files of an installed kernel."""
    base = f"/lib/modules/{release}"
    files = {image or f"/boot/vmlinuz-{release}": b"kernel"}
    if dep is not None:
        files[f"{base}/modules.dep"] = dep.encode()
        files[f"{base}/modules.alias"] = (NVME_ALIAS + XEN_ALIAS).encode()
        paths = [line.partition(":")[0] for line in dep.splitlines()]
        files |= {f"{base}/{path}": module(path) for path in paths if ".ko" in path}
    if builtin:
        files[f"{base}/modules.builtin"] = builtin.encode()
    return files


def archive(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """Give an archive of `files` with the directories they need, and of symlinks."""
    parts = [path.split("/") for path in [*files, *(links or {})]]
    directories = {"/".join(p[:n]) for p in parts for n in range(1, len(p))}
    return cpio.write(
        [
            *(Item(path, Kind.DIRECTORY) for path in sorted(directories)),
            *(Item(path, Kind.SYMLINK, to.encode()) for path, to in (links or {}).items()),
            *(Item(path, data=data, permissions=0o755) for path, data in files.items()),
        ]
    )


def debian_image(release: str = RELEASE, extra: Mapping[str, bytes] | None = None) -> bytes:
    """Give an initramfs as initramfs-tools makes it with MODULES=dep on a SCSI machine."""
    base = f"usr/lib/modules/{release}"
    return archive(
        {
            "init": b"#!/bin/sh\n",
            "conf/initramfs.conf": b"MODULES=dep\n",
            "conf/modules": b"ext4\n",
            "usr/lib/systemd/systemd-udevd": b"",
            f"{base}/kernel/fs/ext4/ext4.ko": b"",
            f"{base}/modules.dep": b"kernel/fs/ext4/ext4.ko:\n",
            f"{base}/modules.alias": b"",
            **(extra or {}),
        },
        {"lib": "usr/lib"},
    )


def entry(
    kernel_path: str = f"/boot/vmlinuz-{RELEASE}", initramfs: str = f"/boot/initrd.img-{RELEASE}"
) -> BootEntry:
    return BootEntry(kernel_path, kernel_path, kernel_path, initramfs, ("root=UUID=1", "ro"))


def facts(guest: MemoryGuest, entries: Sequence[BootEntry], **changed: Any) -> Facts:
    """Inspect the kernels and the initramfs of `guest`; the first entry is the default."""
    default = entries[0] if entries else None
    loader = Bootloader(
        "grub2",
        "/boot/grub/grub.cfg",
        frozenset({BootMode.LEGACY_BIOS}),
        default,
        tuple(entries),
    )
    kernels = inspect_kernels(guest)
    found = kernel_of(guest, default, kernels)
    image, _ = inspect_initramfs(guest, loader, found)
    linux = replace(
        samples.LINUX,
        kernels=kernels,
        default_kernel=found,
        initramfs=image,
        bootloader=loader,
        blocked=blocked_modules(guest, loader),
        **changed,
    )
    return replace(samples.FACTS, os=linux)


def context(guest: MemoryGuest, entries: Sequence[BootEntry] = (entry(),)) -> Context:
    return Context(RecordingGuest(guest), facts(guest, entries), STORAGE)
