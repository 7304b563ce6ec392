"""docs/errors.md, made from the catalogue of codes: ``python -m converter.report.codes FILE``."""

from __future__ import annotations

import sys
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from converter.codes import EXITS, OF_INPUT, Kind, catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converter.codes import Entry

_HEAD: Final = """\
<!-- Generated from converter/data/codes/*.toml by `make docs`: change it there. -->

# What converter says, and what to do about it

Everything that is found, and everything that ends a run, has a code that stays the same:
`warning: … [kernel-custom]` on the terminal, `code` in JSON, in the manifest and in the report.
`converter explain CODE` prints what is here.

All that is wrong with a guest is told together. `--policy aws` refuses what VM Import/Export
refuses, `--policy open` (the default of the command line) only what cannot be converted correctly;
with `--no-changes` a guest that could be read is warned of, not refused. What is told *at
once* does not wait for libguestfs' appliance, which takes some seconds to start.
"""
_COLUMNS: Final = (
    "code",
    "meaning",
    "cause",
    "what to do",
    "verdict",
    "told",
    "VM Import/Export says",
)
_TITLES: Final = {
    Kind.CONTAINER: "Refused containers",
    Kind.GUEST: "Refused guests",
    Kind.DAMAGED: "Damaged input",
    Kind.USAGE: "Usage",
    Kind.HOST: "This machine",
    Kind.FAILURE: "Failures",
    Kind.DEFECT: "Defects",
    Kind.INTERRUPTION: "Interruption",
    Kind.WARNING: "Warnings",
    Kind.INFO: "Information",
}


def render() -> str:
    """Give docs/errors.md."""
    sections = [
        (kind, [entry for entry in catalogue().values() if entry.kind is kind]) for kind in Kind
    ]
    contents = "\n".join(
        f"- [{_title(kind)}](#kind-{kind}): {len(entries)}" for kind, entries in sections
    )
    tables = (_section(kind, entries) for kind, entries in sections)
    return "\n".join([_HEAD, contents, *tables])


def _title(kind: Kind) -> str:
    return f"{_TITLES[kind]} (exit {EXITS[kind]})" if kind in EXITS else _TITLES[kind]


def _section(kind: Kind, entries: Sequence[Entry]) -> str:
    """Give a table of the columns that have anything in them."""
    rows = [_cells(entry) for entry in entries]
    used = [bool(any(column)) for column in zip(*rows, strict=True)]
    lines = [list(compress(row, used)) for row in (_COLUMNS, ["---"] * len(_COLUMNS), *rows)]
    return "\n".join([f'\n## <a id="kind-{kind}"></a>{_title(kind)}\n', *map(_line, lines)])


def _cells(entry: Entry) -> list[str]:
    is_of_input = entry.kind in OF_INPUT
    told = "with the appliance" if entry.needs_appliance else "at once"
    return [
        f'<a id="{entry.code}"></a>`{entry.code}`',
        entry.meaning,
        entry.cause,
        entry.cure,
        entry.verdict if is_of_input else "",
        told if is_of_input else "",
        "<br>".join(f"`{text}`" for text in entry.service),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render() + "\n", "utf-8")
