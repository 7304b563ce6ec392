"""GRUB Legacy's menu.lst or grub.conf (GNU GRUB 0.97 manual, "Configuration").

Lines of a command and its arguments, separated by blanks or `=`; `title` begins an entry, what is
before the first is for all. Lines that begin with `#` are remarks, but update-grub of Debian and
Ubuntu keeps its settings in some of them: `# kopt=root=/dev/sda1 ro`.

Any text is accepted; edits touch only the words that change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from converter.formats import kernel_args
from converter.formats.kernel_args import Edit, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from converter.formats.kernel_args import Piece

    # Takes the arguments, and whether there is an initramfs with them.
    EntryEditor = Callable[[Sequence[str], bool], Edit]

_LINE: Final = re.compile(
    r"^[ \t]*(?P<name>[A-Za-z][A-Za-z0-9_-]*)(?:[ \t]*=[ \t]*|[ \t]+|(?=\r?$))"
    r"(?P<arguments>[^\n]*)$",
    re.MULTILINE,
)
# One `#`: two make a remark about the setting.
_SETTING: Final = re.compile(r"^# (kopt(?:_[A-Za-z0-9_]+)?)=([^\n]*)$", re.MULTILINE)
_NUMBER: Final = re.compile(r"-?\d{1,9}")


@dataclass(frozen=True, slots=True)
class Command:
    """A line: the command's name, in lower case, and its arguments with their place in the text."""

    name: str
    arguments: str
    begin: int
    start: int

    @property
    def words(self) -> tuple[Span, ...]:
        """The words of the arguments, with their places in the text."""
        return tuple(
            Span(span.word, span.start + self.start, span.end + self.start)
            for span in kernel_args.spans(self.arguments)
        )

    @property
    def file(self) -> Span | None:
        """The file that is loaded: the first word that is no option."""
        return next((span for span in self.words if not span.word.startswith("--")), None)

    @property
    def parameters(self) -> tuple[Span, ...]:
        """The words behind the file."""
        file = self.file
        return () if file is None else self.words[self.words.index(file) + 1 :]


@dataclass(frozen=True, slots=True)
class Entry:
    """A menu entry: its title, and the commands behind that."""

    title: str
    commands: tuple[Command, ...]

    def first(self, name: str) -> Command | None:
        """Give the first command `name`."""
        return next((command for command in self.commands if command.name == name), None)

    @property
    def is_hypervisor(self) -> bool:
        """Whether the kernel that is started is a hypervisor, which takes Linux as a module."""
        return self.first("module") is not None

    @property
    def has_initramfs(self) -> bool:
        """Whether an initramfs is loaded."""
        return self.first("initrd") is not None or self.is_hypervisor


@dataclass(frozen=True, slots=True)
class LegacyMenu:
    """The text of a menu, its entries, and the commands before the first. Edits give a new text."""

    text: str
    commands: tuple[Command, ...] = field(compare=False)
    entries: tuple[Entry, ...] = field(compare=False)

    def __str__(self) -> str:
        return self.text

    def get(self, name: str) -> str | None:
        """Give the arguments of the last command `name` before the first entry."""
        found = [command.arguments for command in self.commands if command.name == name]
        return found[-1] if found else None

    def with_arguments(self, edit: EntryEditor) -> str:
        """Give the text with the arguments of every kernel edited, and of Linux under Xen."""
        found: list[Piece] = []
        for command, has_initramfs in self._kernels():
            file, words = command.file, command.parameters
            wanted = edit([span.word for span in words], has_initramfs)
            if file is not None:
                found += kernel_args.pieces(words, wanted, start=file.end, before=" ")
        return kernel_args.put_in(self.text, found)

    def _kernels(self) -> Iterator[tuple[Command, bool]]:
        for entry in self.entries:
            wanted = "module" if entry.is_hypervisor else "kernel"
            command = entry.first(wanted)
            file = command.file if command is not None else None
            if command is not None and file is not None and kernel_args.is_linux(file.word):
                yield command, entry.has_initramfs

    def with_settings(self, edit: kernel_args.Editor) -> str:
        """Give the text with the arguments edited that update-grub gives to every kernel."""

        def edited(match: re.Match[str]) -> str:
            return f"# {match[1]}={kernel_args.edited(match[2], edit)}"

        return _SETTING.sub(edited, self.text)

    def with_timeout(self, limit: int) -> str:
        """Give the text with a timeout of at most `limit` seconds; without one, GRUB would wait."""
        found = [command for command in self.commands if command.name == "timeout"]
        pieces: list[Piece] = []
        for command in found:
            is_number = _NUMBER.fullmatch(command.arguments)
            if not is_number or not 0 <= int(command.arguments) <= limit:
                end = command.start + len(command.arguments)
                gap = " " if end == command.begin + len(command.name) else ""
                pieces.append((command.start, end, f"{gap}{limit}"))
        if not found and self.entries:
            at = _first_title(self.text)
            pieces.append((at, at, f"timeout {limit}\n"))
        return kernel_args.put_in(self.text, pieces)


def _first_title(text: str) -> int:
    match = next(m for m in _LINE.finditer(text) if m["name"].lower() == "title")
    return text.rfind("\n", 0, match.start("name")) + 1


def parse(text: str) -> LegacyMenu:
    """Read a menu; any text is accepted."""
    before: list[Command] = []
    entries: list[tuple[str, list[Command]]] = []
    for match in _LINE.finditer(text):
        name, arguments = match["name"].lower(), match["arguments"].rstrip(" \t\r")
        if name == "title":
            entries.append((arguments, []))
            continue
        command = Command(name, arguments, match.start("name"), match.start("arguments"))
        (entries[-1][1] if entries else before).append(command)
    return LegacyMenu(
        text, tuple(before), tuple(Entry(title, tuple(found)) for title, found in entries)
    )


def saved_default(text: str) -> str:
    """Give the number of the entry that the file `default` beside the menu holds; "" without one.

    grub-set-default(8) writes it into the first line, and pads the file.
    """
    match = _NUMBER.match(text.strip("\0 \t\n"))
    return match[0] if match else ""


def choose(menu: LegacyMenu, wanted: str) -> tuple[Entry | None, bool]:
    """Give the entry number `wanted`, and whether there is one; if not, GRUB takes the first."""
    first = next(iter(menu.entries), None)
    number = int(wanted) if _NUMBER.fullmatch(wanted) else -1
    if 0 <= number < len(menu.entries):
        return menu.entries[number], True
    return first, not wanted
