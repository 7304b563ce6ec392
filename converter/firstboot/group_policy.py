r"""A startup script of the local Group Policy object, put in and taken out again.

Specifications: [MS-GPOL] 2.2.4 and 3.3.5.4 for gpt.ini (extensions in order of their GUIDs, the
computer's version in the low 16 bits), [MS-GPSCR] 2.2.2 for scripts.ini. Both lie below
`System32\GroupPolicy`; Windows runs the script as SYSTEM, from `Machine\Scripts\Startup`.

Limits: where the numbers of the scripts have gaps, or the extensions are in no form that is known,
nothing is edited.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, windows_ini

if TYPE_CHECKING:
    from converter.formats.windows_ini import WindowsIni

DIRECTORY: Final = "System32/GroupPolicy"
GPT: Final = f"{DIRECTORY}/gpt.ini"
SCRIPTS: Final = f"{DIRECTORY}/Machine/Scripts/scripts.ini"
STARTUP: Final = f"{DIRECTORY}/Machine/Scripts/Startup"

# The client-side extension that runs scripts, and the editor's for startup and shutdown scripts.
_EXTENSION: Final = "{42B5FAAE-6536-11D2-AE5A-0000F87571E3}"
_TOOL: Final = "{40B6664F-4972-11D1-A7CA-0000F87571E3}"
_GUID: Final = r"\{[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}"
_GROUP: Final = re.compile(rf"\[((?:{_GUID})+)\]")
_GROUPS: Final = re.compile(rf"(?:\[(?:{_GUID})+\])*")
_NUMBERED: Final = re.compile(r"(\d{1,9})(CmdLine|Parameters)", re.IGNORECASE | re.ASCII)
_MOST_SCRIPTS: Final = 100
_MACHINE: Final = 0xFFFF
_VERSIONS: Final = 1 << 32
_MACHINE_OFF: Final = 2
_GENERAL: Final = "General"
_NAMES: Final = "gPCMachineExtensionNames"
_EMPTY_GPT: Final = b"[General]\r\ngPCFunctionalityVersion=2\r\n"
# As the editor writes it: a blank line first.
_EMPTY_SCRIPTS: Final = codecs.BOM_UTF16_LE + "\r\n[Startup]\r\n".encode("utf-16-le")
_SECTION: Final = "Startup"


def computer_part_is_off(gpt: bytes) -> bool:
    """Tell whether gpt.ini turns the computer's half of the policy off."""
    options = windows_ini.parse(gpt).get(_GENERAL, "Options") or "0"
    return options.isascii() and options.isdecimal() and bool(int(options[:9]) & _MACHINE_OFF)


def with_extension(gpt: bytes | None) -> bytes:
    """Give a gpt.ini that has scripts run, of a version of its own; None is no file yet."""
    file = windows_ini.parse(_EMPTY_GPT if gpt is None else gpt)
    names = _merged(file.get(_GENERAL, _NAMES) or "")
    return bytes(_with_version(file.with_value(_GENERAL, _NAMES, names), 1))


def without_extension(gpt: bytes | None) -> bytes:
    """Give what is to follow `with_extension`: `gpt`, newer than that.

    Windows looks at the version to see that there is something to do, so the file is not deleted
    where there was none.
    """
    return bytes(_with_version(windows_ini.parse(_EMPTY_GPT if gpt is None else gpt), 2))


def _merged(names: str) -> str:
    if not _GROUPS.fullmatch(names):
        raise FormatError(f"{_NAMES} is in no form that is known: {names[:80]!r}")
    found: dict[str, set[str]] = {}
    for group in _GROUP.findall(names):
        extension, *tools = re.findall(_GUID, group.upper())
        found.setdefault(extension, set()).update(tools)
    found.setdefault(_EXTENSION, set()).add(_TOOL)
    return "".join(f"[{name}{''.join(sorted(found[name]))}]" for name in sorted(found))


def _with_version(file: WindowsIni, by: int) -> WindowsIni:
    text = file.get(_GENERAL, "Version") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) < _VERSIONS):
        raise FormatError(f"Version is no number: {text[:80]!r}")
    version = int(text)
    # It never becomes 0: that is a policy without content.
    machine = (version & _MACHINE) + by
    machine = machine if machine <= _MACHINE else machine - _MACHINE
    return file.with_value(_GENERAL, "Version", str(version & ~_MACHINE | machine))


def with_startup_script(scripts: bytes | None, command: str) -> bytes:
    """Give a scripts.ini that runs `command` after the startup scripts that it has."""
    file = windows_ini.parse(_EMPTY_SCRIPTS if scripts is None else scripts)
    entries = _entries(file)
    if any(line.upper() == command.upper() for line, _ in entries):
        return bytes(file)
    return bytes(_with_entry(file, len(entries), command, ""))


def without_startup_script(scripts: bytes | None, command: str) -> bytes | None:
    """Give a scripts.ini without `command`, the others in their order; None for no file."""
    if scripts is None:
        return None
    file = windows_ini.parse(scripts)
    entries = _entries(file)
    others = [entry for entry in entries if entry[0].upper() != command.upper()]
    if len(others) == len(entries):
        return scripts
    for number, (line, parameters) in enumerate(others):
        file = _with_entry(file, number, line, parameters)
    for number in range(len(others), len(entries)):
        for part in ("CmdLine", "Parameters"):
            file = file.without(_SECTION, f"{number}{part}")
    return bytes(file)


def _entries(file: WindowsIni) -> list[tuple[str, str]]:
    """Give command and parameters of each startup script. Their numbers have no gaps."""
    found: dict[int, dict[str, str]] = {}
    for key, value in file.items(_SECTION):
        numbered = _NUMBERED.fullmatch(key)
        if numbered:
            found.setdefault(int(numbered[1]), {}).setdefault(numbered[2].upper(), value)
    if len(found) > _MOST_SCRIPTS:
        raise FormatError(f"has more than {_MOST_SCRIPTS} startup scripts")
    entries = [found.get(number, {}) for number in range(len(found))]
    if any("CMDLINE" not in entry for entry in entries):
        raise FormatError("the numbers of the startup scripts have gaps")
    return [(entry["CMDLINE"], entry.get("PARAMETERS", "")) for entry in entries]


def _with_entry(file: WindowsIni, number: int, line: str, parameters: str) -> WindowsIni:
    file = file.with_value(_SECTION, f"{number}CmdLine", line)
    return file.with_value(_SECTION, f"{number}Parameters", parameters)
