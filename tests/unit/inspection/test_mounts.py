from __future__ import annotations

import pytest

from converter.errors import GuestRefusedError
from converter.guest.memory import Node
from converter.inspection.mounts import Mounted, mount_guest
from converter.inspection.storage import read_storage
from converter.model import Array, FileKind, Mount, Severity
from tests.unit.machines import Files, Lab, empty, holds, lab, link, system


def mounted(machine: Lab) -> Mounted:
    return mount_guest(machine, machine, read_storage(machine))


def places(machine: Lab) -> list[tuple[str, str]]:
    return [(mount.path, mount.device) for mount in mounted(machine).mounts]


def guest(table: str, extra: Files | None = None, **more: object) -> Lab:
    """Give a machine with a root, and an ext4, a vfat and a swap partition beside it."""
    files = system(f"UUID=r / ext4\n{table}", empty("/boot/efi", "/data", "/mnt/a") | (extra or {}))
    return lab(
        [
            holds("ext4", "r", files),
            holds("ext4", "d", {"/in-data": ""}, label="data"),
            holds("vfat", "AB-CD", {"/EFI/BOOT/BOOTX64.EFI": ""}),
            holds("swap", "s"),
        ],
        **more,  # type: ignore[arg-type]
    )


def test_the_root_alone() -> None:
    machine = guest("")
    (root,) = mounted(machine).mounts
    assert (root.path, root.device, root.type, root.uuid) == ("/", "/dev/sda1", "ext4", "r")
    assert root.space is not None
    assert root.space.free
    assert machine.mounted[-1] == ("/dev/sda1", "/", "rw")


def test_parents_before_what_is_below_them() -> None:
    machine = guest("UUID=AB-CD /boot/efi vfat umask=77 0 1\nUUID=d /boot ext4 ro,noatime\n",
                    {"/in-root": ""})  # fmt: skip
    # The directory for the ESP is on /boot's own filesystem.
    machine._devices["/dev/sda2"].tree["/efi"] = Node(FileKind.DIRECTORY, mode=0o755)
    assert places(machine) == [
        ("/", "/dev/sda1"),
        ("/boot", "/dev/sda2"),
        ("/boot/efi", "/dev/sda3"),
    ]
    assert machine.mounted[-2:] == [("/dev/sda2", "/boot", "rw"), ("/dev/sda3", "/boot/efi", "rw")]
    assert machine.lstat("/boot/in-data") is not None


@pytest.mark.parametrize(
    "line",
    [
        "UUID=d /data ext4 defaults 0 2",
        "UUID=d /data/ ext4",
        "UUID=d //data auto",
        "LABEL=data /mnt/../data ext4",
        "/dev/vda2 /data ext3",
        "/dev/sda2 /data auto nofail,x-systemd.device-timeout=5",
        "PARTUUID=00001000-02 /data ext4",
        "UUID=d /data ext4 noauto,x-systemd.automount",
    ],
)
def test_what_is_mounted(line: str) -> None:
    assert places(guest(f"{line}\n")) == [("/", "/dev/sda1"), ("/data", "/dev/sda2")]


@pytest.mark.parametrize(
    "line",
    [
        "UUID=d /data ext4 noauto",
        "UUID=d none ext4",
        "UUID=d /data xfs",
        "UUID=s /data auto",
        "UUID=s none swap",
        "UUID=gone /data ext4",
        "UUID=d /not/there ext4",
        "UUID=d / ext4",
        "UUID=d // ext4",
        "UUID=d /.. ext4",
        "UUID=d /mnt/.. ext4",
        "UUID=d /etc/passwd ext4",
        "/mnt/a /data none bind",
        "host:/x /data nfs _netdev",
        "//host/x /data cifs",
        "tmpfs /data tmpfs",
        "overlay /data overlay lowerdir=/a",
    ],
)
def test_what_is_not_mounted(line: str) -> None:
    assert places(guest(f"{line}\n")) == [("/", "/dev/sda1")]


def test_boot_is_mounted_even_if_the_guest_waits_with_it() -> None:
    assert places(guest("UUID=d /boot ext4 noauto\n"))[1:] == [("/boot", "/dev/sda2")]


def test_of_two_lines_for_a_place_the_first_counts() -> None:
    machine = guest("UUID=d /data ext4\nUUID=AB-CD /data vfat\n")
    assert places(machine)[1:] == [("/data", "/dev/sda2")]


@pytest.mark.parametrize(
    ("target", "place"), [("/mnt/a", "/mnt/a"), ("/../../mnt/a", "/mnt/a"), ("mnt/a", "/mnt/a")]
)
def test_mount_points_that_are_links_lead_nowhere_out_of_the_guest(target: str, place: str) -> None:
    machine = guest("UUID=d /link ext4\n", {"/link": link(target)})
    assert places(machine)[1:] == [(place, "/dev/sda2")]
    assert machine.mounted[-1][1] == place


@pytest.mark.parametrize("path", ["/loop", "/" + "a/" * 4000])
def test_mount_points_that_cannot_be(path: str) -> None:
    with pytest.raises(GuestRefusedError) as caught:
        mounted(guest(f"UUID=d {path} ext4\n", {"/loop": link("loop")}))
    assert caught.value.code == "mount-failed"
    assert places(guest(f"UUID=d {path} ext4 nofail\n", {"/loop": link("loop")})) == [
        ("/", "/dev/sda1")
    ]


class TestFailures:
    def test_a_part_that_cannot_be_mounted(self) -> None:
        with pytest.raises(GuestRefusedError) as caught:
            mounted(guest("UUID=d /data ext4\n", broken=["/dev/sda2"]))
        assert caught.value.code == "mount-failed"
        assert "/data (UUID=d)" in caught.value.message
        assert caught.value.hint

    def test_all_that_cannot_be_mounted_are_told(self) -> None:
        table = "UUID=d /data ext4\nUUID=AB-CD /boot/efi vfat\n"
        with pytest.raises(GuestRefusedError) as caught:
            mounted(guest(table, broken=["/dev/sda2", "/dev/sda3"]))
        assert [finding.code for finding in caught.value.findings] == ["mount-failed"] * 2
        assert "/data (UUID=d)" in caught.value.message
        assert "/boot/efi (UUID=AB-CD)" in caught.value.message

    def test_one_that_the_guest_can_do_without(self) -> None:
        found = mounted(guest("UUID=d /data ext4 nofail\n", broken=["/dev/sda2"]))
        assert [mount.path for mount in found.mounts] == ["/"]
        [finding] = found.findings
        assert (finding.severity, finding.code) == (Severity.WARNING, "mount-failed")
        assert "/data (UUID=d)" in finding.message
        assert finding.hint

    @pytest.mark.parametrize("kind", [FileKind.DIRECTORY, FileKind.OTHER])
    def test_an_fstab_that_cannot_be_read(self, kind: FileKind) -> None:
        files: Files = {**system(None), "/etc/fstab": Node(kind)}
        with pytest.raises(GuestRefusedError) as caught:
            mounted(lab([holds("ext4", "r", files)]))
        (finding,) = caught.value.findings
        assert finding.code == "fstab-unreadable"
        assert finding.service_message == "Invalid configuration - Could not read fstab"

    def test_thousands_of_lines(self) -> None:
        lines = "".join(f"UUID=d /mnt/{number % 9}/x ext4\n" for number in range(5_000))
        assert places(guest(lines)) == [("/", "/dev/sda1")]


class TestBtrfs:
    def test_the_root_is_mounted_by_number_and_the_others_as_fstab_says(self) -> None:
        files: Files = {
            f"/@{path}": node
            for path, node in system(
                "UUID=r / btrfs subvol=@\nUUID=r /home btrfs noatime,subvol=/@home\n"
                "UUID=r /srv btrfs subvolid=258\n",
                empty("/home", "/srv"),
            ).items()
        }
        tops = empty("/@home", "/@srv")
        machine = lab(
            [holds("btrfs", "r", files | tops, subvolumes={"@": 256, "@home": 257, "@srv": 258})]
        )
        found = mounted(machine).mounts
        wanted = [("/", "@"), ("/home", "@home"), ("/srv", "")]
        assert [(mount.path, mount.subvolume) for mount in found] == wanted
        assert ("/dev/sda1", "/", "rw,subvolid=256") in machine.mounted
        assert ("/dev/sda1", "/home", "rw,subvol=/@home") in machine.mounted
        assert ("/dev/sda1", "/srv", "rw,subvolid=258") in machine.mounted


class TestNames:
    def test_the_root_s_line_says_what_the_disk_was_called(self) -> None:
        files = system("/dev/sdb1 / ext4\n/dev/sda1 /data ext4\n/dev/sdb2 none swap\n")
        storage = mounted(lab([holds("ext4", "r", files), holds("swap", "s")])).storage
        assert storage.resolve("/dev/sdb2") == "/dev/sda2"
        assert storage.resolve("/dev/sda1") is None

    def test_disks_in_another_order(self) -> None:
        files = system("/dev/sdb1 / ext4\n/dev/sda1 /data xfs\n", empty("/data"))
        machine = lab([holds("ext4", "r", files)], [holds("xfs", "d")])
        assert places(machine) == [("/", "/dev/sda1"), ("/data", "/dev/sdb1")]

    def test_arrays_by_mdadm_conf(self) -> None:
        files = system(
            "/dev/md1 / ext4\n/dev/md0 /boot ext4\n",
            {"/etc/mdadm/mdadm.conf": "ARRAY /dev/md0 UUID=bb\nARRAY /dev/md1 UUID=aa\n",
             **empty("/boot")},
        )  # fmt: skip
        machine = lab(
            [holds("linux_raid_member", "aa"), holds("linux_raid_member", "bb")],
            on={"/dev/md127": holds("ext4", "r", files), "/dev/md126": holds("ext4", "b")},
            arrays=[Array("/dev/md126", "raid1", "bb", "", 2, 2),
                    Array("/dev/md127", "raid1", "aa", "", 2, 2)],
        )  # fmt: skip
        assert places(machine) == [("/", "/dev/md127"), ("/boot", "/dev/md126")]

    def test_crypttab_names_disks_too(self) -> None:
        files = system("/dev/sdb1 / ext4\n", {"/etc/crypttab": "s /dev/sda1 /dev/urandom swap\n"})
        machine = lab([holds("ext4", "r", files)], [holds("")])
        assert mounted(machine).storage.resolve("/dev/sda1") == "/dev/sdb1"


def test_what_is_mounted_is_said_with_its_space() -> None:
    found = mounted(guest("UUID=d /data ext4\n")).mounts
    assert all(isinstance(mount, Mount) and mount.space for mount in found)
