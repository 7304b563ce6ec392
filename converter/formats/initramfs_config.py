"""The configuration by which a guest's own tool makes the next initramfs: modules added to it.

Text in, text out; what is listed already stays as it is, and comes once. Each edit is named in
`[initramfs.*]` of data/linux.toml:

- `module-lines`: a name on each line (initramfs-tools(7), "modules").
- `dracut`: a file of its own for dracut.conf.d (dracut.conf(5), `add_drivers`).
- `mkinitcpio`: the array MODULES (mkinitcpio.conf(5)), or the string it was before 2019.
- `initrd-modules`: INITRD_MODULES of SUSE's /etc/sysconfig/kernel (mkinitrd(8) of SLES 11).
- `host-adapters`: `alias scsi_hostadapterN` in RHEL 5's /etc/modprobe.conf, which its mkinitrd
  includes the modules of.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import kmod, shellvars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_COMMENT: Final = "Drivers for Amazon EC2's disks, kept in every initramfs."
_ARRAY: Final = re.compile(r"^[ \t]*MODULES\+?=\(", re.MULTILINE)
# What may be in an array: bare words, quoted ones, remarks to the end of a line.
_ITEM: Final = re.compile(r"""\s+|\#[^\n]*|(?:[^\s\#()"']|"[^"]*"|'[^']*')[^\s()"']*""")
_ADAPTER: Final = re.compile(
    r"^[ \t]*alias[ \t]+scsi_hostadapter(\d{0,6})[ \t]+(\S+)", re.MULTILINE
)


def _missing(names: Iterable[str], listed: Iterable[str]) -> list[str]:
    known = {kmod.normalise(name) for name in listed}
    return [name for name in names if name not in known]


def _with_lines(text: str, lines: Iterable[str]) -> str:
    gap = "" if not text or text.endswith("\n") else "\n"
    return text + gap + "".join(f"{line}\n" for line in lines)


def _module_lines(text: str, names: Sequence[str]) -> str:
    words = (line.split() for line in text.splitlines())
    new = _missing(names, (line[0] for line in words if line))
    return _with_lines(text, new) if new else text


def _dracut(_text: str, names: Sequence[str]) -> str:
    return f'# {_COMMENT}\nadd_drivers+=" {" ".join(names)} "\n' if names else _text


def _mkinitcpio(text: str, names: Sequence[str]) -> str:
    starts = list(_ARRAY.finditer(text))
    if not starts:
        variables = shellvars.parse(text)
        if variables.get("MODULES") is None:
            return _with_lines(text, [f"MODULES=({' '.join(names)})"]) if names else text
        return _with_words(text, "MODULES", names)
    start = end = starts[-1].end()
    listed = []
    while item := _ITEM.match(text, end):
        listed.append(item[0].strip("\"'"))
        end = item.end()
    new = _missing(names, listed)
    if not new or not text.startswith(")", end):
        return text
    # Before the array's own first word: a remark may follow the last one.
    gap = "" if text[start] == ")" or text[start].isspace() else " "
    return text[:start] + " ".join(new) + gap + text[start:]


def _initrd_modules(text: str, names: Sequence[str]) -> str:
    return _with_words(text, "INITRD_MODULES", names)


def _with_words(text: str, variable: str, names: Sequence[str]) -> str:
    variables = shellvars.parse(text)
    listed = (variables.get(variable) or "").split()
    new = _missing(names, listed)
    return str(variables.with_value(variable, " ".join([*listed, *new]))) if new else text


def _host_adapters(text: str, names: Sequence[str]) -> str:
    found = [(int(match[1] or 0), match[2]) for match in _ADAPTER.finditer(text)]
    new = _missing(names, (module for _, module in found))
    first = max((number for number, _ in found), default=-1) + 1
    lines = [
        f"alias scsi_hostadapter{number or ''} {name}" for number, name in enumerate(new, first)
    ]
    return _with_lines(text, lines) if new else text


EDITS: Final[Mapping[str, Callable[[str, Sequence[str]], str]]] = {
    "module-lines": _module_lines,
    "dracut": _dracut,
    "mkinitcpio": _mkinitcpio,
    "initrd-modules": _initrd_modules,
    "host-adapters": _host_adapters,
}


def with_modules(text: str, names: Iterable[str], *, edit: str) -> str:
    """Give the configuration `text` with the modules `names` in it; `edit` is one of `EDITS`."""
    return EDITS[edit](text, list(dict.fromkeys(kmod.normalise(name) for name in names)))
