"""The registry of a Windows guest: hives by the guest's path of their files.

A hive that Windows did not write to its end is what its logs make of it (`registry_log`); where
they do not, the guest is refused, for an edit would make what is lost look whole.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from converter.errors import GuestRefusedError
from converter.formats import FormatError
from converter.formats.registry import Hive, is_dirty, recover
from converter.formats.registry_log import LOG_LIMIT
from converter.guest import paths
from converter.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.formats.registry import Reader, Value
    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

# Those of large servers have 200 to 300 MB; all that are held together may have this much.
LIMIT: Final = 1 << 30
_LOGS: Final = (".LOG1", ".LOG2", ".LOG")


class Hives:
    """The hives of `guest`, each read once."""

    def __init__(self, guest: ReadableGuest) -> None:
        """Read nothing yet."""
        self._guest = guest
        self._read: dict[str, bytes] = {}
        self._readers: dict[str, Reader] = {}

    def data(self, path: str) -> bytes:
        """Give the hive at `path` as it is after its logs were replayed.

        Raises `GuestRefusedError` ``registry-dirty`` and ``registry-damaged``.
        """
        if path not in self._read:
            left = LIMIT - sum(map(len, self._read.values()))
            self._read[path] = read_whole(self._guest, path, limit=left)
        return self._read[path]

    def reader(self, path: str) -> Reader:
        """Give the hive at `path` to look at. Raises as `data` does."""
        if path not in self._readers:
            self._readers[path] = GuestHive(path, self.data(path))
        return self._readers[path]

    def copy(self, path: str) -> GuestHive:
        """Give a copy of the hive at `path` that may be edited, all of it found to be whole.

        Raises as `data` does.
        """
        hive = GuestHive(path, self.data(path))
        hive.check()
        return hive


class GuestHive:
    """The hive at `path` of a guest: an `Editor` that refuses the guest where it makes no sense.

    A hive is read where it is asked, and no further: damage can come to light with every question.
    """

    def __init__(self, path: str, data: bytes) -> None:
        """Open it. Raises `GuestRefusedError` ``registry-damaged``, as all else here does."""
        self._path = path
        with _refused(path):
            self._hive = Hive(data)

    def check(self) -> None:
        """Read all of it: what is damaged must not be edited."""
        with _refused(self._path):
            self._hive.check()

    def tobytes(self) -> bytes:
        """Give the hive as it is to be written."""
        return self._hive.tobytes()

    def exists(self, path: str) -> bool:
        """See `Reader`."""
        with _refused(self._path):
            return self._hive.exists(path)

    def subkeys(self, path: str) -> tuple[str, ...]:
        """See `Reader`."""
        with _refused(self._path):
            return self._hive.subkeys(path)

    def values(self, path: str) -> dict[str, Value]:
        """See `Reader`."""
        with _refused(self._path):
            return self._hive.values(path)

    def value(self, path: str, name: str) -> Value | None:
        """See `Reader`."""
        with _refused(self._path):
            return self._hive.value(path, name)

    def set_value(self, path: str, name: str, value: Value) -> None:
        """See `Editor`."""
        with _refused(self._path):
            self._hive.set_value(path, name, value)

    def delete_value(self, path: str, name: str) -> None:
        """See `Editor`."""
        with _refused(self._path):
            self._hive.delete_value(path, name)

    def delete_key(self, path: str) -> None:
        """See `Editor`."""
        with _refused(self._path):
            self._hive.delete_key(path)


@contextmanager
def _refused(path: str) -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        raise damaged(path, str(error)) from error


def read_whole(guest: ReadableGuest, path: str, *, limit: int = LIMIT) -> bytes:
    """Read the hive at `path`, its logs replayed if it is dirty. Raises as `Hives.data` does."""
    data = guest.read(path, limit=limit)
    with _refused(path):
        if not is_dirty(data):
            return data
    try:
        return recover(data, _logs(guest, path))
    except FormatError as error:
        message = (
            f"{path}: Windows had not written it to its end, and its logs do not help: {error}"
        )
        hint = "start the machine, shut it down (shutdown /s /t 0), and export it again"
        raise _refusal("registry-dirty", message, hint) from error


def _logs(guest: ReadableGuest, path: str) -> list[bytes]:
    """Give the logs beside a hive. Raises `FormatError` for one that is too large for any.

    Left out, it might have what comes after the others.
    """
    directory, _, name = path.rpartition("/")
    there = {found.upper(): found for found in paths.names(guest, directory)}
    wanted = (there.get(f"{name}{suffix}".upper()) for suffix in _LOGS)
    logs = [guest.head(f"{directory}/{found}", length=LOG_LIMIT + 1) for found in wanted if found]
    if any(len(data) > LOG_LIMIT for data in logs):
        raise FormatError(f"a log of more than {LOG_LIMIT} bytes is none")
    return logs


def damaged(path: str, why: str) -> GuestRefusedError:
    """Give the refusal of a guest whose hive at `path` makes no sense."""
    hint = "restore the registry in the machine (a restore point, or a backup), and export it again"
    return _refusal("registry-damaged", f"{path}: {why}", hint)


def _refusal(code: str, message: str, hint: str) -> GuestRefusedError:
    finding = Finding(Severity.ERROR, code, message, hint)
    return GuestRefusedError(code, message, hint=hint, findings=(finding,))


class Recorder:
    """An `Editor` of one hive whose edits are planned, all for the same reason."""

    def __init__(self, guest: RecordingGuest, path: str, *, code: str, reason: str) -> None:
        """Edit the hive at `path` of `guest`."""
        self._guest = guest
        self._path = path
        self._code = code
        self._reason = reason

    @property
    def _hive(self) -> Reader:
        return self._guest.hive(self._path)

    def exists(self, path: str) -> bool:
        """See `Reader`."""
        return self._hive.exists(path)

    def subkeys(self, path: str) -> tuple[str, ...]:
        """See `Reader`."""
        return self._hive.subkeys(path)

    def values(self, path: str) -> dict[str, Value]:
        """See `Reader`."""
        return self._hive.values(path)

    def value(self, path: str, name: str) -> Value | None:
        """See `Reader`."""
        return self._hive.value(path, name)

    def set_value(self, path: str, name: str, value: Value) -> None:
        """See `Editor`."""
        self._guest.set_value(self._path, path, name, value, code=self._code, reason=self._reason)

    def delete_value(self, path: str, name: str) -> None:
        """See `Editor`."""
        self._guest.delete_value(self._path, path, name, code=self._code, reason=self._reason)

    def delete_key(self, path: str) -> None:
        """See `Editor`."""
        self._guest.delete_key(self._path, path, code=self._code, reason=self._reason)
