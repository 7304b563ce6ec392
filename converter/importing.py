"""Finds payloads in what vendors and colleagues hand over: files, directories, zips, tars, ISOs.

A file counts as a payload by the vendor's name for it; packages, which all have the same name, by
what they say of themselves. A container is looked through to its end before anything is taken.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, Final

from converter import bundles
from converter.archive import DAMAGE, check_archive
from converter.bundles import Format
from converter.errors import DamagedInputError, UsageError
from converter.formats import FormatError, inf
from converter.formats.package import read_deb, read_rpm
from converter.iso import Image
from converter.store import PAYLOAD_LIMIT, SIGNATURE, SIGNATURE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.bundles import Bundle, Payload
    from converter.formats.package import Package
    from converter.store import Entry, Store

_ISO_LIMIT: Final = 8 << 30
_ISO_MEMBERS: Final = 100_000
_ISO_MAGIC: Final = (0x8001, b"CD001")
_UDF_MAGIC: Final = (b"BEA01",)


@dataclass(frozen=True, slots=True)
class Imported:
    """A payload that was taken: where from, what the store says of it, and what was not checked."""

    origin: str
    entry: Entry
    remark: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file that may be a payload: what it is called, and where it can be read."""

    name: str
    path: Path


def bring(store: Store, source: Path, work: Path) -> tuple[Imported, ...]:
    """Import every payload of `source` into `store`; `work` is for what must be unpacked.

    Raises `DamagedInputError` for a container that is damaged or hostile, `UsageError`
    ``nothing-to-import`` where nothing in it is a payload of any bundle.
    """
    try:
        candidates = list(_candidates(source, work))
        matches = [(c, *match) for c in candidates for match in _matches(c)]
    except FormatError as error:
        raise DamagedInputError(
            "import-refused", f"{source}: {error}", hint="get it from its vendor again"
        ) from error
    except OSError as error:
        raise UsageError("import-unreadable", f"{source}: {error.strerror or error}") from error
    if not matches:
        raise UsageError(
            "nothing-to-import",
            f"{source}: nothing in it is a payload of any bundle",
            hint="`converter drivers list` tells what the vendors' files are called",
        )
    return tuple(
        _take(store, bundle, payload, candidate, candidates)
        for candidate, bundle, payload in matches
    )


def _take(
    store: Store, bundle: Bundle, payload: Payload, found: _Candidate, others: list[_Candidate]
) -> Imported:
    beside = next((c for c in others if c.name == found.name + SIGNATURE), None)
    signed_by = None
    remark = ""
    if beside is not None and store.key(bundle) is not None:
        with beside.path.open("rb") as file:
            signed_by = file.read(SIGNATURE_LIMIT)
    elif payload.signature:
        lack = "no key to check it with" if beside else f"no {SIGNATURE} beside it"
        remark = f"its signature was not checked: there is {lack}"
    entry = store.add(bundle, payload, found.path, origin=found.name, signed_by=signed_by)
    return Imported(found.name, entry, remark)


def _matches(candidate: _Candidate) -> Iterator[tuple[Bundle, Payload]]:
    """Give the one payload that a file is, if it is any."""
    name = PurePosixPath(candidate.name).name.casefold()
    kind = name.rpartition(".")[2]
    package = _package(candidate, kind)
    for bundle in bundles.definitions():
        if package is not None:
            payloads = [p for p in bundle.payloads if _is_for(bundle, p, package, kind)]
            versions = [package.version]
        else:
            payloads = [p for p in bundle.payloads if p.file.casefold() == name]
            # The vendor's folder tells the version, where files of several have the same name.
            versions = [*PurePosixPath(candidate.name).parts]
            if len(payloads) > 1 and kind == Format.ZIP:
                versions += _driver_versions(candidate)
        exact = [p for p in payloads if p.version and any(_is_of(p, v) for v in versions)]
        for payload in (exact or [p for p in payloads if not package or not p.version])[:1]:
            yield bundle, payload


def _package(candidate: _Candidate, kind: str) -> Package | None:
    """Read a package, None for what is none by its name."""
    if kind not in (Format.DEB, Format.RPM):
        return None
    with candidate.path.open("rb") as file:
        return read_deb(file) if kind == Format.DEB else read_rpm(file)


def _is_for(bundle: Bundle, payload: Payload, package: Package, kind: str) -> bool:
    is_it = payload.format == kind and bundle.provides == package.name
    return is_it and package.architecture in payload.architectures


def _driver_versions(candidate: _Candidate) -> Iterator[str]:
    """Give the versions of the drivers in a zip; one that is none is told when it is taken."""
    try:
        with zipfile.ZipFile(candidate.path) as archive:
            for member in archive.infolist():
                if member.filename.casefold().endswith(".inf") and member.file_size <= inf.LIMIT:
                    with contextlib.suppress(FormatError):
                        yield inf.parse(inf.decode(archive.read(member))).version
    except DAMAGE:
        return


def _is_of(payload: Payload, version: str) -> bool:
    upstream = version.partition("-")[0]
    return f"{upstream}.".startswith(f"{payload.version}.")


def _candidates(source: Path, work: Path) -> Iterator[_Candidate]:
    """Give the files of `source` that have the name of a payload, a package, or a signature."""
    if source.is_dir():
        for folder, _, names in os.walk(source):
            for name in sorted(names):
                path = Path(folder, name)
                if _is_wanted(name) and path.is_file() and not path.is_symlink():
                    yield _Candidate(str(path), path)
        return
    if not source.is_file():
        raise FileNotFoundError(2, "no such file")
    if _is_iso(source):
        yield from _of_iso(source, work)
    elif _is_wanted(source.name):
        yield _Candidate(str(source), source)
        beside = source.with_name(source.name + SIGNATURE)
        if beside.is_file():
            yield _Candidate(str(beside), beside)
    else:
        yield from _of_archive(source, work)


def _is_wanted(name: str) -> bool:
    plain = PurePosixPath(name).name.casefold().removesuffix(SIGNATURE)
    if plain.endswith((".deb", ".rpm")):
        return True
    return any(
        payload.file.casefold() == plain
        for bundle in bundles.definitions()
        for payload in bundle.payloads
    )


def _is_iso(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(_ISO_MAGIC[0])
        return file.read(5) in (_ISO_MAGIC[1], *_UDF_MAGIC)


def _of_iso(source: Path, work: Path) -> Iterator[_Candidate]:
    with Image(source) as image:
        members = []
        total = 0
        for path, size in image.files():
            total += size
            members.append((path, size))
            if total > _ISO_LIMIT or len(members) > _ISO_MEMBERS:
                raise FormatError(
                    f"{path[:200]!r} ({size} bytes): with it, the image holds {total} bytes in"
                    f" {len(members)} files, more than any vendor's"
                )
        for path, size in members:
            # A version's number is no part of a file's name (ECMA-119, 7.5.1).
            name = path.partition(";")[0]
            if not _is_wanted(name):
                continue
            if size > PAYLOAD_LIMIT:
                raise FormatError(f"{name!r}: has {size} bytes, no payload is as large")
            with NamedTemporaryFile(dir=work, delete=False) as file:
                image.read_into(path, file)
            yield _Candidate(f"{source}!{name}", Path(file.name))


def _of_archive(source: Path, work: Path) -> Iterator[_Candidate]:
    with source.open("rb") as file:
        kind = Format.ZIP if zipfile.is_zipfile(file) else Format.TAR
        file.seek(0)
        check_archive(file, kind)
    if kind is Format.ZIP:
        with zipfile.ZipFile(source) as archive:
            for member in archive.infolist():
                if _is_wanted(member.filename) and not member.is_dir():
                    with archive.open(member) as packed:
                        yield _Candidate(f"{source}!{member.filename}", _unpacked(packed, work))
        return
    with tarfile.open(source) as tar:
        for entry in tar:
            content = tar.extractfile(entry) if entry.isreg() and _is_wanted(entry.name) else None
            if content is not None:
                yield _Candidate(f"{source}!{entry.name}", _unpacked(content, work))


def _unpacked(content: IO[bytes], work: Path) -> Path:
    with NamedTemporaryFile(dir=work, delete=False) as file:
        shutil.copyfileobj(content, file)
    return Path(file.name)
