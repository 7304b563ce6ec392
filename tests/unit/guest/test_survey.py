"""The script's output, as the appliance of libguestfs 1.48 prints it."""

from __future__ import annotations

import base64

import pytest

from converter.guest.survey import HEAD, names, parse, script

DISKS = ("/dev/sda", "/dev/sdb")
SIZES = {"/dev/sda": 4096, "/dev/sda1": 2048, "/dev/sda10": 4, "/dev/sda2": 2, "/dev/sdb": 40}
SAID = """device 0 4096
device 0.1 2048
blkid 0.1
DEVNAME=/dev/sdb1
LABEL=my\\ disk
TYPE=ext4

device 0.10 4
blkid 0.10
device 0.2 2
blkid 0.2
DEVNAME=/dev/sdb2
PTTYPE=dos
device 1 40
blkid 1
DEVNAME=/dev/sda
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


@pytest.mark.parametrize(
    "text", ["", "device 0 8\n", "device 0 x\n", "device  8\n", "device 0 8\ndevice 9 8\n"]
)
def test_nonsense(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text, DISKS)


def test_the_script_has_every_place() -> None:
    assert "for place in 0 1 2; do" in script(3)


def test_the_names_of_many_disks() -> None:
    found = names(704)
    assert (found[0], found[25], found[26], found[27]) == (
        "/dev/sda",
        "/dev/sdz",
        "/dev/sdaa",
        "/dev/sdab",
    )
    assert (found[701], found[702]) == ("/dev/sdzz", "/dev/sdaaa")
    assert len(set(found)) == 704
