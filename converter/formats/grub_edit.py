"""Edits of GRUB 2's grub.cfg in place: kernel arguments and the time in the menu.

Only the words that change are touched. Nothing is evaluated: every entry in the script is edited,
also where a condition would leave it out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import kernel_args
from converter.formats.grub_parser import Command, Node, Word, commands, lists, parse
from converter.formats.grubscript import INITRD, LINUX
from converter.formats.kernel_args import Edit, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from converter.formats.kernel_args import Piece

    # Takes the arguments, and whether there is an initramfs with them.
    EntryEditor = Callable[[Sequence[str], bool], Edit]

_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_./:,=@%+-]+")
_SET: Final = re.compile(
    r"""(?P<name>[A-Za-z_]\w*)=(?P<quote>["']?)(?P<value>.*)(?P=quote)""", re.DOTALL
)
_NUMBER: Final = re.compile(r"-?\d{1,18}")


@dataclass(frozen=True, slots=True)
class Script:
    """A script, read for edits. Every edit gives a new text."""

    text: str

    def with_arguments(self, edit: EntryEditor) -> str:
        """Give the text with the arguments of every linux command edited.

        An argument that holds a variable is passed as it is written.
        """
        found: list[Piece] = []
        for command, has_initramfs in self._kernels():
            spans = [
                Span(word.raw if word.literal is None else word.literal, word.start, word.end)
                for word in command.words[2:]
            ]
            wanted = edit([span.word for span in spans], has_initramfs)
            start = command.words[1].end
            found += kernel_args.pieces(spans, wanted, start=start, before=" ", quote=_quote)
        return kernel_args.put_in(self.text, found)

    def _kernels(self) -> Iterator[tuple[Command, bool]]:
        """Give each command that loads a kernel, and whether the same list loads an initramfs."""
        nodes = parse(self.text)
        linux, initrd = _names(nodes, LINUX), _names(nodes, INITRD)
        found = []
        for nested in lists(nodes):
            there = [node for node in nested if isinstance(node, Command)]
            has_initramfs = any(_name(command) in initrd for command in there)
            found += [
                (command, has_initramfs)
                for command in there
                if _name(command) in linux
                and len(command.words) > 1
                and kernel_args.is_linux(command.words[1].raw)
            ]
        yield from sorted(found, key=lambda item: item[0].words[0].start)

    def argument_variables(self) -> frozenset[str]:
        """Give the variables that kernel arguments are made of."""
        return frozenset(
            part.text
            for command, _ in self._kernels()
            for word in command.words[2:]
            for part in word.parts
            if part.is_variable and not part.text.isdecimal()
        )

    def with_variables(self, names: Iterable[str], edit: kernel_args.Editor) -> str:
        """Give the text with the kernel arguments edited that are assigned to variables."""
        wanted = frozenset(names)
        found: list[Piece] = []
        for word in _assignments(self.text):
            match = _SET.fullmatch(word.raw)
            if match is None or match["name"] not in wanted or _is_mixed(match):
                continue
            value = kernel_args.edited(match["value"], edit)
            if value != match["value"]:
                quote = match["quote"] or ("" if _PLAIN_WORD.fullmatch(value) else '"')
                found.append((word.start, word.end, f"{match['name']}={quote}{value}{quote}"))
        return kernel_args.put_in(self.text, found)

    def assigns(self, name: str) -> bool:
        """Tell whether the script assigns something to the variable `name`."""
        return any(word.raw.startswith(f"{name}=") for word in _assignments(self.text))

    def with_timeout(self, limit: int) -> str:
        """Give the text with every timeout above `limit` seconds, or without end, set to it.

        Also that of the menu that is hidden by a `sleep`.
        """
        found: list[Piece] = []
        for command in commands(parse(self.text)):
            last = command.words[-1]
            if command.name == "sleep" and _is_too_long(last.literal, limit):
                found.append((last.start, last.end, str(limit)))
            for word in _assigned(command):
                name, _, value = (word.literal or "").partition("=")
                if name == "timeout" and _is_too_long(value, limit):
                    found.append((word.start, word.end, f"timeout={limit}"))
        return kernel_args.put_in(self.text, found)


def _is_mixed(match: re.Match[str]) -> bool:
    """Tell whether a value is quoted in several ways, so that words in it cannot be told."""
    inside = re.sub(r"\\.", "", match["value"], flags=re.DOTALL)
    return (match["quote"] or "'") in inside or (not match["quote"] and '"' in inside)


def _is_too_long(value: str | None, limit: int) -> bool:
    return bool(value and _NUMBER.fullmatch(value)) and not 0 <= int(value or 0) <= limit


def _name(command: Command) -> str:
    """Give a command's name, or the variable that stands for it."""
    first = command.words[0]
    if len(first.parts) == 1 and first.parts[0].is_variable:
        return f"${first.parts[0].text}"
    return command.name


def _names(nodes: tuple[Node, ...], known: frozenset[str]) -> frozenset[str]:
    """Give `known` command names, and the variables (`$linux`) that the script sets to them."""
    found = set(known)
    for command in commands(nodes):
        for word in _assigned(command):
            name, _, value = (word.literal or "").partition("=")
            if value in known:
                found.add(f"${name}")
    return frozenset(found)


def _assigned(command: Command) -> tuple[Word, ...]:
    """Give the word of a command that assigns something: `set name=value` or `name=value`."""
    if command.name == "set":
        return command.words[1:2]
    return command.words[:1] if "=" in command.words[0].raw else ()


def _assignments(text: str) -> Iterator[Word]:
    for command in commands(parse(text)):
        yield from _assigned(command)


def _quote(value: str) -> str:
    if _PLAIN_WORD.fullmatch(value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"
