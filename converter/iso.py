"""Files of ISO images, by whichever of their directories tells the most: the importer of pycdlib.

ECMA-119 (ISO 9660) with Rock Ridge or Joliet, and UDF. Nothing is mounted or unpacked; an image
that does not fit together is a `FormatError`. So is one that takes too much to read: everything
that pycdlib does over and over, it does with what it reads, and that has bounds here.
"""

from __future__ import annotations

import io
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

_DEPTH: Final = 32
# The directories of the largest images have some megabytes, and take a second.
_DIRECTORIES: Final = 64 << 20
_SECONDS: Final = 60.0
# pycdlib takes the square of this to read one directory.
_PIECE: Final = 1 << 20
# pycdlib meets an image that lies with any of these.
_DAMAGE: Final = (
    PyCdlibException, struct.error, IndexError, KeyError, ValueError, AttributeError, TypeError,
    RecursionError, OverflowError, EOFError,
)  # fmt: skip


class _Metered(io.FileIO):
    """A file of which only so much can be read, in pieces, and for so long."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.allow(_DIRECTORIES)

    def allow(self, size: int) -> None:
        """Let another `size` bytes be read."""
        self._left = size
        self._until = time.monotonic() + _SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        """See `io.RawIOBase`; a piece of a file is read whole, if it is there."""
        if size is None or not 0 <= size <= _PIECE:
            raise FormatError(f"has a directory of {size} bytes")
        data = super().read(size) or b""
        self._left -= len(data)
        if self._left < 0 or time.monotonic() > self._until:
            raise FormatError("takes more reading than an image of its kind")
        return data


class Image:
    """An opened ISO image, to be closed."""

    def __init__(self, path: Path) -> None:
        """Read the directories of the image at `path`. Raises `FormatError`, `OSError`."""
        self._iso: Any = pycdlib.PyCdlib()
        self._file = _Metered(path)
        try:
            with _errors():
                self._iso.open_fp(self._file)
            self._facade, self._key = self._best()
        except BaseException:
            self._file.close()
            raise

    def _best(self) -> tuple[Any, str]:
        iso = self._iso
        if iso.has_udf():
            return iso.get_udf_facade(), "udf_path"
        if iso.has_rock_ridge():
            return iso.get_rock_ridge_facade(), "rr_path"
        if iso.has_joliet():
            return iso.get_joliet_facade(), "joliet_path"
        return iso.get_iso9660_facade(), "iso_path"

    def close(self) -> None:
        """Close it."""
        self._iso.close()
        self._file.close()

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

    def read_into(self, path: str, size: int, target: IO[bytes]) -> None:
        """Write the content of the file `path`, which has `size` bytes, to `target`."""
        self._file.allow(size + _PIECE)
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
