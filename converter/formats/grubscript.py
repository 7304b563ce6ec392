"""GRUB 2's grub.cfg: the menu it makes.

`evaluate` does what GRUB does up to showing the menu (GNU GRUB manual, "Shell-like scripting" and
"Special environment variables"), in a bounded number of steps: variables, conditions, functions,
included files, menu entries, entries of the Boot Loader Specification (`blscfg` of Fedora's GRUB).
Commands that only concern the machine (insmod, terminal) do nothing and succeed. `while` and
`until` are not carried out; grub-mkconfig writes none.

Files are named as GRUB names them, `(device)/path`; what a device is, `Files` knows.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, bls, kernel_args
from converter.formats.grub_commands import COMMANDS
from converter.formats.grub_menu import GrubMenu, MenuEntry, split_name
from converter.formats.grub_parser import Command, For, Function, If, Loop, Node, Word, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from converter.formats.grub_menu import Files

LINUX: Final = frozenset({"linux", "linux16", "linuxefi"})
INITRD: Final = frozenset({"initrd", "initrd16", "initrdefi"})
_HYPERVISOR: Final = frozenset({"multiboot", "multiboot2", "xen_hypervisor"})
# Tests of the machine that are false where nobody presses a key, and files nobody needs.
_FALSE: Final = frozenset({"false", "background_image", "loadfont", "keystatus", "cmostest"})
_OPTIONS_WITH_VALUE: Final = frozenset({"--class", "--users", "--hotkey", "--source", "--id"})
_MAX_STEPS: Final = 100_000
_MAX_INCLUDES: Final = 64
_MAX_ENTRIES: Final = 1000
_MAX_DEPTH: Final = 16
# Of all words together: variables that name themselves twice double with each step.
_MAX_LENGTH: Final = 16 << 20
# What GRUB 2 itself sets (grub-core/normal/main.c, features); grub-mkconfig's scripts ask for it.
_FEATURES: Final = {
    f"feature_{name}": "y"
    for name in (
        "chainloader_bpb", "ntldr", "platform_search_hint", "default_font_path",
        "all_video_module", "menuentry_id", "menuentry_options", "200_final", "nativedisk_cmd",
        "timeout_style", "search_cryptodisk_only",
    )
}  # fmt: skip


def _directory(name: str) -> str:
    return name.rpartition("/")[0]


def _of_config(name: str) -> dict[str, str]:
    """Give the variables that GRUB sets when it reads a configuration."""
    return {"config_file": name, "config_directory": _directory(name)}


def evaluate(config: str, *, files: Files, variables: Mapping[str, str]) -> GrubMenu:
    """Give the menu of the script `config`, a name with its device.

    `variables` are set at the start, beside those that follow from the name. Raises `FormatError`,
    also when there is no such file.
    """
    beside = _of_config(config)
    start = {**_FEATURES, **beside, "prefix": beside["config_directory"], **variables}
    start.setdefault("root", split_name(config)[0])
    run = Run(files, start, Shared())
    try:
        run.source(config)
    except _MenuShown as shown:
        run, config = shown.run, shown.config
    shared = run.shared
    if not shared.scripts:
        raise FormatError("there is no such file")
    return GrubMenu(
        config,
        run.menu(),
        run.variables,
        tuple(dict.fromkeys(shared.scripts)),
        tuple(dict.fromkeys(shared.environments)),
        uses_bls=shared.uses_bls,
    )


@dataclass(slots=True)
class _Pending:
    """A menu entry whose body is not evaluated before the script has ended."""

    title: str
    identifier: str
    body: tuple[Node, ...]
    is_submenu: bool
    needs_password: bool


@dataclass(slots=True)
class _Loaded:
    """What a menu entry's body loads."""

    linux: str = ""
    arguments: tuple[str, ...] = ()
    initrds: tuple[str, ...] = ()
    hypervisor: str = ""
    config: str = ""


@dataclass(slots=True)
class Shared:
    """What all runs of one evaluation have in common: what was met, and how much is left."""

    scripts: list[str] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    functions: dict[str, tuple[Node, ...]] = field(default_factory=dict)
    uses_bls: bool = False
    steps: int = 0
    length: int = 0
    included: int = 0

    def spend(self, length: int) -> None:
        """Count characters of words. Raises `FormatError` when they are too many."""
        self.length += length
        if self.length > _MAX_LENGTH:
            raise FormatError("its variables grow without end")


class _MenuShown(Exception):  # noqa: N818 - no error: GRUB shows a menu and stays in it
    def __init__(self, run: Run, config: str) -> None:
        super().__init__(config)
        self.run = run
        self.config = config


@dataclass(slots=True)
class Run:
    """A script that is carried out, or the body of a menu entry (`is_body`)."""

    files: Files
    variables: MutableMapping[str, str]
    shared: Shared
    is_body: bool = False
    depth: int = 0
    arguments: list[str] = field(default_factory=list)
    pending: list[_Pending | MenuEntry] = field(default_factory=list)
    loaded: _Loaded = field(default_factory=_Loaded)
    returned: bool = False

    def menu(self) -> tuple[MenuEntry, ...]:
        """Give the entries that were made, their bodies carried out now."""
        return tuple(
            item if isinstance(item, MenuEntry) else self._entry(item) for item in self.pending
        )

    def _entry(self, item: _Pending) -> MenuEntry:
        inner = self._nested(item.title)
        inner.execute(item.body)
        loaded = inner.loaded
        return MenuEntry(
            item.title,
            item.identifier,
            loaded.linux,
            loaded.arguments,
            loaded.initrds,
            inner.menu() if item.is_submenu else (),
            config=loaded.config,
            hypervisor=loaded.hypervisor,
            needs_password=item.needs_password,
        )

    def _nested(self, *arguments: str) -> Run:
        """Give a run for an entry's body."""
        if self.depth >= _MAX_DEPTH:
            raise FormatError("submenus are nested too deeply")
        return Run(
            self.files,
            ChainMap({"chosen": arguments[0], "default": ""}, self.variables),
            self.shared,
            is_body=True,
            depth=self.depth + 1,
            arguments=list(arguments),
        )

    def execute(self, nodes: tuple[Node, ...]) -> bool:
        """Carry out `nodes`; gives whether the last one succeeded."""
        result = True
        for node in nodes:
            self.shared.steps += 1
            if self.shared.steps > _MAX_STEPS:
                raise FormatError(f"does not end within {_MAX_STEPS} steps")
            match node:
                case Command():
                    result = self._command(node)
                case If():
                    result = self._if(node)
                case For():
                    result = self._for(node)
                case Function():
                    self.shared.functions[node.name] = node.body
                case Loop():
                    continue
            if self.returned:
                break
        return result

    def _if(self, node: If) -> bool:
        for condition, body in node.branches:
            if not condition or self.execute(condition):
                return self.execute(body)
        return True

    def _values(self, words: tuple[Word, ...]) -> list[str]:
        return [value for word in words for value in self._expand(word)]

    def _for(self, node: For) -> bool:
        result = True
        for value in self._values(node.words):
            self.variables[node.name] = value
            result = self.execute(node.body)
        return result

    def _command(self, command: Command) -> bool:
        words = self._values(command.words)
        if words[:1] == ["!"]:
            return not self._builtin(words[1], words[2:], command) if len(words) > 1 else False
        return self._builtin(words[0], words[1:], command) if words else True

    def _builtin(self, name: str, arguments: list[str], command: Command) -> bool:
        if name in ("menuentry", "submenu"):
            return self._menuentry(arguments, command, is_submenu=name == "submenu")
        if name in LINUX and arguments:
            self.loaded.linux = self.full(arguments[0])
            self.loaded.arguments = tuple(arguments[1:])
        elif name in INITRD:
            files = [item for item in arguments if not item.startswith("newc:")]
            self.loaded.initrds = tuple(self.full(item) for item in files)
        elif name in _HYPERVISOR and arguments:
            self.loaded.hypervisor = self.full(arguments[0])
        elif name in _FALSE:
            return False
        elif name in COMMANDS:
            return COMMANDS[name](self, arguments)
        elif name in self.shared.functions:
            return self._call(name, arguments)
        elif "=" in name:
            self.assign(name)
        return True

    def assign(self, assignment: str) -> None:
        """Carry out `name=value`."""
        variable, _, value = assignment.partition("=")
        if variable == "root" and value.startswith("(") and value.endswith(")"):
            value = value[1:-1]  # as GRUB has it
        self.variables[variable] = value

    def _call(self, name: str, arguments: list[str]) -> bool:
        if self.depth >= _MAX_DEPTH:
            raise FormatError(f"function {name} calls itself too often")
        outer, self.arguments = self.arguments, arguments
        self.depth += 1
        result = self.execute(self.shared.functions[name])
        self.depth -= 1
        self.arguments, self.returned = outer, False
        return result

    # --- files ------------------------------------------------------------------------------------

    def full(self, name: str) -> str:
        """Give a file's name with its device."""
        if name.startswith("("):
            return name
        return f"({self.variables.get('root', '')}){name}"

    def source(self, name: str) -> bool:
        """Carry out another script here."""
        text = self.files.read(name)
        if text is None:
            return False
        self.shared.included += 1
        if self.shared.included > _MAX_INCLUDES or self.depth >= _MAX_DEPTH:
            raise FormatError("includes too many files")
        try:
            nodes = parse(text)
        except FormatError:
            if self.depth == 0:
                raise
            return False  # GRUB says what is wrong, and goes on behind it
        self.shared.scripts.append(name)
        self.depth += 1
        result = self.execute(nodes)
        self.depth -= 1
        self.returned = False
        return result

    def configure(self, name: str) -> bool:
        """Show the menu of another script, if it has one: what follows here is not reached."""
        if self.is_body:
            self.loaded.config = name
            return True
        variables = {**self.variables, **_of_config(name), "default": ""}
        inner = Run(self.files, variables, self.shared, depth=self.depth + 1)
        found = inner.source(name)
        if inner.pending:
            raise _MenuShown(inner, name)
        return found

    def entries(self, directory: str) -> list[MenuEntry]:
        """Give what the entry files of the Boot Loader Specification in `directory` make."""
        found = []
        for name in (self.files.names(directory) or ())[:_MAX_ENTRIES]:
            if name.endswith(".conf") and not name.startswith(".") and name != ".conf":
                text = self.files.read(f"{directory}/{name}")
                entry = bls.parse(text) if text is not None else None
                if entry is not None and entry.get("linux"):
                    found.append((name.removesuffix(".conf"), entry))
        found.sort(key=lambda item: bls.GrubOrder(item[0]), reverse=True)
        return [self._bls_entry(f"{directory}/{name}.conf", name, entry) for name, entry in found]

    def _bls_entry(self, source: str, name: str, entry: bls.Entry) -> MenuEntry:
        kernel = entry.get("linux") or ""
        options = entry.get("options")
        if options is None:
            options = self.variables.get("default_kernelopts", "")
        beside = _directory(next(iter(entry.all("initrd")), kernel))
        early = [f"{beside}/{item}" for item in self.variables.get("early_initrd", "").split()]
        initrds = [item for value in entry.all("initrd") for item in self.expanded(value).split()]
        return MenuEntry(
            entry.get("title") or kernel,
            name,
            self.full(kernel),
            tuple(kernel_args.split(self.expanded(options))),
            tuple(self.full(item) for item in [*early, *initrds]),
            source=source,
            needs_password=bool(self.variables.get("superusers"))
            and "--unrestricted" not in entry.all("grub_arg"),
        )

    def expanded(self, value: str) -> str:
        """Give a value with the variables in it, as blscfg puts them in."""
        return bls.VARIABLE.sub(lambda m: f"{self.variables.get(m[1], '')} ", value)

    def _menuentry(self, arguments: list[str], command: Command, *, is_submenu: bool) -> bool:
        title, identifier, restricted = None, "", bool(self.variables.get("superusers"))
        waiting = iter(arguments)
        for argument in waiting:
            option, equals, value = argument.partition("=")
            if option in _OPTIONS_WITH_VALUE:
                value = value if equals else next(waiting, "")
                identifier = value if option == "--id" else identifier
            elif argument == "--unrestricted":
                restricted = False
            elif title is None and not argument.startswith("--"):
                title = argument
        if title is None:
            return False
        self.pending.append(
            _Pending(title, identifier or title, command.block, is_submenu, restricted)
        )
        return True

    # --- words ------------------------------------------------------------------------------------

    def _expand(self, word: Word) -> list[str]:
        """Give the values of a word: none for an empty variable, several for one that is split."""
        pieces: list[list[str]] = [[]]
        was_quoted = False
        for part in word.parts:
            value = self._value(part.text) if part.is_variable else part.text
            self.shared.spend(len(value))
            was_quoted = was_quoted or part.is_quoted or not part.is_variable
            if part.is_variable and not part.is_quoted:
                first, *rest = value.split() or [""]
                pieces[-1].append(first)
                pieces += [[item] for item in rest]
            else:
                pieces[-1].append(value)
        values = ["".join(piece) for piece in pieces]
        return values if was_quoted or any(values) else []

    def _value(self, name: str) -> str:
        if name.isdecimal():
            number = int(name) if len(name) < 4 else 0
            return self.arguments[number - 1] if 0 < number <= len(self.arguments) else ""
        if name in ("*", "@"):
            return " ".join(self.arguments)
        if name == "#":
            return str(len(self.arguments))
        return self.variables.get(name, "")
