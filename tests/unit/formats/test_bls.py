from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import bls, kernel_args
from converter.formats.kernel_args import Edit

if TYPE_CHECKING:
    from collections.abc import Sequence

ENTRY = """\
# written by kernel-install
title Fedora Linux (6.5.6-300.fc39.x86_64) 39 (Workstation Edition)
version 6.5.6-300.fc39.x86_64
linux /vmlinuz-6.5.6-300.fc39.x86_64
initrd\t/initramfs-6.5.6-300.fc39.x86_64.img
initrd $tuned_initrd
options root=/dev/sda3  ro rootflags=subvol=root rhgb quiet\x20

grub_users $grub_users
grub_class fedora
"""


def consoles(words: Sequence[str]) -> Edit:
    return kernel_args.consoles(words, ("tty0", "ttyS0,115200n8"))


def test_reads_keys() -> None:
    entry = bls.parse(ENTRY)
    assert entry.get("title") == "Fedora Linux (6.5.6-300.fc39.x86_64) 39 (Workstation Edition)"
    assert entry.all("initrd") == ("/initramfs-6.5.6-300.fc39.x86_64.img", "$tuned_initrd")
    assert entry.options == ("root=/dev/sda3", "ro", "rootflags=subvol=root", "rhgb", "quiet")
    assert entry.get("machine-id") is None


def test_options_are_edited_in_place() -> None:
    def edit(words: Sequence[str]) -> Edit:
        return Edit({words.index("root=/dev/sda3"): "root=UUID=1", words.index("rhgb"): None})

    assert str(bls.parse(ENTRY).with_options(edit)) == ENTRY.replace("/dev/sda3", "UUID=1").replace(
        " rhgb", ""
    )
    made = str(bls.parse(ENTRY).with_options(consoles))
    assert "rhgb quiet console=tty0 console=ttyS0,115200n8 \n" in made
    assert str(bls.parse(made).with_options(consoles)) == made


def test_options_may_stand_on_several_lines() -> None:
    text = "linux /k\r\noptions root=/dev/sda1\r\noptions\tquiet\r\noptions ro\n"
    entry = bls.parse(text)
    assert entry.options == ("root=/dev/sda1", "quiet", "ro")
    made = entry.with_options(lambda _: Edit({0: "root=UUID=1", 1: None}, ("n",)))
    assert str(made) == "linux /k\r\noptions root=UUID=1\r\noptions\t\r\noptions ro n\n"


def test_an_entry_without_options_stays() -> None:
    assert str(bls.parse("linux /k\n").with_options(consoles)) == "linux /k\n"


def test_values_of_loader_conf() -> None:
    text = "#timeout 3\ndefault  arch-*\ntimeout 10\n"
    assert str(bls.parse(text).with_value("timeout", "5")) == text.replace(
        "timeout 10", "timeout 5"
    )
    assert str(bls.parse("x y").with_value("timeout", "5")) == "x y\ntimeout 5\n"


def test_variables_are_put_in_with_a_blank() -> None:
    assert bls.VARIABLE.findall("$kernelopts $tuned_params $x") == [
        "kernelopts",
        "tuned_params",
        "x",
    ]


def test_grubs_order() -> None:
    machine = "0123456789abcdef0123456789abcdef"
    names = [
        f"{machine}-6.5.6-300.fc39.x86_64",
        f"{machine}-6.5.6-200.fc39.x86_64",
        f"{machine}-6.2.9-300.fc38.x86_64",
        f"{machine}-0-rescue",
        "custom",
        "",
    ]
    expected = sorted(names, key=bls.GrubOrder, reverse=True)
    versions = [name.removeprefix(f"{machine}-") for name in expected if machine in name]
    assert versions == [name.removeprefix(f"{machine}-") for name in names[:4]]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a-6.1.conf", "a-6.10.conf", "a-6.9.conf"), ("a-6.10.conf", "a-6.9.conf", "a-6.1.conf")),
        (("linux.conf", "arch.conf"), ("linux.conf", "arch.conf")),
        # Tried too often: last.
        (("b+0-3.conf", "a+3.conf"), ("a+3.conf", "b+0-3.conf")),
    ],
)
def test_systemd_boots_order_by_name(names: Sequence[str], expected: Sequence[str]) -> None:
    found = bls.sort((name, bls.parse("linux /k\n")) for name in names)
    assert tuple(name for name, _ in found) == expected


def test_systemd_boots_order_by_sort_key() -> None:
    def entry(**keys: str) -> bls.Entry:
        return bls.parse(
            "".join(f"{key.replace('_', '-')} {value}\n" for key, value in keys.items())
        )

    found = bls.sort(
        [
            ("z.conf", entry(linux="/k")),
            ("1.conf", entry(sort_key="fedora", version="6.9")),
            ("2.conf", entry(sort_key="fedora", version="6.10")),
            ("3.conf", entry(sort_key="debian", version="5")),
        ]
    )
    assert [name for name, _ in found] == ["3.conf", "2.conf", "1.conf", "z.conf"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", "arch-b.conf"),
        ("arch-a", "arch-a.conf"),
        ("arch-a.conf", "arch-a.conf"),
        ("ARCH-*", "arch-b.conf"),
        ("*-a.conf", "arch-a.conf"),
        ("c*", "c+2-1.conf"),
        ("c.conf", "c+2-1.conf"),
        ("gone", "arch-b.conf"),
        ("@saved", "arch-b.conf"),
    ],
)
def test_systemd_boots_default(pattern: str, expected: str) -> None:
    assert bls.default(("arch-b.conf", "arch-a.conf", "c+2-1.conf"), pattern) == expected


def test_no_entries_no_default() -> None:
    assert bls.default((), "*") is None


@given(st.text(st.sampled_from("optins x\t#\n\r=$"), max_size=60))
def test_any_text_survives(text: str) -> None:
    entry = bls.parse(text)
    assert str(entry) == text
    assert str(entry.with_options(lambda _: Edit())) == text
    made = entry.with_options(consoles)
    assert made.with_options(consoles) == made


@given(st.lists(st.text(alphabet="01a-.~+", max_size=8), max_size=6, unique=True))
def test_any_names_are_sorted(names: list[str]) -> None:
    assert sorted(sorted(names, key=bls.GrubOrder)) == sorted(names)
    found = bls.sort((f"{name}.conf", bls.parse("")) for name in names)
    assert len(found) == len(names)
