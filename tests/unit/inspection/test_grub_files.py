from __future__ import annotations

import pytest

from converter.inspection.grub_files import GrubFiles, home_files
from tests.unit.boot_samples import BOOT, ESP, ROOT, Machine, machine
from tests.unit.grub_samples import environment

FILES = {
    "/boot/grub/grub.cfg": "x",
    "/boot/vmlinuz-1": "k",
    "/boot/efi/EFI/debian/grub.cfg": "esp",
    "/usr/share/x": "",
}


def files_of(found: Machine, config: str = "/boot/grub/grub.cfg") -> GrubFiles:
    return home_files(found.guest, found.storage, found.mounts, config)


def with_boot() -> Machine:
    return machine(FILES, mounted={"/": 1, "/boot": 3, "/boot/efi": 4})


def test_names_are_on_the_devices_that_hold_the_files() -> None:
    files = files_of(with_boot())
    assert files.home == "/dev/sda3"
    assert files.name("/boot/grub/grub.cfg") == "(/dev/sda3)/grub/grub.cfg"
    assert files.name("/boot/efi/EFI/debian/grub.cfg") == "(/dev/sda4)/EFI/debian/grub.cfg"
    assert files_of(machine(FILES)).name("/boot/vmlinuz-1") == "(/dev/sda1)/boot/vmlinuz-1"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("(/dev/sda3)/vmlinuz-1", "/boot/vmlinuz-1"),
        ("(hd0,gpt3)/vmlinuz-1", "/boot/vmlinuz-1"),
        ("(hd0,3)/vmlinuz-1", "/boot/vmlinuz-1"),
        ("/vmlinuz-1", "/boot/vmlinuz-1"),
        ("()/vmlinuz-1", "/boot/vmlinuz-1"),
        ("(hd0,gpt1)/usr/share/x", "/usr/share/x"),
        ("(hd0,gpt4)/EFI/debian/grub.cfg", "/boot/efi/EFI/debian/grub.cfg"),
        # A name that means nothing here is the configuration's own filesystem.
        ("(mduuid/0123)/vmlinuz-1", "/boot/vmlinuz-1"),
        ("(hd7,gpt1)/vmlinuz-1", "/boot/vmlinuz-1"),
        ("(hd0,gpt9)/vmlinuz-1", "/boot/vmlinuz-1"),
        # What is not there would be here.
        ("/vmlinuz-2", "/boot/vmlinuz-2"),
        # /boot is another filesystem: what the root has below it is hidden.
        ("(hd0,gpt1)/boot/vmlinuz-1", "(hd0,gpt1)/boot/vmlinuz-1"),
        # Swap is not mounted.
        ("(hd0,gpt2)/vmlinuz-1", "(hd0,gpt2)/vmlinuz-1"),
    ],
)
def test_places(name: str, place: str) -> None:
    assert files_of(with_boot()).place(name) == place


def test_legacy_grub_counts_from_nothing() -> None:
    found = with_boot()
    files = home_files(
        found.guest, found.storage, found.mounts, "/boot/grub/grub.cfg", first_partition=0
    )
    assert files.place("(hd0,2)/vmlinuz-1") == "/boot/vmlinuz-1"
    assert files.device("hd0,0") == "/dev/sda1"
    assert files.device("hd0") == "/dev/sda"


@pytest.mark.parametrize("prefix", ["/@", "", "/@/.snapshots/1/snapshot", "/root"])
def test_btrfs_paths_start_at_the_top_level(prefix: str) -> None:
    files = files_of(machine(FILES, root_type="btrfs"))
    assert files.place(f"(hd0,gpt1){prefix}/boot/vmlinuz-1") == "/boot/vmlinuz-1"


@pytest.mark.parametrize(
    ("by", "value", "device"),
    [
        ("uuid", ROOT, "/dev/sda1"),
        ("uuid", BOOT.upper(), "/dev/sda3"),
        ("uuid", ESP, "/dev/sda4"),
        ("label", "label3", "/dev/sda3"),
        ("file", "/vmlinuz-1", "/dev/sda3"),
        ("uuid", "gone", None),
        ("file", "/gone", None),
    ],
)
def test_search(by: str, value: str, device: str | None) -> None:
    assert files_of(with_boot()).search(by, value) == device


def test_what_can_be_asked() -> None:
    files = files_of(with_boot())
    assert files.size("/vmlinuz-1") == 1
    assert files.size("/grub") is None
    assert files.names("/grub") == ("grub.cfg",)
    assert files.names("/vmlinuz-1") is None
    assert files.read("/gone") is None
    assert files.read("/grub") is None


def test_a_kernel_is_not_read_to_learn_that_it_is_there() -> None:
    found = machine({**FILES, "/boot/vmlinuz-9": b"\0" * (5 << 20)})
    assert files_of(found).size("/boot/vmlinuz-9") == 5 << 20
    assert files_of(found).read("/boot/vmlinuz-9") is None


def test_what_was_chosen_once_is_forgotten() -> None:
    env = environment(saved_entry="0", next_entry="2")
    files = files_of(machine({**FILES, "/boot/grub/grubenv": env}))
    assert "next_entry" not in (files.read("/boot/grub/grubenv") or "")
    broken = files_of(machine({**FILES, "/boot/grub/grubenv": "next_entry=1\n"}))
    assert broken.read("/boot/grub/grubenv") == "next_entry=1\n"
