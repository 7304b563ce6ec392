"""Files of a compressed Windows, which cannot be read here."""

from __future__ import annotations

import pytest

from converter.guest import caseless
from converter.guest.memory import MemoryGuest, Node
from converter.model import FileKind

DRIVERS = "/C/Windows/System32/drivers"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"unsupported reparse tag 0x80000017", True),
        (b"unsupported reparse point", True),
        (b"disk.sys", True),
        (b"nothing.sys", False),
    ],
)
def test_a_compressed_file_is_there(target: bytes, expected: bool) -> None:  # noqa: FBT001
    guest = MemoryGuest(
        {
            f"{DRIVERS}/disk.sys": b"MZ",
            f"{DRIVERS}/stornvme.sys": Node(FileKind.SYMLINK, target),
        }
    )
    assert caseless.has_file(guest, DRIVERS, "StorNVMe.sys") is expected
    assert not caseless.has_file(guest, DRIVERS, "storahci.sys")
    assert not caseless.has_file(guest, "/C/Windows/System32", "drivers")
