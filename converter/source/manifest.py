"""OVF manifests (`.mf`, DMTF DSP0243 section 5.1): a digest for each file of the package."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from converter.errors import DamagedInputError, Faults
from converter.model import ListedFile
from converter.source.job import Job
from converter.source.reader import Reader, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from converter.model import ByteRange

_LIMIT: Final = 1 << 20
_PIECE: Final = 4 << 20
# OpenSSL 3 writes SHA2-256.
_LINE: Final = re.compile(
    r"SHA-?(1|(?:2-)?(?:256|384|512))\s*\((.+)\)\s*=\s*([0-9A-F]+)", re.IGNORECASE
)


def parse(
    reader: Reader, find: Callable[[str], ByteRange], faults: Faults
) -> tuple[ListedFile, ...]:
    """Give what the manifest lists; `find` gives a file by its name.

    Files that cannot be had are kept in `faults`. Raises `DamagedInputError`
    ``ova-manifest-invalid``.
    """
    if reader.length > _LIMIT:
        raise _invalid(reader.name, f"a manifest of {reader.length} bytes")
    # The names are those of the archive: bytes that are no UTF-8 are kept apart (surrogateescape).
    text = reader.read(0, reader.length).decode("utf-8-sig", "surrogateescape")
    found: dict[ListedFile, None] = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        match = _LINE.fullmatch(line)
        if match is None:
            raise _invalid(reader.name, f"not a manifest line: {line!r}")
        algorithm, name, expected = f"sha{match[1][-3:]}", match[2], match[3].lower()
        with faults.kept():
            found[ListedFile(reader.name, name, find(name), algorithm, expected)] = None
    return tuple(found)


def verify(
    listed: Sequence[ListedFile],
    faults: Faults,
    *,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Check every file that is listed: what is not as it should be is kept in `faults`.

    The code is ``ova-manifest-mismatch``. Ends early when it is cancelled.
    """
    digests: dict[tuple[ByteRange, str], str] = {}
    for line in listed:
        key = line.file, line.algorithm
        with faults.kept():
            if key not in digests:
                digests[key] = _digest(*key, is_cancelled)
            if is_cancelled():
                return
            if digests[key] != line.digest:
                what = f"the {line.algorithm.upper()} of {line.name!r}"
                raise _mismatch(line.manifest, what, digests[key], line.digest)


class VerifyJob(Job):
    """The same in the background; `wait` raises what is wrong."""

    def __init__(self, listed: Sequence[ListedFile], *, on_failure: Callable[[], None]) -> None:
        """Prepare it."""
        super().__init__("verify-manifest", on_failure=on_failure)
        self._listed = listed

    def _work(self) -> None:
        faults = Faults()
        verify(self._listed, faults, is_cancelled=self.is_cancelled)
        faults.raise_all()


def _invalid(manifest: str, what: str) -> DamagedInputError:
    return damaged(
        "ova-manifest-invalid",
        manifest,
        what,
        hint="copy it or export it again; a manifest may also be left out",
    )


def _mismatch(manifest: str, what: str, found: str, expected: str) -> DamagedInputError:
    return DamagedInputError(
        "ova-manifest-mismatch",
        f"{manifest}: {what} is {found}, not {expected}",
        hint="the export was damaged, or changed by hand: copy or export it again",
    )


def _digest(file: ByteRange, algorithm: str, is_cancelled: Callable[[], bool]) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with Reader(file) as reader:
        for offset in range(0, reader.length, _PIECE):
            if is_cancelled():
                break
            digest.update(reader.read(offset, min(_PIECE, reader.length - offset)))
    return digest.hexdigest()
