"""VMDK descriptors ("Virtual Disk Format 5.0", VMware, "The Descriptor File"): a codec, text only.

Settings (`KEY = "VALUE"`) and extents (`ACCESS SECTORS KIND "FILE" OFFSET`); any other line means
nothing. A line that begins like an extent and is none is an error: passed over, it would make the
disk shorter.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

from converter.source.reader import damaged

LIMIT: Final = 1 << 20
_BOM: Final = codecs.BOM_UTF8
_MARK: Final = b"# disk descriptorfile"
_ACCESS: Final = ("RW", "RDONLY", "NOACCESS")
_MAX_EXTENTS: Final = 4096
_EXTENT: Final = re.compile(
    r"""([A-Z]+)\s+(\d{1,15})\s+([A-Z0-9]+)(?:\s+"([^"]*)"(?:\s+(\d{1,15})(?:\s.*)?)?)?""",
    re.IGNORECASE,
)
_ENCODING: Final = re.compile(
    rb'^[ \t]*encoding[ \t]*=[ \t]*"?([\w-]{1,40})"?[ \t\r]*$', re.M | re.I
)
# Of these, every writer ends the descriptor with a disk database (`ddb.…`).
_SPLIT: Final = ("twogbmaxextentflat", "twogbmaxextentsparse")


@dataclass(frozen=True, slots=True)
class ExtentLine:
    """An extent as written: sizes in sectors, `file` is "" where none is named."""

    access: str
    sectors: int
    kind: str
    file: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A text descriptor: its settings (keys in lower case) and its extents."""

    settings: dict[str, str]
    extents: tuple[ExtentLine, ...]

    @property
    def create_type(self) -> str:
        """The disk's own word for what it is."""
        return self.settings.get("createtype", "")


def is_descriptor(head: bytes) -> bool:
    """Tell whether a file that begins with `head` is a descriptor."""
    text = head[:4096].removeprefix(_BOM).lstrip().lower()
    return text.startswith(_MARK) or (
        b"\0" not in head[:256] and re.search(rb"^[ \t]*createtype[ \t]*=", text, re.M) is not None
    )


def parse(name: str, data: bytes) -> Descriptor:
    """Read a descriptor; what follows a NUL is padding.

    Raises `DamagedInputError` ``vmdk-descriptor`` that names the file as `name`.
    """
    settings: dict[str, str] = {}
    extents = []
    for line in map(str.strip, _decoded(data.removeprefix(_BOM).partition(b"\0")[0]).split("\n")):
        if line.partition(" ")[0].partition("\t")[0].upper() in _ACCESS:
            extents.append(_extent(name, line))
        elif not line.startswith("#"):
            key, equals, value = line.partition("=")
            if equals:
                settings[key.strip().lower()] = value.strip().removeprefix('"').removesuffix('"')
    if len(extents) > _MAX_EXTENTS:
        raise damaged("vmdk-descriptor", name, f"a descriptor of {len(extents)} extents")
    return Descriptor(settings, tuple(extents))


def _decoded(data: bytes) -> str:
    """Decode as what it is, then as what it says it is; what is neither keeps its bytes.

    A copy tool may have changed the names of the extents to UTF-8, but not the descriptor.
    """
    said = match[1].decode() if (match := _ENCODING.search(data)) else "utf-8"
    for encoding in ("utf-8", said):
        try:
            return data.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    return data.decode("utf-8", "surrogateescape")


def _extent(name: str, line: str) -> ExtentLine:
    match = _EXTENT.fullmatch(line)
    if match is None:
        raise damaged("vmdk-descriptor", name, f"a line that is no extent: {line[:80]!r}")
    access, sectors, kind, file, offset = match.groups()
    return ExtentLine(access.upper(), int(sectors), kind, file or "", int(offset or 0))


def check_complete(name: str, descriptor: Descriptor) -> None:
    """Raise `DamagedInputError` for a descriptor that was cut off, as far as that can be told."""
    if not descriptor.extents:
        raise damaged("vmdk-descriptor", name, "names no extents: it was cut off")
    split = descriptor.create_type.lower() in _SPLIT
    if split and not any(key.startswith("ddb.") for key in descriptor.settings):
        raise damaged("vmdk-descriptor", name, "ends before its disk database: it was cut off")
