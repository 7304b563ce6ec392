from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, kernel_args
from converter.formats.grub_edit import Script
from converter.formats.kernel_args import Edit
from tests.unit.grub_samples import FEDORA, SUSE, debian, menu

if TYPE_CHECKING:
    from collections.abc import Sequence

CONSOLES = ("tty0", "ttyS0,115200n8")


def by_uuid(words: Sequence[str], has_initramfs: bool = True) -> Edit:  # noqa: FBT001, FBT002
    new = "UUID=1" if has_initramfs else "PARTUUID=2"
    names = {"/dev/sda1": new, "/dev/sda2": new}
    return kernel_args.renaming(words, lambda _, value: names.get(value, value))


def with_console(words: Sequence[str], _: bool = True) -> Edit:  # noqa: FBT001, FBT002
    return kernel_args.consoles(words, CONSOLES)


def changed_lines(old: str, new: str) -> list[str]:
    return [
        line
        for line in difflib.unified_diff(old.split("\n"), new.split("\n"), lineterm="", n=0)
        if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]


def test_every_entry_is_edited_and_nothing_else() -> None:
    old = debian()
    new = Script(old).with_arguments(by_uuid)
    lines = changed_lines(old, new)
    assert len(lines) == 8
    assert all("linux\t/boot/vmlinuz" in line for line in lines)
    assert new == old.replace("root=/dev/sda1", "root=UUID=1")


def test_consoles_come_last_in_recovery_too() -> None:
    new = Script(debian()).with_arguments(with_console)
    added = "console=tty0 console=ttyS0,115200n8"
    assert f"ro  quiet splash $vt_handoff {added}\n" in new
    assert f"ro single {added}\n" in new
    assert new.count(added) == 4
    assert Script(new).with_arguments(with_console) == new


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux /k root=/dev/sda1", "linux /k root=PARTUUID=2"),
        ("linux /k root=/dev/sda1; initrd /i", "linux /k root=UUID=1; initrd /i"),
        ("linux16 /k 'root=/dev/sda1'  ro # x", "linux16 /k root=PARTUUID=2  ro # x"),
        ("linuxefi /k root=/dev/sda1 \\\n ro", "linuxefi /k root=PARTUUID=2 \\\n ro"),
        ("l=linux16\n$l /k root=/dev/sda1", "l=linux16\n$l /k root=PARTUUID=2"),
        ("${l} /k root=/dev/sda1", "${l} /k root=/dev/sda1"),
        ("linux /k root=/dev/sda$n root=$r", "linux /k root=/dev/sda$n root=$r"),
        ("echo linux /k root=/dev/sda1", "echo linux /k root=/dev/sda1"),
        ("# linux /k root=/dev/sda1", "# linux /k root=/dev/sda1"),
        ("m 'linux /k root=/dev/sda1' { b }", "m 'linux /k root=/dev/sda1' { b }"),
        ("linux16 /memtest86+.bin root=/dev/sda1", "linux16 /memtest86+.bin root=/dev/sda1"),
        ("linux", "linux"),
        ("linux /k", "linux /k"),
        # Ubuntu's start without an initramfs, and with one after that failed.
        (
            "if a; then\nlinux /k root=/dev/sda1\ninitrd /i\nelse\nlinux /k root=/dev/sda1\nfi",
            "if a; then\nlinux /k root=UUID=1\ninitrd /i\nelse\nlinux /k root=PARTUUID=2\nfi",
        ),
    ],
)  # fmt: skip
def test_kernel_arguments(text: str, expected: str) -> None:
    assert Script(text).with_arguments(by_uuid) == expected


def test_an_entry_without_arguments_gets_them() -> None:
    assert Script("linux /k\n").with_arguments(with_console) == (
        "linux /k console=tty0 console=ttyS0,115200n8\n"
    )


def test_new_words_are_quoted_for_grub() -> None:
    def add(words: Sequence[str], _: bool) -> Edit:  # noqa: FBT001
        return Edit(added=("a b", "it's", "$x;{}"))

    text = Script("menuentry x { linux /k }\n").with_arguments(add)
    assert menu(text).entries[0].arguments == ("a b", "it's", "$x;{}")


def test_suse() -> None:
    by_id = "/dev/disk/by-id/ata-VMware_Virtual_IDE_Hard_Drive_0001-part2"
    edit = lambda words, _: kernel_args.renaming(  # noqa: E731
        words, lambda _, value: "UUID=1" if value == by_id else value
    )
    assert Script(SUSE).with_arguments(edit) == SUSE.replace(by_id, "UUID=1")
    assert Script(SUSE).argument_variables() == {"extra_cmdline"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('set k="root=/dev/sda1 ro "', 'set k="root=UUID=1 ro "'),
        ("set k='root=/dev/sda1'", "set k='root=UUID=1'"),
        ("k=root=/dev/sda1", "k=root=UUID=1"),
        ('set k="$k root=/dev/sda1"', 'set k="$k root=UUID=1"'),
        ('set k="a"root=/dev/sda1', 'set k="a"root=/dev/sda1'),
        ('set k="dyndbg=\\"x y\\" root=/dev/sda1"', 'set k="dyndbg=\\"x y\\" root=UUID=1"'),
        ("set other=root=/dev/sda1", "set other=root=/dev/sda1"),
        ("set k=", "set k="),
    ],
)
def test_arguments_in_variables(text: str, expected: str) -> None:
    assert Script(text).with_variables({"k"}, by_uuid) == expected


def test_kernelopts_of_fedora() -> None:
    new = Script(FEDORA).with_variables({"kernelopts"}, with_console)
    assert changed_lines(FEDORA, new) == [
        '-  set kernelopts="root=/dev/sda2 ro rhgb quiet "',
        '+  set kernelopts="root=/dev/sda2 ro rhgb quiet console=tty0 console=ttyS0,115200n8 "',
    ]
    assert Script("k=quiet").with_variables({"k"}, with_console) == (
        'k="quiet console=tty0 console=ttyS0,115200n8"'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("set timeout=10", "set timeout=5"),
        ("set timeout=-1", "set timeout=5"),
        ('set timeout="30"', "set timeout=5"),
        ("timeout=10", "timeout=5"),
        ("set timeout=5", "set timeout=5"),
        ("set timeout=0", "set timeout=0"),
        ("set timeout=$x", "set timeout=$x"),
        ("set timeout_style=hidden", "set timeout_style=hidden"),
        ("set orig_timeout=60", "set orig_timeout=60"),
        ("if sleep --interruptible 10 ; then x; fi", "if sleep --interruptible 5 ; then x; fi"),
        ("sleep", "sleep"),
        ("echo timeout=10", "echo timeout=10"),
    ],
)  # fmt: skip
def test_the_time_in_the_menu(text: str, expected: str) -> None:
    assert Script(text).with_timeout(5) == expected


def test_every_time_of_debian_and_fedora() -> None:
    assert "timeout=30" not in Script(debian(timeout="10")).with_timeout(5)
    assert changed_lines(FEDORA, Script(FEDORA).with_timeout(5)) == [
        "-    set timeout=60",
        "+    set timeout=5",
    ]


WORDS = ("linux ", "/k ", "root=/dev/sda1 ", "'a b' ", "$v ", "quiet", " ", "\t", "\\\n", "\n", ";")
SCRIPTS = st.lists(st.sampled_from((*WORDS, "{ ", "} ", "initrd /i", '"', "#", "m ")), max_size=20)


@given(SCRIPTS.map("".join))
def test_edits_once_are_enough(text: str) -> None:
    try:
        once = Script(Script(text).with_arguments(by_uuid)).with_arguments(with_console)
    except FormatError:
        return
    assert Script(Script(once).with_arguments(by_uuid)).with_arguments(with_console) == once
    assert Script(text).with_arguments(lambda *_: Edit()) == text
