"""GRUB 2's commands as far as they have to do with its menu (GNU GRUB manual, "Commands").

Each takes the run it is carried out in and its arguments, and gives whether it succeeded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, grub_test, grubenv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from converter.formats.grubscript import Run

_NUMBER: Final = re.compile(r"-?[0-9]{1,8}")


def _set(run: Run, arguments: list[str]) -> bool:
    if arguments and "=" in arguments[0]:
        run.assign(arguments[0])
    return True


def _unset(run: Run, arguments: list[str]) -> bool:
    for variable in arguments:
        run.variables[variable] = ""
    return True


def _load_env(run: Run, arguments: list[str]) -> bool:
    name = f"{run.variables.get('prefix', '')}/grubenv"
    wanted: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        option, equals, value = argument.partition("=")
        if option in ("-f", "--file"):
            name = run.full(value if equals else next(waiting, ""))
        elif not argument.startswith("-"):
            wanted.append(argument)
    text = run.files.read(name)
    if text is None:
        return False
    run.shared.environments.append(name)
    try:
        found = grubenv.parse(text.encode("utf-8", "surrogateescape"))
    except FormatError:
        return False
    run.variables.update(
        {key: value for key, value in found.items() if not wanted or key in wanted}
    )
    return True


def _search(run: Run, arguments: list[str], by: str = "") -> bool:
    """`search --fs-uuid --set=root UUID`, in any order of the options."""
    kinds = {"-u": "uuid", "--fs-uuid": "uuid", "-l": "label", "--label": "label"}
    kinds |= {"--fs-label": "label", "-f": "file", "--file": "file"}
    variable, values = "", []
    waiting = iter(arguments)
    for argument in waiting:
        option, equals, value = argument.partition("=")
        by = kinds.get(argument, by)
        if option == "--set" or argument == "-s":
            variable = value if equals else "root"
        elif option.startswith("--hint") and not equals:
            next(waiting, None)
        elif not argument.startswith("-"):
            values.append(argument)
    device = run.files.search(by or "uuid", values[0]) if values else None
    if device is None:
        return False
    if variable:
        run.variables[variable] = device
    return True


def _search_by(by: str) -> Callable[[Run, list[str]], bool]:
    """`search.fs_uuid UUID VARIABLE HINT…`."""

    def search(run: Run, arguments: list[str]) -> bool:
        value, variable, *_ = [*arguments, "", "root"][:2] if arguments else ["", ""]
        return _search(run, [f"--set={variable or 'root'}", value], by) if value else False

    return search


def _source(run: Run, arguments: list[str]) -> bool:
    return bool(arguments) and run.source(run.full(arguments[0]))


def _configfile(run: Run, arguments: list[str]) -> bool:
    return bool(arguments) and run.configure(run.full(arguments[0]))


def _test(run: Run, arguments: list[str]) -> bool:
    words = arguments[:-1] if arguments[-1:] == ["]"] else arguments
    return grub_test.evaluate(
        words,
        size=lambda name: run.files.size(run.full(name)),
        is_directory=lambda name: run.files.names(run.full(name)) is not None,
    )


def _return(run: Run, arguments: list[str]) -> bool:
    run.returned = True
    return arguments[:1] in ([], ["0"])


def _count(by: int) -> Callable[[Run, list[str]], bool]:
    """`increment VARIABLE` and `decrement VARIABLE` of Fedora's GRUB."""

    def count(run: Run, arguments: list[str]) -> bool:
        value = run.variables.get(arguments[0], "") if arguments else ""
        if not _NUMBER.fullmatch(value):
            return False
        run.variables[arguments[0]] = str(int(value) + by)
        return True

    return count


def _blscfg(run: Run, arguments: list[str]) -> bool:
    """`blscfg [default|non-default|ID]` of Fedora's GRUB, `blscfg [--path DIRECTORY]` of GRUB's."""
    run.shared.uses_bls = True
    paths = [run.variables.get("blsdir") or "/loader/entries", "/boot/loader/entries"]
    waiting = iter(arguments)
    for argument in waiting:
        option, equals, value = argument.partition("=")
        if option in ("-p", "--path"):
            paths = [value if equals else next(waiting, "")]
    devices = dict.fromkeys(run.variables.get(name, "") for name in ("root", "boot"))
    directories = [
        path if path.startswith("(") else f"({device}){path}"
        for device in devices
        for path in paths
    ]
    entries = next((found for found in map(run.entries, directories) if found), [])
    wanted = run.variables.get("default", "")
    chosen = [
        str(number) == wanted or wanted in (entry.identifier, entry.title)
        for number, entry in enumerate(entries)
    ]
    match [item for item in arguments if not item.startswith("-")]:
        case ["default"]:
            entries = [entry for entry, is_chosen in zip(entries, chosen, strict=True) if is_chosen]
        case ["non-default"]:
            entries = [
                entry for entry, is_chosen in zip(entries, chosen, strict=True) if not is_chosen
            ]
    run.pending += entries
    return True


COMMANDS: Final[Mapping[str, Callable[[Run, list[str]], bool]]] = {
    "set": _set,
    "unset": _unset,
    "load_env": _load_env,
    "search": _search,
    "search.fs_uuid": _search_by("uuid"),
    "search.fs_label": _search_by("label"),
    "search.file": _search_by("file"),
    "source": _source,
    ".": _source,
    "configfile": _configfile,
    "[": _test,
    "test": _test,
    "return": _return,
    "increment": _count(1),
    "decrement": _count(-1),
    "blscfg": _blscfg,
    "bls_import": _blscfg,
}
