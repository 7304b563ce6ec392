"""Files of ISO images, by whichever of their directories tells the most: the importer of pycdlib.

ECMA-119 (ISO 9660) with Rock Ridge or Joliet, and UDF. Nothing is mounted or unpacked; an image
that does not fit together is a `FormatError`.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

_DEPTH: Final = 32
# pycdlib meets an image that lies with any of these.
_DAMAGE: Final = (
    PyCdlibException, struct.error, IndexError, KeyError, ValueError, AttributeError, TypeError,
    RecursionError, OverflowError, EOFError,
)  # fmt: skip


class Image:
    """An opened ISO image; a context manager."""

    def __init__(self, path: Path) -> None:
        """Read the directories of the image at `path`. Raises `FormatError`, `OSError`."""
        self._iso: Any = pycdlib.PyCdlib()
        with _errors():
            self._iso.open(str(path))
        self._facade, self._key = self._best()

    def _best(self) -> tuple[Any, str]:
        iso = self._iso
        if iso.has_udf():
            return iso.get_udf_facade(), "udf_path"
        if iso.has_rock_ridge():
            return iso.get_rock_ridge_facade(), "rr_path"
        if iso.has_joliet():
            return iso.get_joliet_facade(), "joliet_path"
        return iso.get_iso9660_facade(), "iso_path"

    def __enter__(self) -> Self:
        """Give the opened image."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._iso.close()

    def files(self) -> Iterator[tuple[str, int]]:
        """Give every file's path, from `/` on, and its size in bytes."""
        with _errors():
            yield from self._below("/", 0)

    def _below(self, folder: str, depth: int) -> Iterator[tuple[str, int]]:
        if depth > _DEPTH:
            raise FormatError(f"{folder[:200]}: is too deep")
        for record in self._facade.list_children(**{self._key: folder}):
            if record is None or record.is_dot() or record.is_dotdot():
                continue
            name = self._name(record)
            path = f"{folder.rstrip('/')}/{name}"
            if record.is_dir():
                yield from self._below(path, depth + 1)
            elif record.is_file():
                yield path, record.get_data_length()

    def _name(self, record: Any) -> str:  # noqa: ANN401 - a record of any of the directories
        if self._key == "rr_path":
            return str(record.rock_ridge.name().decode("utf-8", "replace"))
        raw: bytes = record.file_identifier()
        if self._key == "joliet_path":
            return raw.decode("utf-16-be", "replace")
        return raw.decode("latin-1" if self._key == "udf_path" else "ascii", "replace")

    def read_into(self, path: str, target: IO[bytes]) -> None:
        """Write the content of the file `path` to `target`."""
        with _errors():
            self._facade.get_file_from_iso_fp(target, **{self._key: path})


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except FormatError:
        raise
    except _DAMAGE as error:
        raise FormatError(f"is no ISO image that can be read: {error}") from error
