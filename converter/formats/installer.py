"""Tables of a Windows Installer package, as text: which files it holds, and what they are called.

learn.microsoft.com, "Windows Installer: Text Archive Files", and the tables File, Component,
Directory and Media: the files are in cabinets by their keys, and have their names in tables. Only
what is within the package counts; folders are those of the target.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
TABLE_LIMIT: Final = 16 << 20
_ROWS: Final = 100_000
_DEPTH: Final = 32
_STREAM: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.]{0,61}")


def read_table(data: bytes) -> tuple[dict[str, str], ...]:
    """Give the rows of a table by their columns. Raises `FormatError`."""
    lines = data.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n").split("\n")
    # Columns, their types, and the table's name with its keys.
    if len(lines) < 3:
        raise FormatError("a table of it is damaged")
    if len(lines) > _ROWS:
        raise FormatError(f"a table of it has more than {_ROWS} rows")
    columns = lines[0].split("\t")
    rows = []
    for line in lines[3:]:
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise FormatError(f"a row of a table is damaged: {line[:80]!r}")
        rows.append(dict(zip(columns, cells, strict=True)))
    return tuple(rows)


def cabinets(media: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Give the streams of the package that are cabinets, of the rows of Media."""
    streams = [row["Cabinet"][1:] for row in media if row.get("Cabinet", "").startswith("#")]
    for name in streams:
        if not _STREAM.fullmatch(name):
            raise FormatError(f"a cabinet has the name {name[:80]!r}")
    return tuple(dict.fromkeys(streams))


def names(
    files: Iterable[Mapping[str, str]],
    components: Iterable[Mapping[str, str]],
    directories: Iterable[Mapping[str, str]],
) -> dict[str, str]:
    """Give the path of every file by its key, of the rows of File, Component and Directory."""
    folders = {row.get("Component", ""): row.get("Directory_", "") for row in components}
    parents = {row.get("Directory", ""): row for row in directories}
    paths: dict[str, str] = {}
    found = {}
    for row in files:
        folder = folders.get(row.get("Component_", ""), "")
        if folder not in paths:
            paths[folder] = "".join(f"{part}/" for part in _folders(folder, parents))
        found[row.get("File", "")] = paths[folder] + _long(row.get("FileName", ""))
    return found


def _folders(key: str, parents: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Give the names of a folder and those above it, the outermost first."""
    found: list[str] = []
    for _ in range(_DEPTH):
        row = parents.get(key)
        parent = row.get("Directory_Parent", "") if row else ""
        # The root, whose own name is that of the source.
        if row is None or parent in ("", key):
            return found[::-1]
        name = _long(row.get("DefaultDir", "").partition(":")[0])
        if name not in ("", "."):
            found.append(name)
        key = parent
    raise FormatError(f"folders are more than {_DEPTH} deep")


def _long(name: str) -> str:
    """Give the long one of `SHORT|long name`."""
    return name.rpartition("|")[2]


def product_version(properties: Iterable[Mapping[str, str]]) -> str:
    """Give what the package says its version is, of the rows of Property."""
    found = (row.get("Value", "") for row in properties if row.get("Property") == "ProductVersion")
    return next(found, "")
