"""What a booting guest's console says about how far it came.

The console is the guest's to write: its text is bounded, and shown without control characters.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

_KEPT: Final = 1 << 20
_TAIL: Final = 4000
# Where a boot can end without coming up, by what is on the console then.
_ENDS: Final = (
    ("initramfs-shell", re.compile(r"\(initramfs\)|dracut:/#|dracut Emergency Shell|rdsosreport")),
    (
        "emergency",
        re.compile(r"You are in emergency mode|Give root password for maintenance"
                   r"|Cannot open access to console, the root account is locked"),
    ),
    ("kernel-panic", re.compile(r"Kernel panic - not syncing")),
    ("grub-rescue", re.compile(r"grub rescue>")),
    ("grub-prompt", re.compile(r"^grub> ", re.MULTILINE)),
    ("efi-shell", re.compile(r"UEFI Interactive Shell|^Shell> ", re.MULTILINE)),
    ("no-boot-device", re.compile(r"No bootable device|BdsDxe: No bootable option")),
)  # fmt: skip
# CSI sequences, then other escapes (ECMA-48), then what is left of control characters.
_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-Z\\-~]|[^\n\t\x20-\x7e\xa0-\uffff]"
)
# Menus are drawn with many; a person wants to see the words.
_BLANKS: Final = re.compile(r"\s*\n\s*\n\s*")
# An escape that is not whole yet: its end comes with the next piece.
_OPEN_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-?]{0,30}[ -/]{0,4}|[ -/]{0,4})\Z")


class Console:
    """Follows a serial console up to a verdict."""

    def __init__(self, token: str) -> None:
        """Expect the probe's lines to begin with `token`."""
        self.verdict: str | None = None
        self.answers: dict[str, list[str]] = {}
        self.text = ""
        self._token = token
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._open = ""

    def feed(self, data: bytes) -> None:
        """Take in what came next."""
        piece = self._open + self._decoder.decode(data).replace("\r", "")
        match = _OPEN_ESCAPE.search(piece)
        self._open = match[0] if match else ""
        piece = _ESCAPES.sub("", piece.removesuffix(self._open))
        self.text = (self.text + piece)[-_KEPT:]
        *lines, self._rest = (self._rest + piece).split("\n")
        self._rest = self._rest[-_KEPT:]
        for line in lines:
            self._probe_line(line)
        if self.verdict is None:
            recent = self.text[-(len(piece) + 200) :]
            ends = (name for name, pattern in _ENDS if pattern.search(recent))
            self.verdict = next(ends, None)

    def _probe_line(self, line: str) -> None:
        # Kernel messages may stand before the probe's words on the same line.
        _, mark, said = line.partition(f"{self._token} ")
        if not mark:
            return
        name, _, value = said.strip().partition(" ")
        if name == "end":
            self.verdict = "multi-user"
        else:
            self.answers.setdefault(name, []).append(value)

    def ended(self) -> None:
        """Note that the machine stopped by itself."""
        if self.verdict is None:
            self.verdict = "stopped"

    @property
    def tail(self) -> str:
        """The end of what was on the console."""
        return _BLANKS.sub("\n\n", self.text)[-_TAIL:]
