"""From fstab(5), getmntent(3) and mount(8)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import columns, fstab
from converter.formats.fstab import Entry, Invalid


def entry(line: str) -> Entry:
    (found,) = fstab.parse(line).entries
    return found


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("/dev/sda1 / ext4 defaults 0 1\n", ("/dev/sda1", "/", "ext4", "defaults", (0, 1))),
        ("/dev/sda1\t/\text4\tro,noatime\t1\t2", ("/dev/sda1", "/", "ext4", "ro,noatime", (1, 2))),
        ("  UUID=1 /a xfs defaults\n", ("UUID=1", "/a", "xfs", "defaults", (0, 0))),
        ("UUID=1 /a xfs defaults 1\n", ("UUID=1", "/a", "xfs", "defaults", (1, 0))),
        ("UUID=1 /a xfs\n", ("UUID=1", "/a", "xfs", "defaults", (0, 0))),
        (
            "LABEL=my\\040disk /mnt/a\\011b ext3\n",
            ("LABEL=my disk", "/mnt/a\tb", "ext3", "defaults", (0, 0)),
        ),
        ("LABEL=b\\303\\244r /\\303\\244 ext3\n", ("LABEL=bär", "/ä", "ext3", "defaults", (0, 0))),
        ("a\\134040 /x ext3\n", ("a\\040", "/x", "ext3", "defaults", (0, 0))),
        ("/dev/sdb1 none swap sw 0 0\n", ("/dev/sdb1", "none", "swap", "sw", (0, 0))),
        ("/dev/sdb1 swap swap sw 0 0\n", ("/dev/sdb1", "swap", "swap", "sw", (0, 0))),
        ("/swapfile none swap sw 0 0\n", ("/swapfile", "none", "swap", "sw", (0, 0))),
        ("UUID=1 / ext4 defaults 0 1 # the root\n", ("UUID=1", "/", "ext4", "defaults", (0, 1))),
        ("UUID=1 / ext4 defaults # the root\n", ("UUID=1", "/", "ext4", "defaults", (0, 0))),
        ("UUID=1 / ext4 defaults 0 1\r\n", ("UUID=1", "/", "ext4", "defaults", (0, 1))),
        ("UUID=1 / ext4 defaults yes no\n", ("UUID=1", "/", "ext4", "defaults", (0, 0))),
        ("UUID=1 / ext4 defaults \u00b2 \u0663\n", ("UUID=1", "/", "ext4", "defaults", (0, 0))),
        (f"UUID=1 / ext4 defaults {'9' * 5000} 0\n", ("UUID=1", "/", "ext4", "defaults", (0, 0))),
        ("/srv/a /b none bind 0 0\n", ("/srv/a", "/b", "none", "bind", (0, 0))),
        (
            "h:/x /y nfs _netdev,x-systemd.automount 0 0\n",
            ("h:/x", "/y", "nfs", "_netdev,x-systemd.automount", (0, 0)),
        ),
    ],
)
def test_lines_that_mount(line: str, wanted: tuple[object, ...]) -> None:
    found = entry(line)
    assert (found.spec, found.path, found.type) == wanted[:3]
    assert ",".join(found.options) == wanted[3]
    assert (found.freq, found.passno) == wanted[4]


@pytest.mark.parametrize("line", ["", "\n", " \t\n", "#\n", "# /dev/sda1 / ext4\n", "  #x y z\n"])
def test_lines_that_say_nothing(line: str) -> None:
    table = fstab.parse(line)
    assert (table.entries, table.invalid) == ((), ())


@pytest.mark.parametrize(
    "line",
    [
        "/dev/sda1\n",
        "/dev/sda1 /\n",
        "garbage in here\n",
        "/dev/sda1 mnt ext4 defaults 0 0\n",
        'LABEL="my disk" /mnt ext4 defaults 0 0\n',
        "<<<<<<< HEAD\n",
    ],
)
def test_lines_that_no_program_understands(line: str) -> None:
    (found,) = fstab.parse(line).lines
    assert isinstance(found, Invalid)
    commented = fstab.parse(line).without_invalid("because")
    assert str(commented) == f"# converter: because\n# {line}"
    assert commented.invalid == ()


def test_edits_touch_their_field_alone() -> None:
    text = "# top\n/dev/sda1\t/   ext4 \tdefaults 0  1   # root\r\n\n/dev/sda2 none swap"
    table = fstab.parse(text)
    root = table.entries[0]
    assert root.with_spec("UUID=a b").text == (
        "UUID=a\\040b\t/   ext4 \tdefaults 0  1   # root\r\n"
    )
    assert root.with_options(("ro", "nofail")).text.startswith("/dev/sda1\t/   ext4 \tro,nofail 0")
    assert root.with_passno(0).text == "/dev/sda1\t/   ext4 \tdefaults 0  0   # root\r\n"
    swap = table.entries[1]
    assert swap.with_options(("sw", "nofail")).text == "/dev/sda2 none swap sw,nofail"
    assert swap.with_passno(2).text == "/dev/sda2 none swap defaults 0 2"
    assert entry("/dev/a /b ext4 # c\n").with_options(("x",)).text == "/dev/a /b ext4 x # c\n"


def test_duplicate_lines_are_edited_each() -> None:
    table = fstab.parse("/dev/sda1 /a ext4\n" * 2)
    assert str(table.edited(lambda line: line.with_spec("UUID=1"))) == "UUID=1 /a ext4\n" * 2


def test_a_line_may_become_a_comment() -> None:
    table = fstab.parse("a /a cifs\nUUID=1 / ext4")
    edited = table.edited(lambda line: line.commented_out("no") if line.type == "cifs" else line)
    assert str(edited) == "# converter: no\n# a /a cifs\nUUID=1 / ext4"
    assert [item.path for item in edited.entries] == ["/"]


def test_five_thousand_lines() -> None:
    table = fstab.parse("/dev/sda1 /a ext4 defaults 0 0\n" * 5_000)
    assert len(table.edited(lambda line: line.with_spec("UUID=1")).entries) == 5_000


TEXT = st.text(st.sampled_from("/dev\tsa1 UID=\\0134#,\r\n\x00ä\udcff\x85\u2028") | st.characters())


@given(TEXT)
def test_any_text_comes_back(text: str) -> None:
    table = fstab.parse(text)
    assert str(table) == text
    assert str(table.edited(lambda line: line)) == text
    assert fstab.parse(str(table.without_invalid("x"))).invalid == ()


@given(TEXT, st.text(min_size=1).filter(lambda text: not text.startswith("#") and text.split()))
def test_a_spec_that_is_written_is_read(text: str, spec: str) -> None:
    before = fstab.parse(text)
    after = before.edited(lambda line: line.with_spec(spec))
    plain = spec.translate({ord(c): None for c in "\x00"})
    if plain == spec and all(ord(c) < 0xD800 or ord(c) > 0xDFFF for c in spec):
        assert [line.spec for line in after.entries] == [spec] * len(before.entries)
    assert [line.path for line in after.entries] == [line.path for line in before.entries]


@given(st.text())
def test_escapes(value: str) -> None:
    assert columns.decode(columns.encode(value)) == value
    assert not set(columns.encode(value)) & set(" \t\r\n")
