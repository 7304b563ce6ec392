"""Kernels as they are installed: image, modules with their indexes, and an initramfs.

All of it is small, but laid out as the packages and the generators do: paths, compression and the
files by which an initramfs and what loads modules in it are known.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from dataclasses import dataclass, field
from functools import cache

import zstandard

from converter.formats import compression, cpio
from converter.formats.cpio import Item, Kind

# Where the kernel's build puts modules, below `kernel/`, and what they need. What is not in a
# kernel's list is not there: nvme-core is a module of its own since 4.4.
DIRECTORIES = {
    "ahci": "drivers/ata",
    "ata_piix": "drivers/ata",
    "btrfs": "fs/btrfs",
    "dm-mod": "drivers/md",
    "e1000": "drivers/net/ethernet/intel/e1000",
    "ena": "drivers/net/ethernet/amazon/ena",
    "ext3": "fs/ext3",
    "ext4": "fs/ext4",
    "ixgbevf": "drivers/net/ethernet/intel/ixgbevf",
    "jbd": "fs/jbd",
    "jbd2": "fs/jbd2",
    "libata": "drivers/ata",
    "mptbase": "drivers/message/fusion",
    "mptscsih": "drivers/message/fusion",
    "mptspi": "drivers/message/fusion",
    "nvme": "drivers/nvme/host",
    "nvme-core": "drivers/nvme/host",
    "scsi_mod": "drivers/scsi",
    "scsi_transport_spi": "drivers/scsi",
    "sd_mod": "drivers/scsi",
    "virtio_blk": "drivers/block",
    "vmw_pvscsi": "drivers/scsi",
    "vmxnet3": "drivers/net/vmxnet3",
    "xen-blkfront": "drivers/block",
    "xen-netfront": "drivers/net",
    "xen-platform-pci": "drivers/xen",
    "xen-vbd": "drivers/xenpv_hvm/blkfront",
    "xen-vnif": "drivers/xenpv_hvm/netfront",
    "xfs": "fs/xfs",
}
NEEDS = {
    "ahci": ("libata",),
    "ata_piix": ("libata",),
    "ext3": ("jbd",),
    "ext4": ("jbd2",),
    "libata": ("scsi_mod",),
    "mptscsih": ("mptbase", "scsi_mod"),
    "mptspi": ("mptscsih", "mptbase", "scsi_transport_spi", "scsi_mod"),
    "nvme": ("nvme-core",),
    "scsi_transport_spi": ("scsi_mod",),
    "sd_mod": ("scsi_mod",),
    "vmw_pvscsi": ("scsi_mod",),
    "xen-vbd": ("xen-platform-pci",),
    "xen-vnif": ("xen-platform-pci",),
}
ALIASES = {
    "ahci": "pci:v*d*sv*sd*bc01sc06i01*",
    "ena": "pci:v00001D0Fd0000EC20sv*sd*bc*sc*i*",
    "ixgbevf": "pci:v00008086d000010EDsv*sd*bc*sc*i*",
    "nvme": "pci:v*d*sv*sd*bc01sc08i02*",
    "vmw_pvscsi": "pci:v000015ADd000007C0sv*sd*bc*sc*i*",
    "xen-blkfront": "xen:vbd",
    "xen-netfront": "xen:vif",
    "xen-platform-pci": "pci:v00005853d00000001sv*sd*bc*sc*i*",
}


@dataclass(frozen=True)
class Kernel:
    """What a fixture says of a kernel.

    `suffix` is that of its modules' files, `directories` where some of them are instead.
    `included` are the modules in its initramfs, by the `generator` that made it; `extra` are files
    of that image. `absolute` is how modules.dep was written before module-init-tools 3.4.
    """

    release: str
    image: str
    initramfs: str = ""
    generator: str = ""
    compression: str = "gzip"
    microcode: bool = False
    merged: bool = False
    suffix: str = ".ko"
    absolute: bool = False
    modules: tuple[str, ...] = ()
    builtin: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    directories: dict[str, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)

    def path(self, module: str) -> str:
        """Give the path of a module in the kernel's directory, without what compresses it."""
        directory = self.directories.get(module, f"kernel/{DIRECTORIES[module]}")
        return f"{directory}/{module}.ko"

    def needs(self, module: str) -> tuple[str, ...]:
        return tuple(name for name in NEEDS.get(module, ()) if name in self.modules)

    def installed(self) -> dict[str, bytes]:
        """Give the files of the kernel's package, and its initramfs."""
        base = f"/lib/modules/{self.release}"
        prefix = f"{base}/" if self.absolute else ""
        ending = self.suffix.removeprefix(".ko")
        files = {self.image: bzimage(self.release)} if self.image else {}
        for module in self.modules:
            files[f"{base}/{self.path(module)}{ending}"] = module_file(module, ending)
        files[f"{base}/modules.dep"] = self._dep(self.modules, prefix=prefix, ending=ending)
        files[f"{base}/modules.alias"] = self._alias(self.modules)
        if self.builtin:
            lines = "".join(f"{self.path(module)}\n" for module in self.builtin)
            files[f"{base}/modules.builtin"] = lines.encode()
        if self.options:
            lines = "".join(f"{option}\n" for option in self.options)
            files[f"/boot/config-{self.release}"] = lines.encode()
        if self.initramfs:
            files[self.initramfs] = self._image()
        return files

    def _dep(self, modules: tuple[str, ...], *, prefix: str = "", ending: str = "") -> bytes:
        def line(module: str) -> str:
            needs = [f"{prefix}{self.path(name)}{ending}" for name in self.needs(module)]
            return " ".join([f"{prefix}{self.path(module)}{ending}:", *needs]) + "\n"

        return "".join(line(module) for module in modules).encode()

    @staticmethod
    def _alias(modules: tuple[str, ...]) -> bytes:
        lines = (f"alias {ALIASES[m]} {m.replace('-', '_')}\n" for m in modules if m in ALIASES)
        return "".join(("# Aliases extracted from modules themselves.\n", *lines)).encode()

    # --- the initramfs ----------------------------------------------------------------------------

    def _image(self) -> bytes:
        files: dict[str, bytes] = dict(_GENERATORS[self.generator])
        base = f"{'usr/' if self.merged else ''}lib/modules/{self.release}"
        if self.generator == "nash":
            files |= {f"lib/{m}.ko": module_file(m, "") for m in self.included}
        else:
            ending = self.suffix.removeprefix(".ko")
            for module in self.included:
                path = f"{base}/{self.path(module)}{ending}"
                files[path] = module_file(module, ending)
            files[f"{base}/modules.dep"] = self._dep(self.included, ending=ending)
            files[f"{base}/modules.alias"] = self._alias(self.included)
        files |= {path: text.encode() for path, text in self.extra.items()}
        early = archive((("kernel/x86/microcode/GenuineIntel.bin", b"\1"),), merged=False)
        main = archive(tuple(files.items()), merged=self.merged)
        return (early if self.microcode else b"") + compressed(main, self.compression)


_UDEV = "lib/systemd/systemd-udevd"
_GENERATORS: dict[str, dict[str, bytes]] = {
    "initramfs-tools": {
        "init": b"#!/bin/sh\n",
        "conf/arch.conf": b"DPKG_ARCH=amd64\n",
        "conf/initramfs.conf": b"MODULES=most\nBUSYBOX=auto\nCOMPRESS=gzip\n",
        "conf/modules": b"",
        "scripts/init-top/udev": b"#!/bin/sh -e\n",
        "sbin/udevd": b"",
    },
    "dracut": {
        "init": b"#!/bin/sh\n",
        f"usr/{_UDEV}": b"",
        "usr/lib/dracut/dracut-033": b"",
        "usr/lib/dracut-lib.sh": b"",
    },
    # Before /usr was merged (RHEL 6), with udev in /sbin.
    "dracut-004": {
        "init": b"#!/bin/sh\n",
        "lib/dracut-lib.sh": b"",
        "sbin/udevd": b"",
        "cmdline/90crypt.sh": b"",
    },
    "mkinitrd": {
        "init": b"#!/bin/bash\n",
        "run_all.sh": b"",
        "config/start.sh": b"",
        "sbin/udevd": b"",
        "boot/04-udev.sh": b"",
    },
    "nash": {"bin/nash": b"", "bin/insmod": b"", "init": b"#!/bin/nash\n"},
    "mkinitcpio": {
        "init": b"#!/usr/bin/ash\n",
        "init_functions": b"",
        "buildconfig": b"MODULES=()\nHOOKS=(base udev autodetect)\n",
        "config": b'MODULES=""\nEARLYHOOKS="udev"\nHOOKS="udev"\n',
        "hooks/udev": b"",
        f"usr/{_UDEV}": b"",
    },
}


@cache
def archive(files: tuple[tuple[str, bytes], ...], *, merged: bool) -> bytes:
    """Give a cpio archive with the directories that `files` need; `merged` has lib in usr/lib."""
    parts = [path.split("/") for path, _ in files]
    directories = {"/".join(p[:n]) for p in parts for n in range(1, len(p))}
    links = (Item("lib", Kind.SYMLINK, b"usr/lib"),) if merged else ()
    return cpio.write(
        [
            *(Item(path, Kind.DIRECTORY) for path in sorted(directories)),
            *links,
            *(Item(path, data=data, permissions=0o755) for path, data in files),
        ]
    )


@cache
def compressed(data: bytes, kind: str) -> bytes:
    match kind:
        case "none":
            return data
        case "zstd":
            return zstandard.ZstdCompressor(level=1).compress(data)
        case "lzma":
            return lzma.compress(data, lzma.FORMAT_ALONE)
        case _:
            return compression.compress(data, kind)


@cache
def module_file(name: str, ending: str) -> bytes:
    """Give the content of a module's file, compressed as the ending says."""
    data = b"\x7fELF\2\1\1" + bytes(9) + name.encode() + b"~Module signature appended~\n"
    match ending:
        case ".xz":
            return lzma.compress(data, check=lzma.CHECK_CRC32, preset=0)
        case ".zst":
            return zstandard.ZstdCompressor(level=1).compress(data)
        case ".gz":
            return zlib.compress(data, wbits=31)
        case _:
            return data


@cache
def bzimage(release: str) -> bytes:
    """Give the beginning of a kernel image for x86 (Linux Documentation/arch/x86/boot.rst)."""
    head = bytearray(0x400)
    head[0x1FE:0x200] = b"\x55\xaa"
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = struct.pack("<H", 0x300 - 0x200)
    text = f"{release} (builder@host) #1 SMP\0".encode()
    head[0x300 : 0x300 + len(text)] = text
    return bytes(head)
