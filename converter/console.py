"""What a booting guest's console says about how far it came.

The console is the guest's to write: its text is bounded, and shown without control characters.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

_KEPT: Final = 1 << 16
_TAIL: Final = 4000
# No sign of an end is longer than this.
_OVERLAP: Final = 200
# What is kept of the probe's answers, in all and of each.
_ANSWERS: Final = 1000
_ANSWER: Final = 4096
# Where a boot can end without coming up, by what is on the console then.
_ENDS: Final = (
    (
        "initramfs-shell",
        re.compile(
            r"\(initramfs\)"
            r"|dracut:/#|dracut Emergency Shell|rdsosreport|Dropping to debug shell"
            r"|being dropped into an? (?:emergency|recovery) shell|^\[rootfs [^\]\n]{1,20}\]# "
            r"|initramfs emergency recovery shell",
            re.MULTILINE,
        ),
    ),
    (
        "emergency",
        re.compile(
            r"You are in (?:emergency|rescue) mode|Give root password for maintenance"
            r"|Cannot open access to console, the root account is locked"
        ),
    ),
    ("kernel-panic", re.compile(r"Kernel panic - not syncing")),
    ("grub-rescue", re.compile(r"grub rescue>")),
    ("grub-prompt", re.compile(r"(?:^|\s)grub> |Minimal BASH-like line editing", re.MULTILINE)),
    ("efi-shell", re.compile(r"UEFI Interactive Shell|^Shell> ", re.MULTILINE)),
    (
        "no-boot-device",
        re.compile(
            r"No bootable device|BdsDxe: No bootable option|[Oo]perating [Ss]ystem not found"
            r"|[Mm]issing [Oo]perating [Ss]ystem"
        ),
    ),
)
# The kernel's last words, where it does not restart by itself (kernel/panic.c, since Linux 3.15).
_NO_RESTART: Final = "---[ end Kernel panic"
# A getty's: the machine is up, though the probe did not say so.
_LOGIN: Final = re.compile(r"^\S{1,64} login: ?$", re.MULTILINE)
# Strings to the terminal (OSC and the like), CSI sequences, other escapes (ECMA-48), and then what
# is left of control characters.
_ESCAPES: Final = re.compile(
    r"\x1b[\]PX^_][^\x07\x1b\n]{0,1000}(?:\x07|\x1b\\)"
    r"|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-Z\\-~]|[^\n\t\x20-\x7e\xa0-\uffff]"
)
# An escape that is not whole yet: its end comes with the next piece.
_OPEN_ESCAPE: Final = re.compile(
    r"\x1b(?:[\]PX^_][^\x07\x1b\n]{0,1000}\x1b?|\[[0-?]{0,30}[ -/]{0,4}|[ -/]{0,4})\Z"
)
# Menus are drawn with many; a person wants to see the words.
_BLANKS: Final = re.compile(r"\n(?:[^\S\n]*\n)+")


class Console:
    """Follows a serial console up to a verdict."""

    def __init__(self, token: str) -> None:
        """Expect the probe's lines to begin with `token`, which the guest cannot guess."""
        self.verdict: str | None = None
        self.answers: dict[str, list[str]] = {}
        self.text = ""
        self._token = token
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._open = ""
        self._room = _ANSWERS

    def feed(self, data: bytes) -> None:
        """Take in what came next."""
        piece = self._open + self._decoder.decode(data).replace("\r", "")
        match = _OPEN_ESCAPE.search(piece)
        self._open = match[0] if match else ""
        piece = _ESCAPES.sub("", piece.removesuffix(self._open))
        text = self.text + piece
        self.text = text[-_KEPT:]
        *lines, rest = (self._rest + piece).split("\n")
        self._rest = rest[-_KEPT:]
        for line in lines:
            self._probe_line(line)
        if self.verdict is None:
            # By position, not by a slice: its beginning would be taken for that of a line.
            since = max(0, len(text) - len(piece) - _OVERLAP)
            ends = (name for name, pattern in _ENDS if pattern.search(text, since))
            self.verdict = next(ends, None)

    def _probe_line(self, line: str) -> None:
        # Kernel messages may stand before the probe's words on the same line.
        _, mark, said = line.partition(f"{self._token} ")
        if not mark or self.verdict is not None:
            return
        name, _, value = said.strip().partition(" ")
        if name == "end":
            self.verdict = "multi-user"
        elif self._room:
            self._room -= 1
            self.answers.setdefault(name[:_ANSWER], []).append(value[:_ANSWER])

    def ended(self) -> None:
        """Note that the machine stopped by itself."""
        if self.verdict is None:
            self.verdict = "stopped"

    @property
    def is_final(self) -> bool:
        """Whether there is a verdict that a restart of the machine would not change."""
        if self.verdict == "kernel-panic":
            return _NO_RESTART in self.text
        return self.verdict is not None

    @property
    def reached(self) -> str:
        """How far it came: the verdict; without one "login" at a login prompt, else "nothing"."""
        if self.verdict is not None:
            return self.verdict
        return "login" if _LOGIN.search(self.text) else "nothing"

    @property
    def tail(self) -> str:
        """The end of what was on the console."""
        return _BLANKS.sub("\n\n", self.text)[-_TAIL:]
