"""SPEC LNX-4: names that hold, foreign lines out, nothing that holds up the boot."""

from __future__ import annotations

import pytest

from converter.model import Severity, Volume
from converter.steps import fstab
from tests.unit.machines import Files, Lab, empty, holds, lab, link, system
from tests.unit.steps.planning import plan_of

ROOT = "UUID=r / ext4 defaults 0 1\n"
DIRECTORIES = empty("/data", "/boot", "/mnt", "/home")


def machine(table: str, extra: Files | None = None) -> Lab:
    """Give a machine with root, swap and data on its first disk, and data on its second."""
    files = system(table, DIRECTORIES | (extra or {}))
    return lab(
        [holds("ext4", "r", files), holds("swap", "s", label="sw"), holds("ext4", "d")],
        [holds("xfs", "x", label="second")],
    )


def converted(
    table: str, extra: Files | None = None, *, init_system: str = "systemd"
) -> tuple[str, list[tuple[str, Severity]]]:
    guest = machine(table, extra)
    plan = plan_of(guest, fstab.STEP, init_system=init_system)
    assert all(change.path == "/etc/fstab" for change in plan.changes)
    found = [(finding.code, finding.severity) for finding in plan.findings]
    return guest.read("/etc/fstab").decode("utf-8", "surrogateescape"), found


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("/dev/sda1\t/\text4\tdefaults 0 1\n", "UUID=r\t/\text4\tdefaults 0 1\n"),
        ("/dev/hda1 / ext4 # root\n", "UUID=r / ext4 # root\n"),
        ("/dev/sdb1 / ext4\n", "UUID=r / ext4\n"),
        ("/dev/nvme0n1p1 / ext4\n", "UUID=r / ext4\n"),
        ("/dev/root / ext4\n", "UUID=r / ext4\n"),
        ("LABEL=gone / ext4\n", "UUID=r / ext4\n"),
        ("UUID=gone / ext4\n", "UUID=r / ext4\n"),
        ("/dev/disk/by-id/ata-X-part1 / ext4\n", "UUID=r / ext4\n"),
        ("/dev/mapper/old-root / ext4\n", "UUID=r / ext4\n"),
        ("/dev/sda1 / ext4", "UUID=r / ext4"),
        ("/dev/sda1 / ext4 defaults 0 1\r\n", "UUID=r / ext4 defaults 0 1\r\n"),
        ("UUID=r / ext4\n", "UUID=r / ext4\n"),
        ('UUID="R" / ext4\n', 'UUID="R" / ext4\n'),
        ("PARTUUID=00001000-01 / ext4\n", "PARTUUID=00001000-01 / ext4\n"),
        ("/dev/disk/by-uuid/r / ext4\n", "/dev/disk/by-uuid/r / ext4\n"),
    ],
)
def test_the_root_is_always_found(line: str, wanted: str) -> None:
    assert converted(line) == (wanted, [])


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("/dev/sda2 none swap sw 0 0", "UUID=s none swap sw 0 0"),
        ("/dev/sda3 /data ext3 noauto", "UUID=d /data ext3 noauto"),
        ("/dev/vda3 /data auto x-systemd.automount,noauto 0 2",
         "UUID=d /data auto x-systemd.automount,noauto 0 2"),
        ("/dev/sdb1 /mnt xfs", "UUID=x /mnt xfs"),
        ("/dev/nvme1n1p1 /mnt xfs", "UUID=x /mnt xfs"),
        ("/dev/disk/by-path/pci-1-ata-1-part2 none swap", "UUID=s none swap"),
        ("LABEL=sw none swap", "LABEL=sw none swap"),
        ("/dev/disk/by-label/second /mnt xfs", "/dev/disk/by-label/second /mnt xfs"),
        ("PARTUUID=00001001-01 /mnt xfs", "PARTUUID=00001001-01 /mnt xfs"),
        ("tmpfs /tmp tmpfs mode=1777 0 0", "tmpfs /tmp tmpfs mode=1777 0 0"),
        ("/mnt /home none bind 0 0", "/mnt /home none bind 0 0"),
        ("/dev/shm /home none rbind", "/dev/shm /home none rbind"),
        ("/swapfile none swap sw", "/swapfile none swap sw"),
        ("proc /proc proc", "proc /proc proc"),
        ("host:/x /mnt nfs _netdev", "host:/x /mnt nfs _netdev"),
        ("overlay /mnt overlay lowerdir=/a", "overlay /mnt overlay lowerdir=/a"),
        ("/dev/zram0 none swap", "/dev/zram0 none swap"),
        ("/images/x.iso /mnt iso9660 loop", "/images/x.iso /mnt iso9660 loop"),
        ("/dev/sr0 /mnt udf,iso9660 user,noauto", "/dev/sr0 /mnt udf,iso9660 user,noauto"),
        ("/dev/fd0 /mnt auto rw,user,noauto", "/dev/fd0 /mnt auto rw,user,noauto"),
        ("/dev/sdz1 /mnt ext4 noauto", "/dev/sdz1 /mnt ext4 noauto"),
        ("UUID=x /mnt xfs logdev=/dev/sda2,noatime",
         "UUID=x /mnt xfs logdev=/dev/disk/by-uuid/s,noatime"),
        ("/dev/sda3 /data ext4 journal_path=/dev/sdb1 0 2",
         "UUID=d /data ext4 journal_path=/dev/disk/by-uuid/x 0 2"),
        ("UUID=x /mnt auto device=/dev/sdb1,compress,device=/dev/sdc", "UUID=x /mnt auto compress"),
        ("UUID=x /mnt auto device=/dev/sdb1", "UUID=x /mnt auto defaults"),
        ("UUID=x /mnt auto device=/dev/vg/data", "UUID=x /mnt auto device=/dev/vg/data"),
        ("UUID=x /mnt auto logdev=/dev/sdz", "UUID=x /mnt auto logdev=/dev/sdz"),
    ],
)  # fmt: skip
def test_names_that_hold_on_ec2(line: str, wanted: str) -> None:
    assert converted(f"{ROOT}{line}\n") == (f"{ROOT}{wanted}\n", [])


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("/dev/sdc1 none swap sw 0 0", "/dev/sdc1 none swap sw,nofail 0 0"),
        ("UUID=gone none swap", "UUID=gone none swap defaults,nofail"),
        ("LABEL=gone /mnt ext4 defaults 0 2", "LABEL=gone /mnt ext4 defaults,nofail 0 2"),
        ("/dev/sdb1 /mnt ext4", "/dev/sdb1 /mnt ext4 defaults,nofail"),  # it holds XFS
        ("/dev/vg/data /mnt ext4", "/dev/vg/data /mnt ext4 defaults,nofail"),
        ("/dev/mapper/vg-data /mnt ext4", "/dev/mapper/vg-data /mnt ext4 defaults,nofail"),
        ("/dev/md0 /mnt ext4", "/dev/md0 /mnt ext4 defaults,nofail"),
        ("/dev/sr0 /mnt iso9660", "/dev/sr0 /mnt iso9660 defaults,nofail"),
        ("/dev/disk/by-id/x-part9 /mnt ext4", "/dev/disk/by-id/x-part9 /mnt ext4 defaults,nofail"),
        ("/dev/sdc1 /mnt ext4 x-systemd.automount",
         "/dev/sdc1 /mnt ext4 x-systemd.automount,nofail"),
    ],
)  # fmt: skip
def test_what_is_not_there_does_not_hold_up_the_boot(line: str, wanted: str) -> None:
    text, found = converted(f"{ROOT}{line}\n")
    assert text == f"{ROOT}{wanted}\n"
    assert found == [("fstab-device-missing", Severity.WARNING)]


def test_what_need_not_be_there_stays() -> None:
    table = f"{ROOT}/dev/sdc1 /mnt ext4 nofail 0 2\n"
    assert converted(table) == (table, [("fstab-device-missing", Severity.WARNING)])


@pytest.mark.parametrize("path", ["/usr", "/var/"])
def test_a_part_without_which_nothing_works_refuses(path: str) -> None:
    _text, found = converted(f"{ROOT}UUID=gone {path} ext4\n")
    assert found == [("fstab-device-missing", Severity.ERROR)]


def test_init_systems_that_check_what_is_missing() -> None:
    table = f"{ROOT}/dev/sdc1 /mnt ext4 defaults 1 2\n"
    assert converted(table, init_system="sysvinit")[0] == (
        f"{ROOT}/dev/sdc1 /mnt ext4 defaults,nofail 1 0\n"
    )
    extra: Files = {"/sbin/mountall": ""}
    assert converted(table, extra, init_system="upstart")[0] == (
        f"{ROOT}/dev/sdc1 /mnt ext4 defaults,nofail,nobootwait 1 0\n"
    )


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("//nas/x /mnt cifs credentials=/etc/x 0 0", "cifs"),
        ("share /mnt vboxsf", "vboxsf"),
        ("me@host:/x /mnt fuse.sshfs noauto", "fuse.sshfs"),
        ("sshfs#me@host:/x /mnt fuse defaults", "sshfs"),
        (".host:/x /mnt vmhgfs", "vmhgfs"),
    ],
)
def test_shares_of_the_old_host_become_comments(line: str, kind: str) -> None:
    text, _found = converted(f"{line}\n{ROOT}")
    assert text == f"# converter: {kind} is not available on EC2\n# {line}\n{ROOT}"


def test_lines_that_mean_nothing_become_comments() -> None:
    text, _found = converted(f"/dev/sda3 /data\n{ROOT}UUID=d data ext4\n")
    assert text == (
        f"# converter: not a valid fstab line\n# /dev/sda3 /data\n{ROOT}"
        "# converter: not a valid fstab line\n# UUID=d data ext4\n"
    )


def test_everything_else_stays_byte_for_byte() -> None:
    table = f"# caf\udce9 \x0c\n\n  \t\n{ROOT}#/dev/sda3 /data ext4\n"
    files = system(f"{table}/dev/sda2 none swap".encode("utf-8", "surrogateescape"))
    guest = lab([holds("ext4", "r", files), holds("swap", "s")])
    plan_of(guest, fstab.STEP)
    text = guest.read("/etc/fstab").decode("utf-8", "surrogateescape")
    assert text == f"{table}UUID=s none swap"


def test_several_swap_lines_and_the_same_line_twice() -> None:
    line = "/dev/sda2 none swap sw 0 0\n"
    text, _found = converted(f"{ROOT}{line}{line}/dev/sdc9 none swap sw\n/swap none swap sw\n")
    swap = "UUID=s none swap sw 0 0\n"
    assert text == f"{ROOT}{swap}{swap}/dev/sdc9 none swap sw,nofail\n/swap none swap sw\n"


class TestCrypttab:
    LINE = f"{ROOT}/dev/mapper/cswap none swap sw\n"

    def test_what_crypttab_opens_is_there(self) -> None:
        extra: Files = {"/etc/crypttab": "cswap PARTUUID=00001000-02 /dev/urandom swap\n"}
        assert converted(self.LINE, extra) == (self.LINE, [])

    @pytest.mark.parametrize("table", ["", "cswap /dev/sdz1 /dev/urandom swap,noauto\n"])
    def test_what_it_does_not_open_is_not(self, table: str) -> None:
        text, found = converted(self.LINE, {"/etc/crypttab": table})
        assert text == f"{ROOT}/dev/mapper/cswap none swap sw,nofail\n"
        assert found == [("fstab-device-missing", Severity.WARNING)]


@pytest.mark.parametrize(
    ("root", "stale"),
    [
        ("/dev/vda1 / ext4\n", "/dev/sda3 /data ext4"),
        ("/dev/sda1 / ext4\n", "/dev/sdc3 /data ext4"),
        (
            "/dev/disk/by-path/pci-1-ata-1-part1 / ext4\n",
            "/dev/disk/by-path/pci-2-part3 /data ext4",
        ),
    ],
)
def test_a_name_from_another_machine_means_nothing_afterwards_either(root: str, stale: str) -> None:
    """The new names no longer say that the old ones were taken: the kept original does."""
    table, findings = converted(f"{root}{stale} defaults\n")
    assert table == f"UUID=r / ext4\n{stale} defaults,nofail\n"
    assert findings == [("fstab-device-missing", Severity.WARNING)]


class TestOtherShapes:
    def test_root_on_lvm_keeps_its_name(self) -> None:
        table = "/dev/mapper/my--vg-root / ext4\n/dev/my-vg/swap none swap\n/dev/sda1 /boot ext2\n"
        volumes = [Volume("/dev/my-vg/root", "my-vg", "root", 1),
                   Volume("/dev/my-vg/swap", "my-vg", "swap", 1)]  # fmt: skip
        guest = lab(
            [holds("ext2", "b"), holds("LVM2_member", "pv")],
            on={"/dev/my-vg/root": holds("ext4", "r", system(table, DIRECTORIES)),
                "/dev/my-vg/swap": holds("swap", "s")},
            volumes=volumes,
        )  # fmt: skip
        plan_of(guest, fstab.STEP)
        assert guest.read("/etc/fstab").decode() == table.replace("/dev/sda1", "UUID=b")

    def test_subvolumes_keep_their_options(self) -> None:
        table = "/dev/sda1 / btrfs subvol=@ 0 0\n/dev/sda1 /home btrfs ssd,subvol=@home 0 0\n"
        files = {f"/@{path}": node for path, node in system(table, DIRECTORIES).items()}
        guest = lab(
            [holds("btrfs", "r", files | empty("/@home"), subvolumes={"@": 256, "@home": 257})]
        )
        plan_of(guest, fstab.STEP)
        assert guest.read("/etc/fstab").decode() == table.replace("/dev/sda1", "UUID=r")

    def test_subvolumes_by_names_of_two_kinds(self) -> None:
        table = "UUID=r / btrfs subvol=@\n/dev/sda1 /home btrfs subvol=@home\n"
        files = {f"/@{path}": node for path, node in system(table, DIRECTORIES).items()}
        guest = lab(
            [holds("btrfs", "r", files | empty("/@home"), subvolumes={"@": 256, "@home": 257})]
        )
        plan_of(guest, fstab.STEP)
        assert guest.read("/etc/fstab").decode() == table.replace("/dev/sda1", "UUID=r")

    def test_a_copy_of_the_disk_does_not_get_in_between(self) -> None:
        files = system("/dev/sda1 / ext4\n")
        guest = lab([holds("ext4", "r", files)], [holds("ext4", "r", files)])
        plan_of(guest, fstab.STEP)
        assert guest.read("/etc/fstab") == b"PARTUUID=00001000-01 / ext4\n"

    def test_a_root_without_any_name_is_refused(self) -> None:
        guest = lab(holds("ext4", "", system("/dev/sda / ext4\n")))
        plan = plan_of(guest, fstab.STEP)
        assert plan.changes == ()
        assert [(f.code, f.severity) for f in plan.findings] == [
            ("root-without-name", Severity.ERROR)
        ]

    def test_a_whole_disk_as_the_root(self) -> None:
        guest = lab(holds("ext4", "r", system("/dev/xvda / ext4\n")))
        plan_of(guest, fstab.STEP)
        assert guest.read("/etc/fstab") == b"UUID=r / ext4\n"

    @pytest.mark.parametrize("table", [None, "", "# nothing\n"])
    def test_a_guest_without_lines_gets_none(self, table: str | None) -> None:
        guest = lab([holds("ext4", "r", system(table))])
        assert plan_of(guest, fstab.STEP).changes == ()

    def test_an_fstab_that_is_a_link(self) -> None:
        files = system(link("static/fstab"), {"/etc/static/fstab": "/dev/sda1 / ext4\n"})
        guest = lab([holds("ext4", "r", files)])
        plan = plan_of(guest, fstab.STEP)
        assert [change.path for change in plan.changes] == ["/etc/static/fstab"]
        assert guest.read("/etc/fstab") == b"UUID=r / ext4\n"

    def test_thousands_of_lines(self) -> None:
        lines = "".join(f"/dev/sdb{n % 9} /mnt/{n} ext4\n" for n in range(1_000))
        guest = machine(ROOT + lines)
        plan_of(guest, fstab.STEP)
