"""What guestfs(3) answers, as our own records; the answers are those of libguestfs 1.48."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from converter.errors import GuestError
from converter.guest import paths
from converter.guest.blockdevices import ApplianceDevices, translated
from converter.guest.files import ApplianceFiles
from converter.guest.protocol import Code
from converter.model import Array, Filesystem, Space, Subvolume, Volume, VolumeGroup

if TYPE_CHECKING:
    from pathlib import Path


class Handle:
    """A handle that gives prepared answers; an exception among them is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            answer = self.answers[name]
            found = answer(*arguments) if callable(answer) else answer
            if isinstance(found, Exception):
                raise found
            return found

        return call


def devices(**answers: Any) -> ApplianceDevices:
    made = ApplianceDevices()
    made._handle = Handle(**answers)
    made._disks = ("/dev/sda",)
    return made


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("No such file or directory", Code.MISSING),
        ("Not a directory", Code.MISSING),
        ("File name too long", Code.MISSING),
        ("Too many levels of symbolic links", Code.LINK_LOOP),
        ("Structure needs cleaning", Code.DAMAGED),
        ("Bad message", Code.DAMAGED),
        ("Input/output error", Code.DAMAGED),
        ("Operation not permitted", Code.FAILED),
    ],
)
def test_what_is_wrong(said: str, code: str) -> None:
    with pytest.raises(GuestError) as caught, translated("/boot/x"):
        raise RuntimeError(f"lstatns: /boot/x: {said}")
    assert caught.value.code == code
    assert caught.value.message.startswith("/boot/x: ")


def test_a_name_that_cannot_be_asked_about_is_not_there() -> None:
    files = ApplianceFiles()
    files._handle = Handle()
    assert files.lstat("/boot/vmlinuz-\udce9") is None
    assert paths.kind(files, "/vmlinuz-\udce9") is None
    assert files._handle.calls == []


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ({"TYPE": "ext4", "UUID": "u", "LABEL": "boot", "VERSION": "1.0"}, ("ext4", "u", "boot")),
        ({"TYPE": "xfs", "LABEL": "my\\ disk"}, ("xfs", "", "my disk")),
        ({"TYPE": "ext4", "LABEL": "b\\xc3\\xa4r"}, ("ext4", "", "bär")),
        ({"TYPE": "ext4", "LABEL": "b\\xe4r"}, ("ext4", "", "b\udce4r")),
        ({"PTTYPE": "dos", "DEVNAME": "/dev/sda4"}, ("", "", "")),
        ({}, ("", "", "")),
        (RuntimeError("blkid: ambivalent result"), ("", "", "")),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), ("", "", "")),
    ],
)
def test_what_is_on_a_device(answer: Any, wanted: tuple[str, str, str]) -> None:
    found = devices(blkid=answer).probe("/dev/sda1")
    assert found == Filesystem("/dev/sda1", *wanted)


def test_devices_of_one_filesystem_are_told_apart() -> None:
    found = devices(blkid={"TYPE": "btrfs", "UUID": "u", "UUID_SUB": "s"}).probe("/dev/sda")
    assert found.member == "s"


SURVEY = """device 0 2097152
device 0.1 4096
blkid 0.1
DEVNAME=/dev/sda1
TYPE=ext4
"""


def test_what_was_surveyed_is_not_asked_again() -> None:
    made = devices(debug=SURVEY, list_partitions=["/dev/sda2"])
    assert made.devices() == (("/dev/sda", 1 << 30),)
    asked = len(made._handle.calls)
    assert made.partitions() == ("/dev/sda1",)
    assert made.probe("/dev/sda1").type == "ext4"
    assert len(made._handle.calls) == asked


def test_a_survey_holds_until_something_is_mounted() -> None:
    made = devices(
        debug=SURVEY,
        list_partitions=["/dev/sda2"],
        blkid={"TYPE": "xfs"},
        mount_options=None,
    )
    made.devices()
    made.mount("/dev/sda1", "/", options="ro")
    assert made.partitions() == ("/dev/sda2",)
    assert made.probe("/dev/sda1").type == "xfs"


@pytest.mark.parametrize(
    ("said", "is_written"),
    [
        ("written\n", True),
        ("blockdev: ioctl error on BLKRRPART: Device or resource busy\nwritten\n", True),
        ("blockdev: ioctl error on BLKRRPART: Device or resource busy\nused\n", False),
        ("used\n", False),
        ("", False),
    ],
)
def test_whether_a_table_was_written(tmp_path: Path, said: str, *, is_written: bool) -> None:
    made = devices(debug=said, debug_upload=None)
    made._directory = tmp_path
    assert made.rewrite("/dev/sda", [(0, b"x" * 512)], size=1 << 30) is is_written


def test_a_survey_that_says_nothing() -> None:
    with pytest.raises(GuestError) as caught:
        devices(debug="device 1 1\n").devices()
    assert caught.value.code == Code.FAILED


DETAIL = {
    "level": "raid1", "devices": "2", "uuid": "a:b", "name": "web:0",
    "device_dev_sda_role": "0", "device_dev_sda_dev": "/dev/sda",
    "device_dev_sdb_role": "1", "device_dev_sdb_dev": "/dev/sdb",
}  # fmt: skip


def arrays(detail: dict[str, str], size: int = 4096) -> tuple[Array, ...]:
    return devices(
        debug="", list_md_devices=["/dev/md127"], blockdev_getsize64=size, md_detail=detail
    ).arrays()


def test_arrays() -> None:
    found = arrays(DETAIL)
    members = ("/dev/sda", "/dev/sdb")
    assert found == (Array("/dev/md127", "raid1", "a:b", "web:0", 2, 2, members),)
    lost = {**DETAIL, "device_dev_sdb_role": "spare"}
    (array,) = arrays(lost)
    assert array.is_degraded


def test_an_array_that_did_not_start_is_none() -> None:
    assert arrays(DETAIL, size=0) == ()


def test_arrays_that_members_are_missing_of_are_started() -> None:
    state = "Personalities : \nmd127 : inactive sdc[0](S)\n   306176 blocks\nmd1 : active raid1 x\n"
    made = devices(debug=state, list_md_devices=[], md_detail=DETAIL)
    assert made.arrays() == ()
    assert ("debug", "sh", ["mdadm", "--run", "/dev/md127"]) in made._handle.calls
    assert len([call for call in made._handle.calls if call[0] == "debug"]) == 2


@pytest.mark.parametrize("failing", ["debug", "md_detail"])
def test_arrays_that_cannot_be_started_or_described(failing: str) -> None:
    answers: dict[str, Any] = {
        "debug": "", "list_md_devices": ["/dev/md127"], "blockdev_getsize64": 4096,
        "md_detail": DETAIL,
    }  # fmt: skip
    answers[failing] = RuntimeError("no such call")
    assert len(devices(**answers).arrays()) == (1 if failing == "debug" else 0)


def test_groups() -> None:
    rows = [
        {"vg_name": "vg", "vg_uuid": "u", "vg_attr": "wz--n-"},
        {"vg_name": "vg", "vg_uuid": "v", "vg_attr": "wz-pn-"},
    ]
    volumes = [{"pv_uuid": "ab", "pv_name": "/dev/sda2"}, {"pv_uuid": "cd", "pv_name": "/dev/sdb"}]
    found = devices(vgs_full=rows, pvs_full=volumes, vgpvuuids=["a-b", "c-d", "e-f"]).groups()
    members = ("/dev/sda2", "/dev/sdb")
    assert found == (
        VolumeGroup("vg", "u", members=members),
        VolumeGroup("vg", "v", is_complete=False, members=members),
    )
    twice = RuntimeError("Multiple VGs found with the same name")
    found = devices(vgs_full=rows, pvs_full=volumes, vgpvuuids=twice).groups()
    assert [group.members for group in found] == [(), ()]


def row(name: str, uuid: str, attributes: str, origin: str = "") -> dict[str, Any]:
    return {"lv_name": name, "lv_uuid": uuid, "lv_attr": attributes, "lv_size": 4096,
            "origin": origin}  # fmt: skip


def test_volumes() -> None:
    rows = [
        row("root", "aa", "-wi-a-----"), row("root", "bb", "-wi-------"),
        row("snap", "c", "swi-a-s---", "root"), row("thin", "d", "Vwi-a-tz--"),
        row("thinsnap", "e", "Vwi---tz-k", "thin"), row("pool", "f", "twi-aotz--"),
    ]  # fmt: skip
    uuids = {"/dev/my-vg/root": "a-a", "/dev/old/root": "b-b"}
    names = [*uuids, "/dev/my-vg/snap", "/dev/my-vg/thin", "/dev/my-vg/thinsnap", "/dev/my-vg/new"]
    found = devices(lvs=names, lvs_full=rows, lvuuid=uuids.get).volumes()
    assert found == (
        Volume("/dev/my-vg/root", "my-vg", "root", 4096, uuid="aa"),
        Volume("/dev/old/root", "old", "root", 4096, is_active=False, uuid="bb"),
        Volume("/dev/my-vg/snap", "my-vg", "snap", 4096, is_snapshot=True, uuid="c"),
        Volume("/dev/my-vg/thin", "my-vg", "thin", 4096, uuid="d"),
        Volume(
            "/dev/my-vg/thinsnap",
            "my-vg",
            "thinsnap",
            4096,
            is_active=False,
            is_snapshot=True,
            uuid="e",
        ),
        Volume("/dev/my-vg/new", "my-vg", "new", 0, is_active=False),
    )


def test_volumes_of_groups_with_the_same_name() -> None:
    """Neither becomes active: there is no device to ask for a UUID."""
    rows = [row("root", "aa", "-wi-------"), row("root", "bb", "-wi-------")]
    missing = RuntimeError("lvuuid: lvuuid_stub: /dev/dup/root: No such file or directory")
    found = devices(lvs=["/dev/dup/root"] * 2, lvs_full=rows, lvuuid=missing).volumes()
    assert found == (Volume("/dev/dup/root", "dup", "root", 0, is_active=False),)


def test_subvolumes() -> None:
    rows = [{"btrfssubvolume_id": 256, "btrfssubvolume_top_level_id": 5,
             "btrfssubvolume_path": "@"}]  # fmt: skip
    made = devices(btrfs_subvolume_list=rows, btrfs_subvolume_get_default=256)
    assert made.subvolumes("/dev/sda1") == (
        Subvolume(5, ""),
        Subvolume(256, "@", is_default=True),
    )


@pytest.mark.parametrize(("files", "inodes"), [(100, 7), (0, None)])
def test_space(files: int, inodes: int | None) -> None:
    answer = {"frsize": 1024, "blocks": 10, "bfree": 4, "files": files, "ffree": 7}
    assert devices(statvfs=answer).space("/") == Space(10240, 4096, inodes)


def test_foreign_errors_do_not_leave() -> None:
    for error, code in (
        (RuntimeError("stat: /x: No such file or directory"), Code.MISSING),
        (RuntimeError("mount: wrong fs type"), Code.FAILED),
        (ValueError("embedded null byte"), Code.FAILED),
    ):
        with pytest.raises(GuestError) as caught, translated("/x"):
            raise error
        assert caught.value.code == code
        assert "/x" in caught.value.message


def test_an_offset_that_no_disk_has() -> None:
    """The binding takes numbers of 63 bits; superblocks lead anywhere."""

    def pread(_device: str, _length: int, offset: int) -> bytes:
        offset.to_bytes(8, "little", signed=True)
        return b""

    with pytest.raises(GuestError) as caught:
        devices(pread_device=pread).read_device("/dev/sda", offset=1 << 63, length=1)
    assert caught.value.code == Code.FAILED
