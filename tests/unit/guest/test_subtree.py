from __future__ import annotations

import hashlib

import pytest

from converter.errors import GuestError
from converter.guest import paths
from converter.guest.memory import MemoryGuest, Node
from converter.guest.subtree import Subtree
from converter.model import FileKind
from tests.unit.machines import link

TREE = Subtree(
    MemoryGuest(
        {
            "/etc/fstab": "outside",
            "/@/etc/real": Node(FileKind.FILE, b"inside", attributes={"user.a": b"1"}),
            "/@/etc/fstab": link("/etc/real"),
            "/@/up": link("../../../etc"),
            "/@/bin": link("usr/bin"),
            "/@/usr/bin/sh": "",
        }
    ),
    "/@",
)


@pytest.mark.parametrize("path", ["/etc/real", "/etc/fstab", "/up/fstab", "/../../etc/fstab"])
def test_links_lead_to_what_is_below(path: str) -> None:
    assert TREE.read(path) == b"inside"
    assert TREE.head(path, length=2) == b"in"
    assert TREE.digest(path) == hashlib.sha256(b"inside").hexdigest()
    assert paths.text(TREE, path) == "inside"


def test_names_and_what_they_are() -> None:
    assert TREE.list("/up") == ("fstab", "real")
    assert TREE.readlink("/up/fstab") == "/etc/real"
    found = TREE.lstat("/up/fstab")
    assert found is not None
    assert found.kind is FileKind.SYMLINK
    assert TREE.lstat("/bin/sh") is not None
    assert TREE.lstat("/@/etc/real") is None
    assert TREE.attributes("/etc/real") == (("user.a", b"1"),)
    with pytest.raises(GuestError):
        TREE.read("/etc/nothing")
