"""Entries applied one after another, as init/initramfs.c of the kernel does."""

from __future__ import annotations

import stat

import pytest

from converter.formats.cpio import TRAILER, Entry
from converter.formats.initramfs_tree import Tree, normalise, resolve


class Unpacked(Tree):
    """A tree to which entries are added in few words."""

    inode = 100

    def put(self, name: str, data: bytes = b"", **over: int) -> Unpacked:
        self.inode += 1
        values = {"mode": stat.S_IFREG | 0o644, "nlink": 1, "inode": self.inode} | over
        entry = Entry(
            offset=0, name=name, uid=0, gid=0, mtime=0, size=len(data), device=(0, 1), rdev=(0, 0),
            mode=values["mode"], nlink=values["nlink"], inode=values["inode"], data=data,
        )  # fmt: skip
        self.add(entry)
        return self

    def mkdir(self, *names: str) -> Unpacked:
        for name in names:
            self.put(name, mode=stat.S_IFDIR | 0o755, nlink=2)
        return self

    def link(self, name: str, target: str) -> Unpacked:
        return self.put(name, target.encode(), mode=stat.S_IFLNK | 0o777)


def test_names() -> None:
    assert [normalise(name) for name in ("./a//b/.", "/a", ".", "")] == ["a/b", "a", "", ""]


def test_what_has_no_directory_is_dropped() -> None:
    tree = Unpacked().put("no/file", b"x").put("file", b"x").put("file/below", b"x")
    assert set(tree.files) == {"file"}


def test_dev_and_root_are_there_from_the_start() -> None:
    assert set(Unpacked().put("root/.profile").put("dev/x").files) == {"root/.profile", "dev/x"}


def test_links_on_the_way_are_followed() -> None:
    tree = Unpacked().mkdir("usr", "usr/lib").link("lib", "usr/lib").put("lib/file", b"1")
    assert tree.files["usr/lib/file"].data == b"1"
    assert resolve(tree.files, "lib/file") == "usr/lib/file"
    assert resolve(tree.files, "/lib/../lib/./file") == "usr/lib/file"
    assert resolve(tree.files, "lib/none") is None


def test_absolute_links_start_at_the_root() -> None:
    tree = Unpacked().mkdir("run", "a").link("a/run", "/run").put("a/run/file")
    assert "run/file" in tree.files
    assert resolve(tree.files, "../../a/run") == "run"


def test_links_in_a_circle_lead_nowhere() -> None:
    tree = Unpacked().link("a", "b").link("b", "a")
    assert resolve(tree.files, "a") is None
    assert resolve(tree.files, "a/b") is None


def test_a_file_is_no_directory() -> None:
    assert resolve(Unpacked().put("file").files, "file/x") is None


def test_later_files_replace_earlier_ones() -> None:
    tree = Unpacked().put("f", b"old").put("./f", b"newer")
    assert (tree.files["f"].data, tree.files["f"].size) == (b"newer", 5)


def test_a_directory_takes_the_place_of_a_link() -> None:
    tree = Unpacked().mkdir("usr").link("lib", "usr").mkdir("lib").put("lib/x")
    assert set(tree.files) == {"usr", "lib", "lib/x"}
    assert tree.files["lib"].is_directory


def test_only_an_empty_directory_makes_room() -> None:
    tree = Unpacked().mkdir("full", "empty").put("full/x").put("full").put("empty", b"1")
    assert tree.files["full"].is_directory
    assert tree.files["empty"].data == b"1"


def test_a_directory_is_empty_again_when_its_file_moved() -> None:
    tree = Unpacked().mkdir("d", "d/e").put("d/e").link("d/e", "x")
    assert not tree.link("d", "x").files["d"].is_symlink


@pytest.mark.parametrize("first", [b"", b"content"])
def test_hard_links_share_what_any_of_them_brings(first: bytes) -> None:
    tree = Unpacked().put("a", first, nlink=2, inode=7)
    tree.put("b", b"" if first else b"content", nlink=2, inode=7)
    assert tree.files["a"] is tree.files["b"]
    assert tree.files["a"].data == b"content"


def test_a_trailer_ends_hard_links() -> None:
    tree = Unpacked().put("a", b"1", nlink=2, inode=7).put(TRAILER, mode=0)
    tree.put("b", b"2", nlink=2, inode=7)
    assert [tree.files[name].data for name in "ab"] == [b"1", b"2"]


def test_the_root_and_its_parent_cannot_be_made() -> None:
    assert Unpacked().mkdir(".", "/", "..").files == {}
