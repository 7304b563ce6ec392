"""newc archives, written field by field after the kernel's buffer-format.rst."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, cpio
from converter.formats.cpio import Item, Kind


def raw(name: bytes, data: bytes = b"", *, mode: int = 0o100644, **over: int) -> bytes:
    """Give an entry by the specification; fields can be set by name."""
    fields = {
        "ino": 1, "mode": mode, "uid": 2, "gid": 3, "nlink": 1, "mtime": 4, "filesize": len(data),
        "major": 5, "minor": 6, "rmajor": 7, "rminor": 8, "namesize": len(name) + 1, "check": 0,
    } | over  # fmt: skip
    magic = b"070702" if "check" in over else b"070701"
    header = magic + b"".join(b"%08x" % value for value in fields.values())
    start = header + name + b"\0"
    return start + bytes(-len(start) % 4) + data + bytes(-len(data) % 4)


TRAILER = raw(b"TRAILER!!!", mode=0)


def read(archive: bytes, *, step: int = 7, limit: int = 1 << 20) -> list[cpio.Entry]:
    chunks = (archive[at : at + step] for at in range(0, len(archive), step))
    return list(cpio.read(cpio.Source(chunks, limit=limit)))


def test_every_field() -> None:
    (entry,) = read(raw(b"etc/f", b"hello"))
    assert (entry.name, entry.data, entry.size) == ("etc/f", b"hello", 5)
    assert (entry.inode, entry.mode, entry.uid, entry.gid) == (1, 0o100644, 2, 3)
    assert (entry.nlink, entry.mtime, entry.device, entry.rdev) == (1, 4, (5, 6), (7, 8))
    assert entry.checksum is None


def test_several_archives_with_zeros_between() -> None:
    archive = raw(b"a", b"1") + TRAILER + bytes(404) + raw(b"b") + TRAILER + bytes(3)
    assert [e.name for e in read(archive)] == ["a", cpio.TRAILER, "b", cpio.TRAILER]


def test_names_are_kept_byte_for_byte() -> None:
    (entry,) = read(raw(b"\xff\xfe"))
    assert entry.name.encode("utf-8", "surrogateescape") == b"\xff\xfe"


def test_data_comes_where_it_is_wanted_and_links_always() -> None:
    archive = raw(b"a", b"12345") + raw(b"l", b"a", mode=0o120777) + raw(b"b", b"6")
    entries = list(cpio.read(cpio.Source([archive], limit=1000), keep=cpio.no_data))
    assert [(e.name, e.data, e.size) for e in entries] == [
        ("a", None, 5),
        ("l", b"a", 1),
        ("b", None, 1),
    ]


@pytest.mark.parametrize("keep", [cpio.all_data, cpio.no_data])
def test_checksums(keep: object) -> None:
    wanted = cpio.all_data if keep is cpio.all_data else cpio.no_data
    good = cpio.Source([raw(b"a", b"\x01\x02", check=3)], limit=1000)
    assert len(list(cpio.read(good, keep=wanted))) == 1
    bad = cpio.Source([raw(b"a", b"\x01\x02", check=4)], limit=1000)
    with pytest.raises(FormatError, match="checksum 0x4 is recorded for a, 0x3 found"):
        list(cpio.read(bad, keep=wanted))


@pytest.mark.parametrize(
    ("archive", "match"),
    [
        (b"070707" + bytes(120), "070707"),
        (raw(b"a", b"12345")[:-6], "cut off"),
        (raw(b"a")[:50], "cut off"),
        (raw(b"a", namesize=0), "a name of 0 bytes"),
        (raw(b"a", namesize=5000), "a name of 5000 bytes"),
        (raw(b"abc", namesize=3), "does not end"),
        (raw(b"a", mode=0o120777, filesize=5000), "a link target of 5000"),
        (raw(b"a").replace(b"00000002", b"+0000002"), "is not a number"),
        (raw(b"a").replace(b"00000003", b"0000000z"), "at offset 0"),
        (raw(b"a", filesize=0xFFFFFFFF), "more than"),
    ],
)
def test_damage(archive: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        read(archive)


def test_the_limit() -> None:
    assert len(read(raw(b"a", b"1" * 88), limit=200)) == 1
    with pytest.raises(FormatError, match="more than 199 bytes"):
        read(raw(b"a", b"1" * 88), limit=199)


# --- writing --------------------------------------------------------------------------------------


def test_written_items_are_read_back() -> None:
    items = [
        Item("d", Kind.DIRECTORY),
        Item("d/file", data=b"content"),
        Item("d/link", Kind.SYMLINK, b"file"),
    ]
    archive = cpio.write(items)
    assert len(archive) % 4 == 0
    *entries, trailer = read(archive)
    assert trailer.is_trailer
    assert [(e.name, e.data) for e in entries] == [
        ("d", b""),
        ("d/file", b"content"),
        ("d/link", b"file"),
    ]
    assert [stat.filemode(e.mode) for e in entries] == ["drwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx"]
    assert {(e.uid, e.gid, e.mtime) for e in entries} == {(0, 0, 0)}
    assert len({e.inode for e in entries}) == 3


def test_writing_twice_gives_the_same() -> None:
    items = [Item("a", data=b"1"), Item("b", data=b"2")]
    assert cpio.write(items) == cpio.write(items)


@pytest.mark.parametrize("name", ["x" * 4096, "a\0b"])
def test_names_that_cannot_be_written(name: str) -> None:
    with pytest.raises(FormatError, match="cannot hold the name"):
        cpio.write([Item(name)])


names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40)


@given(st.lists(st.tuples(names, st.binary(max_size=50)), max_size=5), st.integers(1, 300))
def test_round_trip(files: list[tuple[str, bytes]], step: int) -> None:
    archive = cpio.write(Item(name, data=data) for name, data in files)
    read_back = [(e.name, e.data) for e in read(archive, step=step)]
    assert read_back == [*files, (cpio.TRAILER, b"")]


@given(st.binary(max_size=300), st.sampled_from([b"070701", raw(b"a", b"xy")]))
def test_any_bytes_are_read_or_refused(data: bytes, start: bytes) -> None:
    try:
        entries = read(start + data)
    except FormatError:
        return
    assert sum(entry.size for entry in entries) <= len(start + data)
