from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.console import Console

TOKEN = "0123456789abcdef"
ENDS = {
    "initramfs-shell": [
        "ALERT!  UUID=1 does not exist.  Dropping to a shell!\r\n\r\n(initramfs) ",
        'Generating "/run/initramfs/rdsosreport.txt"\r\n',
        "dracut:/# ",
        "You are now being dropped into an emergency shell.\r\nsh: can't access tty\r\n",
        "[rootfs ~]# ",
    ],
    "emergency": [
        "You are in emergency mode. After logging in, type",
        "You are in rescue mode. After",
        "Give root password for maintenance",
        "Cannot open access to console, the root account is locked.",
    ],
    "kernel-panic": ["[ 1.2] Kernel panic - not syncing: VFS: Unable to mount root fs"],
    "grub-rescue": ["error: no such partition.\r\nEntering rescue mode...\r\ngrub rescue> "],
    "grub-prompt": ["\r\ngrub> ", "\x1b[2J\x1b[1;1H   Minimal BASH-like line editing is"],
    "efi-shell": ["UEFI Interactive Shell v2.2", "\r\nShell> "],
    "no-boot-device": [
        "Booting from Hard Disk...\r\nNo bootable device.",
        "BdsDxe: No bootable option or device was found.",
        "Missing operating system.",
        "Operating System not found",
    ],
}
CASES = [(name, text) for name, texts in ENDS.items() for text in texts]
GOOD = (
    f"[ OK ] Reached\r\n\r\n{TOKEN} state running\r\n\n{TOKEN} root /dev/nvme0n1p1 ext4\r\n"
    f"[ 9.1] late kernel words{TOKEN} address 10.0.2.15/24\r\n\n{TOKEN} address fec0::1/64\r\n"
    f"\n{TOKEN} end\r\n"
)


def fed(text: str, *, step: int = 0) -> Console:
    console = Console(TOKEN)
    data = text.encode()
    for at in range(0, len(data), step or len(data) or 1):
        console.feed(data[at : at + (step or len(data))])
    return console


@pytest.mark.parametrize("step", [0, 1, 3])
@pytest.mark.parametrize(("verdict", "text"), CASES)
def test_where_a_boot_ends(verdict: str, text: str, step: int) -> None:
    assert fed(f"SeaBIOS\r\n{text}", step=step).verdict == verdict


@pytest.mark.parametrize("step", [0, 1, 7])
def test_what_comes_up_is_told_by_the_probe(step: int) -> None:
    console = fed(GOOD, step=step)
    assert (console.verdict, console.reached) == ("multi-user", "multi-user")
    assert console.answers == {
        "state": ["running"],
        "root": ["/dev/nvme0n1p1 ext4"],
        "address": ["10.0.2.15/24", "fec0::1/64"],
    }


@pytest.mark.parametrize(
    ("text", "is_final"),
    [
        ("Kernel panic - not syncing: VFS\r\n", False),
        ("Kernel panic - not syncing: VFS\r\nRebooting in 10 seconds..\r\n", False),
        ("Kernel panic - not syncing: VFS\r\n---[ end Kernel panic - not syncing: VFS", True),
        ("\r\ngrub> ", True),
        ("SeaBIOS\r\n", False),
    ],
)
@pytest.mark.parametrize("step", [0, 1])
def test_a_panic_may_end_in_a_restart(text: str, *, is_final: bool, step: int) -> None:
    assert fed(text, step=step).is_final == is_final


@given(st.lists(st.integers(1, 40)), st.sampled_from([GOOD, *(text for _, text in CASES)]))
def test_pieces_do_not_matter(steps: list[int], text: str) -> None:
    data, console = text.encode(), Console(TOKEN)
    for step in steps:
        console.feed(data[:step])
        data = data[step:]
    console.feed(data)
    assert console.verdict == fed(text).verdict
    assert console.answers == fed(text).answers
    assert console.text == fed(text).text


@given(st.binary(max_size=300))
def test_anything_may_come(data: bytes) -> None:
    console = Console(TOKEN)
    for byte in data:
        console.feed(bytes([byte]))
    assert "\x1b" not in console.text
    assert console.reached


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0123456789abcdee end\n",
        "end\n",
        f"{TOKEN}end\n",
        f"{TOKEN} end",
        "root@web:~# echo grub>menu; cat x(initramfs\n",
        "[ 0.5] Kernel command line: quiet\n",
    ],
)
def test_no_verdict_without_a_reason(text: str) -> None:
    console = fed(text)
    assert console.verdict is None
    assert console.reached == "nothing"


def test_a_login_prompt_alone_is_no_verdict_but_is_told() -> None:
    console = fed("Debian GNU/Linux 12 web ttyS0\r\n\r\nweb login: ")
    assert console.verdict is None
    assert console.reached == "login"
    console.feed(f"\n{TOKEN} end\n".encode())
    assert console.reached == "multi-user"


def test_the_middle_of_a_line_is_not_its_beginning() -> None:
    console = Console(TOKEN)
    console.feed(b"x" * 300 + b"/Shell> " + b"y" * 192)
    console.feed(b"y")
    assert console.verdict is None


def test_the_first_end_counts() -> None:
    console = fed("Kernel panic - not syncing: x\n")
    console.feed(GOOD.encode())
    console.ended()
    assert (console.verdict, console.answers) == ("kernel-panic", {})


def test_a_machine_that_stops() -> None:
    console = fed("booting\n")
    console.ended()
    assert console.reached == "stopped"


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("\x1b[0;1;31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[01;01Hx", "x"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]3008;start=1;user=root\x1b\\x", "x"),
        ("\x1bPq\x1b\\x\x1bcy", "xy"),
        ("a\x00b\x07c\x7fd\x9be", "abcde"),
        ("é\t…\n", "é\t…\n"),
    ],
)
def test_escapes_are_taken_out(raw: str, seen: str, step: int) -> None:
    assert fed(raw, step=step).text == seen


def test_an_escape_without_end_hides_nothing_for_long() -> None:
    assert fed("\x1b]0;" + "x" * 2000 + "\nKernel panic - not syncing").verdict == "kernel-panic"
    assert fed(f"\x1b]\n{TOKEN} end\n").verdict == "multi-user"


def test_what_is_kept_is_bounded() -> None:
    console = Console(TOKEN)
    for _ in range(11):
        console.feed(b"x" * 8192)
        console.feed(b"\n" + f"{TOKEN} mount y\n".encode() * 99)
        console.feed(f"{TOKEN} mount {'y' * 5000}\n".encode())
    assert len(console.text) <= 1 << 16
    assert len(console.answers["mount"]) == 1000
    assert max(map(len, console.answers["mount"])) == 4096


@pytest.mark.parametrize("text", [" " * 100000, "\n" * 100000, " \n" * 50000, "\x1b" * 100000])
def test_a_hostile_console_costs_no_time(text: str) -> None:
    begun = time.process_time()
    console = fed(text + "x")
    assert len(console.tail) <= 4000
    assert time.process_time() - begun < 2
