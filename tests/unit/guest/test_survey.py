"""The script's output, as the appliance of libguestfs 1.48 prints it."""

from __future__ import annotations

import base64

import pytest

from converter.guest.survey import HEAD, parse, script

DISKS = ("/dev/sda", "/dev/sdb")
SIZES = {"/dev/sda": 4096, "/dev/sda1": 2048, "/dev/sda10": 4, "/dev/sda2": 2, "/dev/sdb": 40}
SAID = """device /dev/sda 4096
device /dev/sda1 2048
blkid /dev/sda1
DEVNAME=/dev/sda1
LABEL=my\\ disk
TYPE=ext4

device /dev/sda10 4
blkid /dev/sda10
device /dev/sda2 2
blkid /dev/sda2
DEVNAME=/dev/sda2
PTTYPE=dos
device /dev/sdb 40
blkid /dev/sdb
DEVNAME=/dev/sdb
TYPE=swap
"""


def with_heads(data: bytes) -> str:
    return f"{SAID}heads {base64.b64encode(data).decode()}\n"


def test_devices_are_in_their_order() -> None:
    found = parse(SAID, DISKS)
    assert found.disks == (("/dev/sda", 4096 * 512), ("/dev/sdb", 40 * 512))
    assert found.partitions == ("/dev/sda1", "/dev/sda2", "/dev/sda10")


def test_what_is_on_them() -> None:
    found = parse(SAID, DISKS)
    assert found.tags["/dev/sda1"]["TYPE"] == "ext4"
    assert found.tags["/dev/sda1"]["LABEL"] == "my\\ disk"
    assert found.tags["/dev/sda10"] == {}
    assert found.tags["/dev/sda2"]["PTTYPE"] == "dos"
    assert found.tags["/dev/sdb"]["TYPE"] == "swap"
    assert "/dev/sda" not in found.tags  # which has partitions: it was not asked what is on it


def test_first_bytes() -> None:
    heads = {name: bytes([number]) * min(HEAD, sectors * 512)
             for number, (name, sectors) in enumerate(SIZES.items())}  # fmt: skip
    found = parse(with_heads(b"".join(heads.values())), DISKS)
    assert found.heads == heads
    assert found.read("/dev/sda1", 1024, 512) == b"\1" * 512
    assert found.read("/dev/sda1", HEAD - 1, 1) == b"\1"
    assert found.read("/dev/sda1", HEAD - 1, 2) is None
    assert found.read("/dev/sda2", 512, 4096) == b"\3" * 512  # all that it has
    assert found.read("/dev/sda2", 1024, 1) == b""
    assert found.read("/dev/md0", 0, 1) is None


@pytest.mark.parametrize("text", [SAID, with_heads(b"x" * 512), f"{SAID}heads %%%\n"])
def test_without_first_bytes_they_are_read_when_they_are_needed(text: str) -> None:
    found = parse(text, DISKS)
    assert found.heads == {}
    assert found.read("/dev/sda", 0, 512) is None


@pytest.mark.parametrize("text", ["", "device /dev/sda 8\n", "device /dev/sda x\n"])
def test_nonsense(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text, DISKS)


def test_the_script_names_the_disks() -> None:
    assert "for disk in sda sdb; do" in script(DISKS)
