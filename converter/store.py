"""The driver store: a directory of payloads, and a lock file that says what each of them is.

    DIRECTORY/drivers.lock                    every payload with its size and SHA-256
    DIRECTORY/BUNDLE/PAYLOAD/FILE             as the vendor made it
    DIRECTORY/BUNDLE/PAYLOAD/FILE.sig         the vendor's signature, where it came with one
    DIRECTORY/keys/BUNDLE.asc                 the key that signatures are checked with

Nothing of a store is believed: a payload counts only when it is what the lock says, its signature
is good, and it can be read as what it is meant to be.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import msgspec

from converter import bundles, driver_package, signature
from converter.archive import check_archive
from converter.bundles import Format
from converter.errors import ConversionError, DamagedInputError, UsageError, writing_failed
from converter.formats import FormatError, installer
from converter.formats.package import Package, read_deb, read_rpm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from typing import BinaryIO

    from converter.bundles import Bundle, Payload

VARIABLE: Final = "CONVERTER_DRIVERS"
LOCK: Final = "drivers.lock"
KEYS: Final = "keys"
SIGNATURE: Final = ".sig"
SCHEMA: Final = 1
# The largest of them, .NET's offline installer, has 120 MB.
PAYLOAD_LIMIT: Final = 512 << 20
SIGNATURE_LIMIT: Final = 64 << 10
_LOCK_LIMIT: Final = 4 << 20
_PIECE: Final = 1 << 20
_AGAIN: Final = "fetch or import it again (converter drivers fetch, converter drivers import)"


@dataclass(frozen=True, slots=True)
class Entry:
    """A payload of the store as the lock has it; `signed`: a signature came with it."""

    bundle: str
    payload: str
    file: str
    size: int
    sha256: str
    origin: str
    version: str = ""
    signed: bool = False


class _Lock(msgspec.Struct):
    schema: int
    payloads: list[Entry]


@dataclass(frozen=True, slots=True)
class Checked:
    """A payload that was found to be what it must be: its file, and what it says of itself.

    `is_unsigned`: there is a key to check its vendor's signature with, and no signature.
    """

    entry: Entry
    path: Path
    package: Package | None = None
    is_unsigned: bool = False


def default_directory() -> Path | None:
    """Give where the store is if nobody says: $CONVERTER_DRIVERS, or below $XDG_DATA_HOME."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_DATA_HOME", "")
    try:
        home = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share"
    except RuntimeError:
        return None
    return home / "converter" / "drivers"


class Store:
    """The payloads in a directory."""

    def __init__(self, directory: Path) -> None:
        """Read the lock of the store in `directory`; without one the store is empty.

        Raises `DamagedInputError` ``store-invalid`` for a lock that is none.
        """
        self.directory = directory
        self.entries = _read_lock(directory / LOCK)

    def must_be_writable(self) -> None:
        """Try to write where the store is or will be, before anything is got that is to go into it.

        Nothing is left there: who gets nothing makes no store. Raises `ConversionError`
        ``store-unwritable``.
        """
        place = self.directory
        try:
            while not place.exists() and place != place.parent:
                place = place.parent
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            raise writing_failed(self.directory, error, code="store-unwritable") from error

    def find(self, bundle: Bundle, payload: Payload) -> Entry | None:
        """Give what the lock says of a payload, None when it is not in the store."""
        wanted = (bundle.name, payload.name)
        return next((e for e in self.entries if (e.bundle, e.payload) == wanted), None)

    def path(self, entry: Entry) -> Path:
        """Give where a payload is."""
        return self.directory / entry.bundle / entry.payload / entry.file

    def check(self, entry: Entry) -> Checked:
        """Read a payload to its end, and give it when everything about it is right.

        Raises `DamagedInputError` that says what is not.
        """
        path = self.path(entry)
        bundle, payload = known(entry)
        try:
            with _opened(path) as file:
                size = os.fstat(file.fileno()).st_size
                if size != entry.size:
                    raise _damaged(path, f"has {size} bytes, the lock says {entry.size}")
                if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
                    raise _damaged(path, "is not what was locked: its SHA-256 differs")
                package = read_content(file, bundle, payload, path).package
        except OSError as error:
            raise _damaged(path, error.strerror or str(error)) from error
        key = self.key(bundle)
        detached = path.with_name(path.name + SIGNATURE)
        # A signature that lies there counts, whatever the lock says.
        is_signed = entry.signed or os.path.lexists(detached)
        if is_signed:
            if key is None:
                raise _damaged(path, f"there is no key {KEYS}/{bundle.name}.asc for its signature")
            signature.check(path, detached, key)
        is_unsigned = bool(payload.signature) and key is not None and not is_signed
        return Checked(entry, path, package, is_unsigned)

    def key(self, bundle: Bundle) -> Path | None:
        """Give the file of the key that signatures of a bundle are checked with."""
        path = self.directory / KEYS / f"{bundle.name}.asc"
        return path if path.is_file() else None

    def add_key(self, bundle: Bundle, key: bytes) -> None:
        """Keep the key that signatures of a bundle are checked with."""
        _write(self.directory / KEYS / f"{bundle.name}.asc", key)

    def add(
        self,
        bundle: Bundle,
        payload: Payload,
        source: Path,
        *,
        origin: str,
        signed_by: bytes | None = None,
    ) -> Entry:
        """Put the file `source` into the store and lock it; what was there before goes.

        `signed_by` is its detached signature. Raises `DamagedInputError` for what is not the
        payload, and `ConversionError` for a store that cannot be written.
        """
        place = self.directory / bundle.name / payload.name
        final = place / payload.file
        staged = _staged(place, source)
        try:
            with staged.open("rb") as file:
                content = read_content(file, bundle, payload, source)
            if signed_by is not None:
                self._check_signature(bundle, staged, signed_by)
            entry = Entry(
                bundle.name,
                payload.name,
                payload.file,
                staged.stat().st_size,
                _sha256(staged),
                origin,
                content.version or payload.version,
                signed_by is not None,
            )
            if payload.sha256 and payload.sha256 != entry.sha256:
                raise _damaged(source, "is not what the vendor publishes: its SHA-256 differs")
            detached = final.with_name(final.name + SIGNATURE)
            with self._locked():
                if signed_by is None:
                    detached.unlink(missing_ok=True)
                else:
                    _write(detached, signed_by)
                staged.replace(final)
                self._lock(entry)
        except OSError as error:
            raise writing_failed(final, error, code="store-unwritable") from error
        finally:
            staged.unlink(missing_ok=True)
        return entry

    def _check_signature(self, bundle: Bundle, file: Path, signed_by: bytes) -> None:
        key = self.key(bundle)
        if key is None:
            raise UsageError(
                "key-missing",
                f"{bundle.name} is signed, and there is no key to check it with",
                hint=f"give the vendor's public key with --key FILE ({bundle.origin})",
            )
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".") as detached:
            detached.write(signed_by)
            detached.flush()
            signature.check(file, Path(detached.name), key)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others that add to the store waiting, and see what they added."""
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self.entries = _read_lock(self.directory / LOCK)
            yield
        finally:
            os.close(descriptor)

    def _lock(self, entry: Entry) -> None:
        others = [
            old
            for old in self.entries
            if (old.bundle, old.payload) != (entry.bundle, entry.payload)
        ]
        self.entries = tuple(sorted([*others, entry], key=lambda e: (e.bundle, e.payload)))
        document = msgspec.json.encode(_Lock(SCHEMA, list(self.entries)))
        _write(self.directory / LOCK, msgspec.json.format(document, indent=2) + b"\n")


def known(entry: Entry) -> tuple[Bundle, Payload]:
    """Give the definitions of what a lock names. Raises `DamagedInputError` for names of none."""
    bundle = bundles.find(entry.bundle)
    if bundle is not None:
        for payload in bundle.payloads:
            if (payload.name, payload.file) == (entry.payload, entry.file):
                return bundle, payload
    raise DamagedInputError(
        "store-unknown",
        f"{entry.bundle}/{entry.payload}/{entry.file}: no bundle has such a payload",
        hint="the store is another version's; import it again",
    )


@dataclass(frozen=True, slots=True)
class Content:
    """What a payload says of itself."""

    version: str = ""
    package: Package | None = None


def read_content(file: BinaryIO, bundle: Bundle, payload: Payload, path: Path) -> Content:
    """Read a payload as what it is meant to be; `path` is what messages call it.

    Raises `DamagedInputError` ``payload-damaged``.
    """
    file.seek(0)
    try:
        match payload.format:
            case Format.DEB:
                return _named(read_deb(file), bundle)
            case Format.RPM:
                return _named(read_rpm(file), bundle)
            case Format.ZIP:
                return _zip(file, bundle, payload)
            case Format.TAR:
                check_archive(file, payload.format)
            case Format.EXE:
                _expect(file, b"MZ", "no program for Windows")
            case Format.MSI:
                _expect(file, installer.MAGIC, "no Windows Installer package")
    except FormatError as error:
        raise _damaged(path, str(error)) from error
    return Content()


def _named(package: Package, bundle: Bundle) -> Content:
    if package.name != bundle.provides:
        raise FormatError(f"is the package {package.name!r}, not {bundle.provides}")
    return Content(package.version, package)


def _zip(file: BinaryIO, bundle: Bundle, payload: Payload) -> Content:
    check_archive(file, Format.ZIP)
    if payload.holds:
        with zipfile.ZipFile(file) as archive:
            names = (PurePosixPath(entry.filename).name for entry in archive.infolist())
            if payload.holds.casefold() not in map(str.casefold, names):
                raise FormatError(f"has no {payload.holds} in it")
    if driver_package.is_package(bundle):
        return Content(driver_package.check(file, bundle, payload))
    return Content()


def _expect(file: BinaryIO, magic: bytes, message: str) -> None:
    if file.read(len(magic)) != magic:
        raise FormatError(f"is {message}")


def _damaged(path: Path, what: str) -> DamagedInputError:
    return DamagedInputError("payload-damaged", f"{path}: {what}", hint=_AGAIN)


def _opened(path: Path) -> BufferedReader:
    """Open a regular file of the store: no link, no device, nothing that would wait."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, "is not a regular file")
    return file


def _read_lock(path: Path) -> tuple[Entry, ...]:
    try:
        with _opened(path) as file:
            data = file.read(_LOCK_LIMIT + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise DamagedInputError(
            "store-invalid",
            f"{path}: {error.strerror}",
            hint="check its permissions; it must be a file, not a link",
        ) from error
    try:
        lock = msgspec.json.decode(data[:_LOCK_LIMIT], type=_Lock)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedInputError(
            "store-invalid", f"{path}: is no lock of a driver store: {error}", hint=_AGAIN
        ) from error
    if lock.schema != SCHEMA:
        raise DamagedInputError(
            "store-invalid",
            f"{path}: schema {lock.schema}, this converter reads {SCHEMA}",
            hint="use the version of converter that wrote it, or fill another directory anew",
        )
    return tuple(lock.payloads)


def _staged(place: Path, source: Path) -> Path:
    """Copy `source` to a hidden name in `place`, up to the limit."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=place, prefix=".")
        staged = Path(name)
    except OSError as error:
        raise writing_failed(place, error, code="store-unwritable") from error
    try:
        with os.fdopen(descriptor, "wb") as target, source.open("rb") as file:
            while piece := file.read(_PIECE):
                if target.tell() + len(piece) > PAYLOAD_LIMIT:
                    raise _damaged(source, f"is larger than any payload ({PAYLOAD_LIMIT} bytes)")
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
        staged.chmod(0o644)
    except OSError as error:
        staged.unlink()
        raise writing_failed(place, error, code="store-unwritable") from error
    except ConversionError:
        staged.unlink()
        raise
    return staged


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, at once."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise writing_failed(path, error, code="store-unwritable") from error
