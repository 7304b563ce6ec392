"""Which of several trees is the system (SPEC FS-1, FS-2, FS-3)."""

from __future__ import annotations

import pytest

from converter.errors import GuestRefusedError
from converter.guest.memory import Node
from converter.inspection.roots import Found, find_root, is_chosen
from converter.inspection.storage import read_storage
from converter.model import FileKind, Subvolume, Volume
from tests.unit.machines import Files, Lab, empty, holds, lab, link, system

BTRFS = {"@": 256, "@home": 257, "@/.snapshots": 258, "@/.snapshots/1/snapshot": 259,
         "timeshift-btrfs/snapshots/2024-01-01/@": 260}  # fmt: skip
SEVERAL = "Unsupported configuration - Multiple directories found"


def find(machine: Lab) -> Found:
    found = find_root(machine, machine, read_storage(machine))
    assert machine.list("/") == ()  # nothing stays mounted
    return found


def refused(machine: Lab) -> GuestRefusedError:
    with pytest.raises(GuestRefusedError) as caught:
        find(machine)
    assert machine.list("/") == ()
    assert caught.value.hint
    return caught.value


def below(top: str, files: Files) -> Files:
    return {f"/{top}{path}": node for path, node in files.items()}


def where(machine: Lab) -> tuple[str, str]:
    root = find(machine).root
    return root.filesystem.device, root.subvolume.path if root.subvolume else ""


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4", "xfs", "jfs", "btrfs"])
@pytest.mark.parametrize(
    "table",
    ["UUID=r / ext4 x 0 1\n", "/dev/sdb2 / auto\n", "LABEL=gone / ext4\n", "", None, "nonsense\n"],
)
def test_the_only_system_is_the_root_whatever_its_fstab_says(kind: str, table: str | None) -> None:
    machine = lab([holds("swap", "s"), holds(kind, "r", system(table))], [holds("ext4", "d")])
    assert where(machine) == ("/dev/sda2", "")


def test_directories_that_are_links_into_another_filesystem_will_do() -> None:
    """/usr by itself: /bin leads nowhere until it is mounted."""
    root = {"/etc/fstab": "UUID=r / ext4\nUUID=u /usr ext4\n", "/bin": link("usr/bin"),
            "/etc/os-release": link("../usr/lib/os-release"), **empty("/usr")}  # fmt: skip
    usr = {"/bin/sh": "", "/lib/os-release": "ID=debian\n", **empty("/sbin")}
    machine = lab([holds("ext4", "u", usr), holds("ext4", "r", root)])
    assert where(machine) == ("/dev/sda2", "")


class TestSeveral:
    def test_the_one_whose_own_fstab_says_so(self) -> None:
        backup = holds("ext4", "b", system("UUID=r / ext4\n"))
        machine = lab([backup, holds("ext4", "r", system("UUID=r / ext4\n"))])
        found = find(machine)
        assert (found.root.filesystem.device, found.others) == ("/dev/sda2", ())

    def test_two_that_say_so_are_refused(self) -> None:
        machine = lab(
            [
                holds("ext4", "a", system("UUID=a / ext4\n")),
                holds("xfs", "b", system("UUID=b / xfs\n")),
            ]
        )
        error = refused(machine)
        assert error.code == "several-roots"
        assert [finding.service_message for finding in error.findings] == [SEVERAL]
        assert "/dev/sda1" in error.message
        assert "/dev/sda2" in error.message

    def test_two_that_say_nothing_are_refused(self) -> None:
        machine = lab([holds("ext4", "a", system("")), holds("ext4", "b", system(None))])
        assert refused(machine).code == "several-roots"

    @pytest.mark.parametrize(
        "boot",
        [
            {"/grub/grub.cfg": "linux /vmlinuz root=UUID=b ro quiet\n"},
            {"/grub2/grub.cfg": "\tlinux16 /vmlinuz ro root=/dev/sda3\n"},
            {"/loader/entries/x.conf": "options root=LABEL=second ro\n"},
            {"/grub2/grubenv": "kernelopts=root=LABEL=x root=UUID=b ro\n"},
            {"/grub/menu.lst": "kernel /vmlinuz root=/dev/disk/by-uuid/b\n"},
        ],
    )
    def test_the_boot_loader_decides(self, boot: Files) -> None:
        machine = lab(
            [
                holds("ext4", "boot", boot),
                holds("ext4", "a", system("UUID=a / ext4\n")),
                holds("ext4", "b", system("UUID=b / ext4\n"), label="second"),
            ]
        )
        found = find(machine)
        assert found.root.filesystem.device == "/dev/sda3"
        assert [root.filesystem.device for root in found.others] == ["/dev/sda2"]

    def test_a_boot_loader_that_starts_both_does_not(self) -> None:
        menu = "linux /vmlinuz root=UUID=a\nlinux /vmlinuz root=UUID=b\n"
        machine = lab(
            [
                holds("ext4", "a", system("UUID=a / ext4\n", {"/boot/grub/grub.cfg": menu})),
                holds("ext4", "b", system("UUID=b / ext4\n")),
            ]
        )
        assert refused(machine).code == "several-roots"

    def test_a_system_that_another_mounts_is_a_part_of_it(self) -> None:
        """A chroot or an old disk at /mnt, and not a second system to start."""
        machine = lab(
            [
                holds("ext4", "c", system("UUID=c / ext4\n")),
                holds("ext4", "r", system("UUID=r / ext4\nUUID=c /srv/chroot ext4\n")),
            ]
        )
        assert where(machine) == ("/dev/sda2", "")

    def test_systems_that_mount_each_other_are_two(self) -> None:
        machine = lab(
            [
                holds("ext4", "a", system("UUID=a / ext4\nUUID=b /mnt/b ext4\n")),
                holds("ext4", "b", system("UUID=b / ext4\nUUID=a /mnt/a ext4\n")),
            ]
        )
        assert refused(machine).code == "several-roots"

    def test_of_a_disk_and_its_copy_it_is_the_first(self) -> None:
        files = system("UUID=r / ext4\n")
        machine = lab([holds("ext4", "r", files)], [holds("ext4", "r", files)])
        assert where(machine) == ("/dev/sda1", "")

    def test_an_old_system_disk_as_the_second(self) -> None:
        files = system("/dev/sda1 / ext4\n")
        machine = lab([holds("ext4", "a", files)], [holds("ext4", "b", files)])
        assert where(machine) == ("/dev/sda1", "")

    def test_a_volume_and_its_snapshot(self) -> None:
        files = system("UUID=r / ext4\n")
        machine = lab(
            [holds("LVM2_member", "pv")],
            on={
                "/dev/vg/before": holds("ext4", "r", files),
                "/dev/vg/root": holds("ext4", "r", files),
            },
            volumes=[
                Volume("/dev/vg/before", "vg", "before", 1, is_snapshot=True),
                Volume("/dev/vg/root", "vg", "root", 1),
            ],
        )
        assert where(machine) == ("/dev/vg/root", "")


class TestSubvolumes:
    def machine(self, table: str, default: str = "", files: Files | None = None) -> Lab:
        tops = ("@", "@/.snapshots/1/snapshot", "timeshift-btrfs/snapshots/2024-01-01/@")
        content = {
            path: node for top in tops for path, node in below(top, system(table)).items()
        } | empty("/@home", "/@/.snapshots") | (files or {})  # fmt: skip
        return lab([holds("btrfs", "r", content, subvolumes=BTRFS, default=default)])

    def test_by_name(self) -> None:
        assert where(self.machine("UUID=r / btrfs defaults,subvol=@ 0 1\n")) == ("/dev/sda1", "@")
        assert where(self.machine("UUID=r / btrfs subvol=/@,ssd 0 1\n")) == ("/dev/sda1", "@")

    def test_by_number(self) -> None:
        assert where(self.machine("UUID=r / btrfs subvolid=256 0 1\n")) == ("/dev/sda1", "@")

    def test_by_default_as_snapper_has_it(self) -> None:
        machine = self.machine("UUID=r / btrfs defaults 0 0\n", "@/.snapshots/1/snapshot")
        assert where(machine) == ("/dev/sda1", "@/.snapshots/1/snapshot")
        assert find(machine).others == ()

    def test_the_top_level(self) -> None:
        files = {**system("UUID=r / btrfs defaults\n"), **below("snap", system("UUID=r / btrfs\n"))}
        machine = lab([holds("btrfs", "r", files, subvolumes={"snap": 300})])
        assert where(machine) == ("/dev/sda1", "")

    def test_the_boot_loader_decides_where_fstab_has_no_root(self) -> None:
        menu = "linux /@/boot/vmlinuz root=UUID=r ro rootflags=subvol=@\n"
        machine = self.machine("", files={"/@/boot/grub/grub.cfg": menu})
        assert where(machine) == ("/dev/sda1", "@")

    def test_containers_are_no_systems_of_their_own(self) -> None:
        files = {
            **below("root", system("UUID=r / btrfs subvol=root\n")),
            **below("root/var/lib/machines/f39", system(None)),
            **below("root/var/lib/docker/btrfs/subvolumes/abc", system("")),
        }
        numbers = {"root": 256, "root/var/lib/machines/f39": 300,
                   "root/var/lib/docker/btrfs/subvolumes/abc": 301}  # fmt: skip
        machine = lab([holds("btrfs", "r", files, subvolumes=numbers)])
        assert where(machine) == ("/dev/sda1", "root")

    def test_links_stay_in_their_subvolume(self) -> None:
        files = {
            **below("@", system(link("/etc/static/fstab"))),
            "/@/etc/static/fstab": "UUID=r / btrfs subvol=@\n",
            "/etc/static/fstab": "UUID=r / btrfs subvol=@other\n",
            **below("@other", system("")),
        }
        machine = lab([holds("btrfs", "r", files, subvolumes={"@other": 256, "@": 257})])
        assert where(machine) == ("/dev/sda1", "@")

    def test_thousands_of_them_take_no_time(self) -> None:
        numbers = {"@": 256, **{f"snapshots/{number}": 300 + number for number in range(3000)}}
        files = below("@", system("UUID=r / btrfs subvol=@\n"))
        machine = lab([holds("btrfs", "r", files, subvolumes=numbers)])
        assert where(machine) == ("/dev/sda1", "@")

    @pytest.mark.parametrize(
        ("options", "chosen"),
        [
            (("subvol=@",), True),
            (("subvol=/@/",), True),
            (("subvol=",), False),
            (("subvolid=256",), True),
            (("subvolid=5",), False),
            (("subvol=@", "subvolid=999"), True),
            (("defaults",), False),
            ((), False),
        ],
    )
    def test_options(self, options: tuple[str, ...], *, chosen: bool) -> None:
        assert is_chosen(Subvolume(256, "@"), options) is chosen
        assert is_chosen(Subvolume(256, "@", is_default=True), ("defaults",))


class TestNothing:
    @pytest.mark.parametrize(
        "files",
        [
            {},
            {"/etc/fstab": "x"},
            {"/bin/sh": "", "/sbin/init": ""},
            {"/vmlinuz": "", "/grub/grub.cfg": ""},
            {"/bin/sh": "", "/lib/os-release": "ID=debian"},
            {"/bin": "", **empty("/etc/passwd", "/etc/fstab")},
        ],
    )
    def test_what_is_no_system(self, files: Files) -> None:
        error = refused(lab([holds("ext4", "a", files)]))
        assert error.code == "unknown-os"
        assert error.findings[0].service_message == "Unknown OS / Missing OS files."
        assert "/dev/sda1: ext4" in error.message

    def test_an_empty_disk(self) -> None:
        assert refused(lab(holds(""))).code == "unknown-os"

    @pytest.mark.parametrize("kind", ["f2fs", "zfs_member", "reiserfs"])
    def test_a_filesystem_that_is_not_read_is_named(self, kind: str) -> None:
        boot = {"/grub/grub.cfg": "linux /vmlinuz root=UUID=r\n"}
        error = refused(lab([holds("ext4", "b", boot), holds(kind, "r")]))
        assert error.code == "unknown-os"
        assert f"if the system is on {kind}" in error.hint

    def test_other_filesystems_are_not_looked_at(self) -> None:
        machine = lab([holds("ntfs", "a", system("")), holds("LVM2_member", "b", system(""))])
        assert refused(machine).code == "unknown-os"
        assert machine.mounted == []

    def test_what_cannot_be_mounted_is_named(self) -> None:
        error = refused(lab([holds("ext4", "a", system(""))], broken=["/dev/sda1"]))
        assert error.code == "mount-failed"
        assert "/dev/sda1" in error.message
        assert "bad superblock" in error.message

    def test_a_broken_root_is_not_replaced_by_what_looks_like_one(self) -> None:
        machine = lab(
            [holds("ext4", "r", system("UUID=r / ext4\n")), holds("ext4", "c", system(""))],
            broken=["/dev/sda1"],
        )
        assert refused(machine).code == "mount-failed"

    def test_a_broken_disk_beside_the_root_does_not_matter(self) -> None:
        machine = lab(
            [holds("ext4", "r", system("UUID=r / ext4\n"))], [holds("ext4", "c")],
            broken=["/dev/sdb1"],
        )  # fmt: skip
        assert where(machine) == ("/dev/sda1", "")


@pytest.mark.parametrize(
    "content", [Node(FileKind.OTHER), Node(FileKind.DIRECTORY), b"#" * (5 << 20)]
)
def test_an_fstab_that_is_no_text_file_is_kept_as_a_problem(content: Node | bytes) -> None:
    root = find(lab([holds("ext4", "r", system(content))])).root
    assert root.table is None
    assert root.problem


@pytest.mark.parametrize("target", ["fstab", "/../../dev/vda", "nowhere"])
def test_an_fstab_that_leads_nowhere_is_none(target: str) -> None:
    root = find(lab([holds("ext4", "r", system(link(target)))])).root
    assert root.table is not None
    assert root.table.entries == ()
