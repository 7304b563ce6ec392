"""GRUB 2's grub.cfg: the menu it makes, and edits of it in place.

`evaluate` does what GRUB does up to showing the menu (GNU GRUB manual, "Shell-like scripting" and
"Special environment variables"), in a bounded number of steps: variables, conditions, functions,
included files, menu entries. Commands that only concern the machine (insmod, search, terminal) do
nothing and succeed. Loops are not carried out; grub-mkconfig writes none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError
from converter.formats.grub_parser import Command, Function, If, Loop, Node, Word, commands, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_MAX_STEPS: Final = 100_000
_MAX_INCLUDES: Final = 16
_LINUX: Final = frozenset({"linux", "linux16", "linuxefi", "kernel"})
_INITRD: Final = frozenset({"initrd", "initrd16", "initrdefi"})
_OPTIONS_WITH_VALUE: Final = frozenset({"--class", "--users", "--hotkey", "--source", "--id"})
# What GRUB 2 itself sets (grub-core/normal/main.c, features); grub-mkconfig's scripts ask for it.
_FEATURES: Final = {
    f"feature_{name}": "y"
    for name in (
        "chainloader_bpb", "ntldr", "platform_search_hint", "default_font_path",
        "all_video_module", "menuentry_id", "menuentry_options", "200_final", "nativedisk_cmd",
        "timeout_style", "search_cryptodisk_only",
    )
}  # fmt: skip
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_./:,=@%+-]+")


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """An entry or a submenu (`children`). Paths are as GRUB sees them, on its root device."""

    title: str
    identifier: str
    linux: str = ""
    arguments: tuple[str, ...] = ()
    initrds: tuple[str, ...] = ()
    children: tuple[MenuEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class GrubMenu:
    """The menu, and the variables as they are when it is shown."""

    entries: tuple[MenuEntry, ...]
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Selection:
    """The entry that starts by default.

    `is_fallback`: `wanted` names no entry, and GRUB takes the first.
    """

    wanted: str
    entry: MenuEntry | None
    is_fallback: bool


def evaluate(
    text: str,
    *,
    environment: Mapping[str, str],
    read: Callable[[str], str | None],
    variables: Mapping[str, str],
) -> GrubMenu:
    """Give the menu that the script `text` makes.

    `environment` is what load_env finds; `read` gives the text of a file (a path on GRUB's root
    device), or None; `variables` are set at the start. Raises `FormatError`.
    """
    run = _Run(environment, read, {**_FEATURES, **variables})
    run.execute(parse(text))
    return GrubMenu(run.menu(), run.variables)


def all_entries(menu: GrubMenu) -> Iterator[MenuEntry]:
    """Give every entry that starts something, those of submenus too."""

    def walk(entries: Sequence[MenuEntry]) -> Iterator[MenuEntry]:
        for entry in entries:
            if entry.children:
                yield from walk(entry.children)
            else:
                yield entry

    return walk(menu.entries)


def select(menu: GrubMenu) -> Selection:
    """Find the entry that `default` means: index, title, id, or `submenu>entry` of those."""
    wanted = menu.variables.get("next_entry") or menu.variables.get("default") or "0"
    entry = _find(menu.entries, wanted)
    if entry is not None:
        return Selection(wanted, _first(entry), is_fallback=False)
    first = _first(menu.entries[0]) if menu.entries else None
    return Selection(wanted, first, is_fallback=True)


def _find(entries: Sequence[MenuEntry], wanted: str) -> MenuEntry | None:
    # A title may hold `>` itself: the whole is tried before it is taken apart.
    for number, entry in enumerate(entries):
        if wanted in (str(number), entry.title, entry.identifier) and wanted:
            return entry
    for number, entry in enumerate(entries):
        for name in (str(number), entry.title, entry.identifier):
            if name and wanted.startswith(f"{name}>"):
                found = _find(entry.children, wanted.removeprefix(f"{name}>"))
                if found is not None:
                    return found
    return None


def _first(entry: MenuEntry) -> MenuEntry:
    while entry.children:
        entry = entry.children[0]
    return entry


@dataclass(slots=True)
class _Pending:
    """A menu entry whose body is not evaluated before the script has ended."""

    title: str
    identifier: str
    body: tuple[Node, ...]
    is_submenu: bool


@dataclass(slots=True)
class _Loaded:
    """What a menu entry's body loads."""

    linux: str = ""
    arguments: tuple[str, ...] = ()
    initrds: tuple[str, ...] = ()


@dataclass(slots=True)
class _Run:
    environment: Mapping[str, str]
    read: Callable[[str], str | None]
    variables: dict[str, str]
    functions: dict[str, tuple[Node, ...]] = field(default_factory=dict)
    pending: list[_Pending] = field(default_factory=list)
    loaded: _Loaded = field(default_factory=_Loaded)
    steps: int = 0
    includes: int = 0
    depth: int = 0

    def menu(self) -> tuple[MenuEntry, ...]:
        return tuple(self._entry(item) for item in self.pending)

    def _entry(self, item: _Pending) -> MenuEntry:
        inner = _Run(
            self.environment,
            self.read,
            {**self.variables, "chosen": item.title},
            self.functions,
            depth=self.depth + 1,
            steps=self.steps,
            includes=self.includes,
        )
        if inner.depth > _MAX_INCLUDES:
            raise FormatError("submenus are nested too deeply")
        inner.execute(item.body)
        self.steps = inner.steps
        children = inner.menu() if item.is_submenu else ()
        loaded = inner.loaded
        return MenuEntry(
            item.title,
            item.identifier,
            loaded.linux,
            loaded.arguments,
            loaded.initrds,
            children,
        )

    def execute(self, nodes: tuple[Node, ...]) -> bool:
        """Carry out `nodes`; gives whether the last one succeeded."""
        result = True
        for node in nodes:
            self.steps += 1
            if self.steps > _MAX_STEPS:
                raise FormatError(f"does not end within {_MAX_STEPS} steps")
            match node:
                case Command():
                    result = self._command(node)
                case If():
                    result = self._if(node)
                case Function():
                    self.functions[node.name] = node.body
                case Loop():
                    continue
        return result

    def _if(self, node: If) -> bool:
        for condition, body in node.branches:
            if not condition or self.execute(condition):
                return self.execute(body)
        return True

    def _command(self, command: Command) -> bool:
        words = [value for word in command.words for value in self._expand(word)]
        if not words:
            return True
        name, arguments = words[0], words[1:]
        if name == "!":
            return not self._builtin(arguments[0], arguments[1:], command) if arguments else True
        return self._builtin(name, arguments, command)

    def _builtin(self, name: str, arguments: list[str], command: Command) -> bool:  # noqa: C901, PLR0912 - a table
        if name in ("menuentry", "submenu"):
            self._menuentry(arguments, command, is_submenu=name == "submenu")
        elif name in _LINUX and arguments:
            self.loaded.linux, self.loaded.arguments = arguments[0], tuple(arguments[1:])
        elif name in _INITRD:
            self.loaded.initrds = tuple(arguments)
        elif name == "set":
            for assignment in arguments:
                variable, _, value = assignment.partition("=")
                self.variables[variable] = value
        elif name == "unset":
            for variable in arguments:
                self.variables.pop(variable, None)
        elif name == "load_env":
            self.variables.update(self.environment)
        elif name in ("source", "configfile", ".", "extract_entries_source"):
            return self._include(arguments)
        elif name in ("[", "test"):
            return _test(arguments[:-1] if arguments[-1:] == ["]"] else arguments, self._exists)
        elif name in ("false", "background_image", "loadfont", "keystatus"):
            return False
        elif name in self.functions:
            return self._call(name)
        elif "=" in name and not arguments:
            variable, _, value = name.partition("=")
            self.variables[variable] = value
        return True

    def _call(self, name: str) -> bool:
        self.depth += 1
        if self.depth > _MAX_INCLUDES:
            raise FormatError(f"function {name} calls itself too often")
        result = self.execute(self.functions[name])
        self.depth -= 1
        return result

    def _include(self, arguments: list[str]) -> bool:
        text = self.read(_without_device(arguments[0])) if arguments else None
        if text is None:
            return False
        self.includes += 1
        if self.includes > _MAX_INCLUDES:
            raise FormatError("includes too many files")
        return self.execute(parse(text))

    def _exists(self, path: str) -> bool:
        return self.read(_without_device(path)) is not None

    def _menuentry(self, arguments: list[str], command: Command, *, is_submenu: bool) -> None:
        title, identifier = "", ""
        waiting = iter(arguments)
        for argument in waiting:
            if argument in _OPTIONS_WITH_VALUE:
                value = next(waiting, "")
                identifier = value if argument == "--id" else identifier
            elif argument.startswith("--"):
                continue
            elif not title:
                title = argument
        self.pending.append(_Pending(title, identifier or title, command.block, is_submenu))

    def _expand(self, word: Word) -> list[str]:
        """Give the values of a word: none for an empty variable, several for one that is split."""
        pieces = [""]
        was_quoted = False
        for part in word.parts:
            value = self.variables.get(part.text, "") if part.is_variable else part.text
            was_quoted = was_quoted or part.is_quoted or not part.is_variable
            if part.is_variable and not part.is_quoted:
                first, *rest = value.split() or [""]
                pieces[-1] += first
                pieces += rest
            else:
                pieces[-1] += value
        return pieces if was_quoted or any(pieces) else []


def _without_device(path: str) -> str:
    return path.rpartition(")")[2] if path.startswith("(") else path


def _test(  # noqa: PLR0911 - a table of operators
    words: Sequence[str], exists: Callable[[str], bool]
) -> bool:
    """Evaluate the arguments of `[ … ]` (GNU GRUB manual, "test")."""
    for operator, combine in (("-o", any), ("-a", all)):
        if operator in words[1:-1]:
            at = len(words) - 2 - list(reversed(words[1:-1])).index(operator)
            return combine((_test(words[:at], exists), _test(words[at + 1 :], exists)))
    match list(words):
        case []:
            return False
        case ["!", *rest]:
            return not _test(rest, exists)
        case ["-n", value] | [value]:
            return bool(value)
        case ["-z", value]:
            return not value
        case ["-e" | "-f" | "-s" | "-d", path]:
            return exists(path)
        case [left, "=" | "==", right]:
            return left == right
        case [left, "!=", right]:
            return left != right
        case _:
            return False


def edit_arguments(text: str, edit: Callable[[Sequence[str]], Sequence[str]]) -> str:
    """Give `text` with the kernel arguments of every linux command passed through `edit`.

    `edit` sees each argument's value, or the raw text of one that holds a variable. Arguments that
    it keeps stand as they stood; a line whose arguments stay is not touched.
    """
    for command in reversed(list(commands(parse(text)))):
        if command.name not in _LINUX or len(command.words) < 2:
            continue
        words = command.words[2:]
        old = [word.raw if word.literal is None else word.literal for word in words]
        new = list(edit(old))
        if new == old:
            continue
        raws = {value: word.raw for value, word in zip(old, words, strict=True)}
        written = "".join(f" {raws.get(value) or _quote(value)}" for value in new)
        start, end = command.words[1].end, command.words[-1].end
        text = text[:start] + written + text[end:]
    return text


def limit_timeout(text: str, limit: int) -> str:
    """Give `text` with every `set timeout=` above `limit` seconds, or without end, set to it."""
    for command in reversed(list(commands(parse(text)))):
        if command.name != "set" or len(command.words) != 2:
            continue
        word = command.words[1]
        name, _, value = (word.literal or "").partition("=")
        is_number = name == "timeout" and re.fullmatch(r"-?\d+", value)
        if is_number and not 0 <= int(value) <= limit:
            text = f"{text[: word.start]}timeout={limit}{text[word.end :]}"
    return text


def _quote(value: str) -> str:
    if _PLAIN_WORD.fullmatch(value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"
