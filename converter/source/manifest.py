"""OVF manifests (`.mf`, DMTF DSP0243 section 5.1): a digest for each file of the package."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from converter.errors import DamagedInputError
from converter.source.reader import Reader, damaged

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.errors import Faults
    from converter.model import ByteRange

_LIMIT: Final = 1 << 20
_PIECE: Final = 4 << 20
_LINE: Final = re.compile(r"(SHA1|SHA256|SHA512)\s*\((.+)\)\s*=\s*([0-9A-Fa-f]+)")


def verify(reader: Reader, find: Callable[[str], ByteRange], faults: Faults) -> None:
    """Check every file that the manifest lists; `find` gives a file by its name.

    Files that are not what it says (``ova-manifest-mismatch``), or cannot be had, are kept in
    `faults`. Raises `DamagedInputError` ``ova-manifest-invalid``.
    """
    if reader.length > _LIMIT:
        raise damaged("ova-manifest-invalid", reader.name, f"a manifest of {reader.length} bytes")
    # The names are those of the archive: bytes that are no UTF-8 are kept apart (surrogateescape).
    text = reader.read(0, reader.length).decode("utf-8-sig", "surrogateescape")
    seen: dict[tuple[str, str], str] = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        match = _LINE.fullmatch(line)
        if match is None:
            raise damaged("ova-manifest-invalid", reader.name, f"not a manifest line: {line!r}")
        algorithm, name, expected = match.groups()
        with faults.kept():
            if (algorithm, name) not in seen:
                seen[algorithm, name] = _digest(find(name), algorithm.lower())
            found = seen[algorithm, name]
            if found != expected.lower():
                raise _mismatch(
                    reader.name, f"the {algorithm} of {name!r}", found, expected.lower()
                )


def _mismatch(manifest: str, what: str, found: str, expected: str) -> DamagedInputError:
    return DamagedInputError(
        "ova-manifest-mismatch",
        f"{manifest}: {what} is {found}, not {expected}",
        hint="the export was damaged, or changed by hand: copy or export it again",
    )


def _digest(file: ByteRange, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with Reader(file) as reader:
        for offset in range(0, reader.length, _PIECE):
            digest.update(reader.read(offset, min(_PIECE, reader.length - offset)))
    return digest.hexdigest()
