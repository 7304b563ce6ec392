"""From mdadm.conf(5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from converter.formats import mdadm

UUID = "0bacc5df:969178df:42fc3437:f23d24a8"


def edited(text: str, uuid: str = UUID) -> str:
    return mdadm.on_any_disk(text, lambda _name: uuid)


def test_arrays_of_all_spellings() -> None:
    text = (
        f"ARRAY /dev/md0 level=raid1 num-devices=2 UUID={UUID}\n"
        f"array /dev/md/data  metadata=1.2 name=web:data\n   uuid={UUID.upper()}  # ours\n"
        "ARR /dev/md2 devices=/dev/sda1,/dev/sdb1\n"
        "#ARRAY /dev/md9 UUID=1\n"
        "AR /dev/md3 UUID=1\nMAILADDR root\n"
    )
    digits = UUID.replace(":", "")
    assert mdadm.arrays(text) == (("/dev/md0", digits), ("/dev/md/data", digits), ("/dev/md2", ""))


def test_named_disks_become_all_there_are() -> None:
    text = "# mine\nDEVICE /dev/sda1\n  /dev/sdb*\nMAILADDR root\nDEVICE /dev/hd*1\n"
    assert edited(text) == "# mine\nDEVICE partitions\nMAILADDR root\nDEVICE /dev/hd*1\n"


def test_a_configuration_that_allows_all_disks_stays() -> None:
    text = "DEVICE /dev/sda1\ndev partitions containers\nARRAY /dev/md0 UUID=1\n"
    assert edited(text) == text
    assert edited("") == ""


def test_members_give_way_to_what_identifies_the_array() -> None:
    by_uuid = "ARRAY /dev/md0 UUID=1:2 devices=/dev/sda1,/dev/sdb1 auto=yes\n"
    assert edited(by_uuid) == "ARRAY /dev/md0 UUID=1:2 auto=yes\n"
    alone = 'ARRAY /dev/md0 devices="/dev/sda1"\n'
    assert edited(alone) == f"ARRAY /dev/md0 UUID={UUID}\n"
    assert edited(alone, uuid="") == alone


def test_lines_that_begin_with_a_blank() -> None:
    text = f"\n\n  DEVICE /dev/sda1\n\n \n  ARRAY /dev/md0\n\tUUID={UUID}\n\n  x\n"
    assert mdadm.arrays(text) == (("/dev/md0", UUID.replace(":", "")),)
    assert edited(text) == text.replace("  DEVICE /dev/sda1", "DEVICE partitions")


def test_members_on_a_line_of_their_own_leave_none_that_is_empty() -> None:
    """It would end the array's lines before its UUID."""
    text = "ARRAY /dev/md0\n  devices=/dev/sda1,/dev/sdb1 \n  UUID=1:2\n   devices=/dev/sdc1"
    assert edited(text) == "ARRAY /dev/md0\n  UUID=1:2\n"


PIECES = [*'dev=/"#,\n\t ', "ARRAY ", "DEVICE ", " devices=", "UUID=1"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_once_is_enough(text: str) -> None:
    once = edited(text)
    assert edited(once) == once
    assert len(mdadm.arrays(once)) == len(mdadm.arrays(text))
