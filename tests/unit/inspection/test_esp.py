from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from converter.errors import GuestError
from converter.guest import caseless
from converter.guest.memory import MemoryGuest, Node
from converter.guest.protocol import Code
from converter.inspection.esp import find_esps, mount_esps
from converter.inspection.storage import Storage
from converter.model import Disk, FileKind, Filesystem, Mount, Partition, Space, TableType

if TYPE_CHECKING:
    from converter.guest.protocol import BlockDevices

GPT_ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
SPACE = Space(1 << 20, 1 << 19)
DIRECTORY = Node(FileKind.DIRECTORY)


class Machine:
    """Notes what is mounted where; nothing else is asked of it."""

    def __init__(self, *, fails: bool = False) -> None:
        self.mounted: list[tuple[str, str]] = []
        self._fails = fails

    def mount(self, device: str, path: str, *, options: str) -> None:
        assert options == "rw"
        if self._fails:
            raise GuestError(Code.FAILED, f"{device}: bad superblock")
        self.mounted.append((device, path))

    def space(self, path: str) -> Space:
        assert path == self.mounted[-1][1]
        return SPACE


def storage(*, kind: str = GPT_ESP, filesystem: str = "vfat") -> Storage:
    table = TableType.MBR if len(kind) == 2 else TableType.GPT
    parts = (Partition(1, 1 << 20, 1 << 20, kind), Partition(2, 2 << 20, 1 << 20, "83"))
    return Storage(
        (Disk("/dev/sda", 4 << 20, table, "1", boot_code=False, partitions=parts),),
        (Filesystem("/dev/sda1", filesystem, "AAAA-1111"), Filesystem("/dev/sda2", "ext4", "r")),
        (),
    )


ROOT = Mount("/", "/dev/sda2", "ext4", "r")


@pytest.mark.parametrize("kind", [GPT_ESP, GPT_ESP.lower(), "ef"])
def test_it_is_told_by_its_type(kind: str) -> None:
    assert find_esps(storage(kind=kind), [ROOT]) == ("/dev/sda1",)


def test_or_by_where_the_guest_mounts_it() -> None:
    odd = storage(kind="0c")
    assert find_esps(odd, [ROOT]) == ()
    assert find_esps(odd, [ROOT, Mount("/data", "/dev/sda1", "vfat")]) == ()
    assert find_esps(odd, [ROOT, Mount("/boot/efi", "/dev/sda1", "vfat")]) == ("/dev/sda1",)


def test_one_on_a_mirror_is_the_mirror() -> None:
    mirrored = storage(filesystem="linux_raid_member")
    mounts = [ROOT, Mount("/boot/efi", "/dev/md127", "vfat")]
    assert find_esps(mirrored, mounts) == ("/dev/md127",)


def test_one_that_the_guest_mounts_stays_there() -> None:
    machine = Machine()
    block = cast("BlockDevices", machine)
    there = Mount("/efi", "/dev/sda1", "vfat", "AAAA-1111")
    assert mount_esps(block, MemoryGuest(), storage(), [ROOT, there]) == (there,)
    assert machine.mounted == []


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"/boot/efi": DIRECTORY, "/efi": DIRECTORY, "/mnt": DIRECTORY}, "/boot/efi"),
        ({"/efi": DIRECTORY, "/mnt": DIRECTORY}, "/efi"),
        ({"/boot": DIRECTORY, "/mnt": DIRECTORY}, "/boot"),
        ({"/boot/vmlinuz": "", "/boot/efi/left": "", "/mnt": DIRECTORY}, "/mnt"),
        ({"/mnt": Node(FileKind.SYMLINK, b"/media"), "/media": DIRECTORY}, "/media"),
        (
            {
                "/boot/efi": DIRECTORY,
                "/esp/left": "",
                "/etc/fstab": "UUID=AAAA-1111 /esp vfat noauto 0 2\n",
            },
            "/esp",
        ),
    ],
)
def test_another_is_mounted_where_nothing_is_hidden(
    files: dict[str, str | bytes | Node], place: str
) -> None:
    machine = Machine()
    block = cast("BlockDevices", machine)
    found = mount_esps(block, MemoryGuest(files), storage(), [ROOT])
    assert found == (Mount(place, "/dev/sda1", "vfat", "AAAA-1111", space=SPACE),)
    assert machine.mounted == [("/dev/sda1", place)]


def test_one_that_cannot_be_mounted_is_left_out() -> None:
    broken, good = (cast("BlockDevices", Machine(fails=fails)) for fails in (True, False))
    guest = MemoryGuest({"/mnt": DIRECTORY})
    assert mount_esps(broken, guest, storage(), [ROOT]) == ()
    assert mount_esps(good, MemoryGuest({"/boot/x": ""}), storage(), [ROOT]) == ()


def test_names_have_no_case() -> None:
    guest = MemoryGuest({"/esp/efi/Debian/GRUB.CFG": "x"})
    assert caseless.find(guest, "/esp", "EFI") == "/esp/efi"
    assert caseless.find(guest, "/esp", "new") == "/esp/new"
    assert caseless.find(guest, "/esp", "/EFI/debian/grub.cfg") == "/esp/efi/Debian/GRUB.CFG"
    assert caseless.find(guest, "/esp", "\\EFI\\debian\\new") == "/esp/efi/Debian/new"
    assert caseless.find(guest, "/esp", "../../etc/passwd") == "/esp/etc/passwd"
