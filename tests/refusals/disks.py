"""Linux guests that are refused, and a disk without a guest: most are made in half a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter import process
from images.windows.build import BITLOCKER
from images.windows.build import build as build_windows
from images.windows.guest import Windows
from tests.guests import written
from tests.refusals import guests, volumes
from tests.refusals.guests import guest
from tests.refusals.row import AWS, CONVERTIBLE, DAMAGED, Row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.refusals.guests import State
    from tests.refusals.row import Build

DEBIAN = "debian-12.7"
MIB = 1 << 20
NO_BLS_DEFAULT = "BLSC-style GRUB found, but unable to detect default kernel"
NO_DEFAULT = "Unable to determine kernel version."
UNREADABLE_INITRAMFS = (
    "We were unable to read your import's initramfs/initrd to determine what drivers your import"
    " requires to run in EC2"
)
SEVERAL_FILES = "Multiple different grub/menu.lst files found."
SEVERAL_SYSTEMS = "Unsupported configuration - Multiple directories found"
UNKNOWN_SYSTEM = "Unknown OS / Missing OS files."
# How their first sectors begin (LILO's first.S, syslinux' diskstart.inc).
LILO = b"\xfa\xeb\x21\x01\xb4\x01LILO"
EXTLINUX = b"\xeb\x58\x90EXTLINUX"
# Where a hibernated Linux says so, at the end of the swap area's first page (linux/swap.h).
_SWAP_MARK = 4096 - 10


def linux(*states: State, base: str = DEBIAN) -> Build:
    return lambda directory: written.write(guest(base, *states).machine(), directory)


def started_by(code: bytes, at: int, *states: State) -> Build:
    """Give a guest with the beginning of another boot loader's code at the byte `at`."""

    def made(directory: Path) -> Sequence[Path]:
        [disk] = linux(*states)(directory)
        written.put(disk, at, code)
        written.put(disk, at + 510, b"\x55\xaa")
        return [disk]

    return made


# --- what was done to its disks -------------------------------------------------------------------


def _debugfs(disk: Path, start: int, *commands: str) -> None:
    """Change a filesystem of the ext family, at the byte `start` of a disk."""
    script = "".join(f"{command}\n" for command in commands)
    argv = ["debugfs", "-w", "-f", "-", f"{disk}?offset={start}"]
    process.run(argv, stdin=script.encode())


def hibernated(directory: Path) -> Sequence[Path]:
    machine = guest(DEBIAN, guests.xen_kernel, guests.no_initramfs).machine()
    [disk] = written.write(machine, directory)
    swap = next(part for part in machine.disks["/dev/sda"].parts if part.number == 5)
    written.put(disk, swap.start + _SWAP_MARK, b"S1SUSPEND\0")
    return [disk]


def hibernated_to_a_file(directory: Path) -> Sequence[Path]:
    [disk] = linux(guests.swap_file)(directory)
    swap = directory / "swap"
    swap.write_bytes(bytes(_SWAP_MARK) + b"S1SUSPEND\0" + bytes(1 << 16))
    _debugfs(disk, MIB, f"write {swap} swapfile")
    return [disk]


def damaged_directory(directory: Path) -> Sequence[Path]:
    """The root can be mounted, and what should be the directory of GRUB is nothing."""
    [disk] = linux()(directory)
    _debugfs(disk, MIB, "clri /boot/grub")
    return [disk]


def damaged_root(directory: Path) -> Sequence[Path]:
    """The root's journal is gone, and the root says that it has one."""
    [disk] = linux()(directory)
    _debugfs(disk, MIB, "clri <8>")
    return [disk]


def in_use(directory: Path) -> Sequence[Path]:
    """As an export of a running machine: a journal to replay, /home with errors, half a mirror."""
    machine = guest(DEBIAN, guests.home).machine()
    [disk] = written.write(machine, directory)
    home = next(part for part in machine.disks["/dev/sda"].parts if part.number == 6)
    # A block that is free, so that replaying it changes nothing.
    _debugfs(disk, MIB, "journal_open", "journal_write -b 100000 /dev/zero", "journal_close")
    _debugfs(disk, home.start, "set_super_value state 2")
    return [disk, *volumes.halves("mirror-1")]


# --- several systems ------------------------------------------------------------------------------


def two(*first: State, second: tuple[State, ...] = ()) -> Build:
    """Two machines' disks, the second one's with UUIDs of its own."""

    def made(directory: Path) -> Sequence[Path]:
        disks: list[Path] = []
        for name, states in (("one", first), ("other", (guests.twin, *second))):
            (directory / name).mkdir()
            disks += linux(*states)(directory / name)
        return disks

    return made


def beside_windows(directory: Path) -> Sequence[Path]:
    return [*linux()(directory), build_windows(Windows("2022"), directory)]


# --- what shows without a look at the system ------------------------------------------------------


def sealed(directory: Path) -> Sequence[Path]:
    """A guest with partitions of LUKS and BitLocker, and one of the Logical Disk Manager."""
    machine = guest(DEBIAN, guests.sealed).machine()
    [disk] = written.write(machine, directory)
    starts = {part.number: part.start for part in machine.disks["/dev/sda"].parts}
    luks = directory / "luks"
    with luks.open("wb") as file:
        file.truncate(32 * MIB)
    iterations = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    process.run(["cryptsetup", "luksFormat", "-q", *iterations, str(luks), "-"], stdin=b"secret")
    written.lay(luks, disk, starts[6])
    written.put(disk, starts[7], BITLOCKER)
    return [disk]


def _one_partition(disk: Path, kind: str) -> Path:
    with disk.open("wb") as file:
        file.truncate(64 * MIB)
    table = f"label: gpt\ntype={kind}\n".encode()
    process.run(["sfdisk", "--quiet", "--no-tell-kernel", str(disk)], stdin=table)
    return disk


def behind_an_empty_esp(*halves: str) -> Build:
    """Only a look into its ESP tells that nothing starts the machine."""

    def made(directory: Path) -> Sequence[Path]:
        disk, volume = _one_partition(directory / "esp.raw", "U"), directory / "volume"
        with volume.open("wb") as file:
            file.truncate(40 * MIB)
        process.run(["mkfs.vfat", str(volume)])
        written.lay(volume, disk, MIB)
        volume.unlink()
        return [disk, *volumes.halves(*halves)]

    return made


def damaged_table(directory: Path) -> Sequence[Path]:
    """A GPT of which both copies are damaged."""
    disk = _one_partition(directory / "disk.raw", "L")
    for sector in (1, (64 * MIB >> 9) - 1):
        written.put(disk, (sector << 9) + 16, bytes(4))
    return [disk]


def first_table_damaged(directory: Path) -> Sequence[Path]:
    disk = _one_partition(directory / "disk.raw", "L")
    written.put(disk, 512, bytes(512))
    return [disk]


def filesystem(*, cut: int = 0) -> Build:
    """A filesystem all over a file, whose last bytes may be missing."""

    def made(directory: Path) -> Sequence[Path]:
        disk = directory / "data.raw"
        with disk.open("wb") as file:
            file.truncate(64 * MIB)
        process.run(["mkfs.xfs", "-q", "-f", "-d", "size=64m", "--unsupported", str(disk)])
        with disk.open("r+b") as file:
            file.truncate(64 * MIB - cut)
        return [disk]

    return made


def larger_sectors(directory: Path) -> Sequence[Path]:
    """An MBR that was copied from a disk of sectors of 4096 bytes, with what is on it."""
    disk, volume = directory / "disk.raw", directory / "volume"
    for path, size in ((disk, 64 * MIB), (volume, 32 * MIB)):
        with path.open("wb") as file:
            file.truncate(size)
    table = b"label: dos\nstart=256, size=8192, type=83, bootable\n"
    process.run(["sfdisk", "--quiet", "--no-tell-kernel", str(disk)], stdin=table)
    process.run(["mkfs.ext4", "-q", "-F", str(volume)])
    written.lay(volume, disk, 256 * 4096)
    volume.unlink()
    return [disk]


def _row(name: str, made: Build, *refused: str, says: tuple[str, ...] = ()) -> Row:
    return Row(name, made, refused, says=says)


def _aws(name: str, made: Build, *refused: str, says: tuple[str, ...] = ()) -> Row:
    return Row(name, made, refused, AWS, says=says)


ROWS = (
    Row(
        "a 32-bit guest with LILO, without room, DHCP, or a licence",
        started_by(LILO, 0, guests.i386, guests.lilo, guests.no_room, guests.no_dhcp_client),
        (
            "architecture-unsupported",
            "bootloader-unsupported",
            "dhcp-client-missing",
            "licence-impossible",
            "space-too-little",
        ),
        ("--license-type", "AWS"),
        says=("i386", "lilo (/etc/lilo.conf)", "MB are free", "inodes are free"),
    ),
    _row(
        "extlinux",
        started_by(EXTLINUX, MIB, guests.extlinux),
        "bootloader-unsupported",
        says=("extlinux (/boot/extlinux/extlinux.conf)",),
    ),
    _row(
        "no configuration of a boot loader, and no network",
        linux(guests.no_bootloader, guests.network_off),
        "bootloader-missing",
        "network-service-disabled",
    ),
    _row(
        "a grub.cfg with an error",
        linux(guests.grub_with_an_error, guests.no_dhcp_client),
        "dhcp-client-missing",
        "grub-unreadable",
    ),
    _row(
        "no entry of the Boot Loader Specification",
        linux(guests.bls_without_entries),
        "default-kernel-unknown",
        says=(NO_BLS_DEFAULT,),
    ),
    Row(
        "a default kernel that is not there, by UEFI",
        linux(guests.kernel_missing),
        ("boot-mode-impossible", "default-kernel-missing", "kernel-unknown"),
        ("--boot-mode", "uefi"),
        says=(NO_DEFAULT,),
    ),
    _row(
        "an initramfs that cannot be read, and a kernel without an index",
        linux(guests.initramfs_unreadable, guests.no_module_index),
        "initramfs-unreadable",
        "modules-index-missing",
        says=(UNREADABLE_INITRAMFS,),
    ),
    _row(
        "a hibernated guest with a kernel for Xen alone, and no initramfs",
        hibernated,
        "guest-hibernated",
        "initramfs-missing",
        "kernel-xen-only",
        says=("Unsupported kernel version",),
    ),
    _row(
        "a root and a /var that are on none of the disks",
        linux(guests.root_of_another, guests.var_missing),
        "fstab-device-missing",
        "root-device-wrong",
    ),
    _row(
        "two configurations of GRUB",
        linux(guests.another_grub),
        "several-grub-configs",
        says=(SEVERAL_FILES,),
    ),
    _row(
        "an fstab that is a directory",
        linux(guests.fstab_is_a_directory),
        "fstab-unreadable",
        says=("Invalid configuration - Could not read fstab",),
    ),
    _row(
        "ARM without a driver",
        linux(guests.no_ena, guests.small_esp, base="debian-12-arm64"),
        "architecture-unsupported",
        says=("without a driver for ena",),
    ),
    _row("two systems", two(), "several-roots", says=(SEVERAL_SYSTEMS,)),
    _row("a Windows beside it", beside_windows, "several-roots", says=(SEVERAL_SYSTEMS,)),
    _row("a root without its journal", damaged_root, "mount-failed"),
    _row(
        "a root with a directory that cannot be read",
        damaged_directory,
        "guest-filesystem-damaged",
        says=("/boot/grub",),
    ),
    _row(
        "a guest that is hibernated to a file",
        hibernated_to_a_file,
        "guest-hibernated",
        says=("/swapfile",),
    ),
    _row(
        "half of a Btrfs",
        behind_an_empty_esp("pair-1"),
        "filesystem-incomplete",
        "mount-failed",
        says=("is on 2 devices, of which 1 are there",),
    ),
    Row(
        "halves of a volume group and of an array",
        behind_an_empty_esp("group-1", "stripe-1"),
        ("unknown-os", "volume-group-inactive"),
        says=(
            UNKNOWN_SYSTEM,
            "Unsupported configuration - Logical volume group activation failed",
        ),
        warned=("array-inactive",),
    ),
    Row(
        "a machine that was running, with half a mirror",
        in_use,
        (),
        status=CONVERTIBLE,
        warned=("array-degraded", "filesystem-dirty", "filesystem-errors"),
    ),
    # Under the policy of the service alone.
    _aws(
        "a kernel of backports, an entry that is gone, another grub.cfg",
        linux(
            guests.grub_modules,
            guests.another_grub,
            guests.entry_missing,
            base="debian-12-backports",
        ),
        "default-entry-missing",
        "kernel-not-in-service",
        "several-grub-configs",
        says=("Unsupported kernel version 6.12.9+bpo-amd64", NO_DEFAULT, SEVERAL_FILES),
    ),
    _aws(
        "a system for ARM that nobody knows",
        linux(guests.unknown_distribution, guests.small_esp, base="debian-12-arm64"),
        "architecture-unsupported",
        "os-unknown",
        says=(UNKNOWN_SYSTEM,),
    ),
    _aws(
        "Btrfs with subvolumes, and an entry that is gone",
        lambda _: volumes.fedora(),
        "btrfs-subvolumes",
        "default-entry-missing",
        says=(NO_BLS_DEFAULT,),
    ),
    _aws(
        "a system of no version that is listed, and another that nothing starts",
        two(guests.untabled, second=(guests.no_bootloader,)),
        "os-untabled",
        "other-systems",
        says=(SEVERAL_SYSTEMS,),
    ),
    # What the first sectors of the disk and of its partitions tell.
    _row(
        "no code that starts it",
        linux(guests.no_boot_code),
        "no-bootable-partition",
        says=("No bootable partition found",),
    ),
    _row(
        "LUKS, BitLocker and a dynamic disk",
        sealed,
        "dynamic-disk",
        "encrypted-volume",
        says=("LUKS", "BitLocker"),
    ),
    Row(
        "a GPT that is damaged twice",
        damaged_table,
        ("partition-table-damaged",),
        status=DAMAGED,
    ),
    Row(
        "a GPT that is sound at the end of the disk only",
        first_table_damaged,
        ("partition-table-damaged",),
        status=DAMAGED,
        says=("only the GPT at the disk's end is sound",),
    ),
    Row("a data disk that was cut off", filesystem(cut=MIB), ("truncated",), status=DAMAGED),
    _row(
        "a partition without its disk",
        filesystem(),
        "no-partitions",
        says=("No valid partitions. Not a valid volume.",),
    ),
    _row("an MBR of sectors of 4096 bytes", larger_sectors, "sector-size"),
)
