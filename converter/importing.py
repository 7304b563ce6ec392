"""Finds payloads in what vendors and colleagues hand over: see `containers` for what that can be.

A file counts as a payload by the vendor's name for it; packages, which all have the same name, by
what they say of themselves; and drivers that lie unpacked by what their INF files drive. Archives
in what was handed over are looked through too, those in them are not. A container is looked through
to its end before anything is taken.
"""

from __future__ import annotations

import posixpath
import zipfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Final

from converter import bundles, driver_package
from converter.bundles import Format
from converter.containers import Files, open_container, read_table, walk
from converter.errors import DamagedInputError, HostError, UsageError
from converter.formats import FormatError, installer
from converter.formats.package import read_deb, read_rpm
from converter.store import PAYLOAD_LIMIT, SIGNATURE, SIGNATURE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from converter.bundles import Bundle, Payload
    from converter.containers import Container, Member
    from converter.driver_package import Driver
    from converter.formats.inf import TargetOS
    from converter.formats.package import Package
    from converter.store import Entry, Store

_ARCHIVES: Final = (".zip", ".cab", ".msi")
_ARCHIVE_LIMIT: Final = 64
_NESTED_LIMIT: Final = 4 << 30


@dataclass(frozen=True, slots=True)
class Imported:
    """A payload that was taken: where from, what the store says of it, and what was not checked."""

    origin: str
    entry: Entry
    remark: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """A payload: what it was called, where it can be read, and the signature that lay beside it."""

    bundle: Bundle
    payload: Payload
    origin: str
    path: Path
    signature: Path | None = None


def bring(store: Store, source: Path, work: Path) -> tuple[Imported, ...]:
    """Import every payload of `source` into `store`; `work` is for what must be unpacked.

    Raises `DamagedInputError` for a container that is damaged or hostile, `UsageError`
    ``nothing-to-import`` where nothing in it is a payload of any bundle, and `HostError`
    ``tool-missing`` where it cannot be known.
    """
    try:
        with ExitStack() as stack:
            found = _search(source, work, stack)
    except FormatError as error:
        raise DamagedInputError(
            "import-refused", f"{source}: {error}", hint="get it from its vendor again"
        ) from error
    except OSError as error:
        raise UsageError(
            "import-unreadable",
            f"{source}: {error.strerror or error}",
            hint="check the path and its permissions",
        ) from error
    if not found:
        raise UsageError(
            "nothing-to-import",
            f"{source}: nothing in it is a payload of any bundle",
            hint="`converter drivers list` tells what the vendors' files are called",
        )
    return tuple(_take(store, item) for item in found)


def _take(store: Store, found: _Found) -> Imported:
    signed_by = None
    remark = ""
    if found.signature is not None and store.key(found.bundle) is not None:
        with found.signature.open("rb") as file:
            signed_by = file.read(SIGNATURE_LIMIT)
    elif found.payload.signature:
        lack = "no key to check it with" if found.signature else f"no {SIGNATURE} beside it"
        remark = f"its signature was not checked: there is {lack}"
    entry = store.add(
        found.bundle, found.payload, found.path, origin=found.origin, signed_by=signed_by
    )
    return Imported(found.origin, entry, remark)


def _search(source: Path, work: Path, stack: ExitStack) -> list[_Found]:
    """Give every payload in `source`: what is one by its name goes before what is made into one."""
    outer = stack.enter_context(closing(_opened(source, work)))
    nested = _Nested(work, stack)
    trees = [outer, *nested.open(outer)]
    found = [item for tree in trees for item in _named(tree, work)]
    have = {(item.bundle.name, item.payload.name) for item in found}
    found += _drivers(trees, have, work)
    if not found and nested.lacks is not None:
        raise nested.lacks
    return found


def _opened(source: Path, work: Path) -> Container:
    if source.is_dir():
        return Files(source, walk(source))
    if not source.is_file():
        raise FileNotFoundError(2, "no such file")
    if not _is_wanted(source.name):
        return open_container(source, str(source), work)
    names = (source.name, source.name + SIGNATURE)
    return Files(source.parent, [name for name in names if (source.parent / name).is_file()])


class _Nested:
    """The archives in a container; `lacks`: the tool without which one was not looked into."""

    def __init__(self, work: Path, stack: ExitStack) -> None:
        self._work, self._stack = work, stack
        self.lacks: HostError | None = None

    def open(self, outer: Container) -> Iterator[Container]:
        """Open those that are no payload themselves."""
        total = 0
        archives = [
            member
            for member in outer.members
            if member.name.casefold().endswith(_ARCHIVES) and not _is_wanted(member.name)
        ]
        if len(archives) > _ARCHIVE_LIMIT:
            raise FormatError(f"holds {len(archives)} archives: import those that are meant")
        for member in archives:
            inner = self._open(_unpacked(outer, member), member)
            if inner is None:
                continue
            total += sum(packed.size for packed in inner.members)
            if total > _NESTED_LIMIT:
                raise FormatError(f"{member.name[:200]!r}: with it, archives hold {total} bytes")
            yield inner

    def _open(self, path: Path, member: Member) -> Container | None:
        try:
            inner = open_container(path, member.origin, self._work)
        except FormatError as error:
            raise FormatError(f"{member.name[:200]!r}: {error}") from error
        except HostError as error:
            self.lacks = error
            return None
        return self._stack.enter_context(closing(inner))


def _unpacked(tree: Container, member: Member) -> Path:
    if member.size > PAYLOAD_LIMIT:
        raise FormatError(f"{member.name!r}: has {member.size} bytes, no payload is as large")
    return tree.unpack(member)


# --- by name ------------------------------------------------------------------------------------


def _is_wanted(name: str) -> bool:
    plain = PurePosixPath(name).name.casefold()
    if plain.endswith((".deb", ".rpm")):
        return True
    return any(
        plain in (payload.file.casefold(), payload.holds.casefold())
        for bundle in bundles.definitions()
        for payload in bundle.payloads
    )


def _named(tree: Container, work: Path) -> Iterator[_Found]:
    """Give what is a payload by its name, or a package."""
    beside = {member.name: member for member in tree.members if member.name.endswith(SIGNATURE)}
    for member in tree.members:
        if not _is_wanted(member.name):
            continue
        path = _unpacked(tree, member)
        detached = beside.get(member.name + SIGNATURE)
        for bundle, payload in _matches(member, path, work):
            signature = _unpacked(tree, detached) if detached else None
            is_held = _is_called(member, payload.holds)
            content = _zipped({payload.holds: path}, work) if is_held else path
            yield _Found(bundle, payload, member.origin, content, signature)


def _matches(member: Member, path: Path, work: Path) -> Iterator[tuple[Bundle, Payload]]:
    """Give the one payload of each bundle that a file is, if it is any."""
    kind = member.name.casefold().rpartition(".")[2]
    package = _package(path, kind)
    for bundle in bundles.definitions():
        if package is not None:
            payloads = [p for p in bundle.payloads if _is_for(bundle, p, package, kind)]
            exact = _of_version(payloads, [package.version])
            yield from ((bundle, p) for p in (exact or _of_none(payloads))[:1])
            continue
        payloads = [
            p for p in bundle.payloads if _is_called(member, p.file) or _is_called(member, p.holds)
        ]
        # The vendor's folder tells the version, where files of several have the same name.
        exact = _of_version(payloads, PurePosixPath(member.origin).parts)
        if not exact and len(payloads) > 1:
            exact = _of_version(payloads, _versions(path, payloads[0], work))
        yield from ((bundle, p) for p in (exact or payloads)[:1])


def _is_called(member: Member, name: str) -> bool:
    return name != "" and PurePosixPath(member.name).name.casefold() == name.casefold()


def _package(path: Path, kind: str) -> Package | None:
    """Read a package, None for what is none by its name."""
    if kind not in (Format.DEB, Format.RPM):
        return None
    with path.open("rb") as file:
        return read_deb(file) if kind == Format.DEB else read_rpm(file)


def _is_for(bundle: Bundle, payload: Payload, package: Package, kind: str) -> bool:
    is_it = payload.format == kind and bundle.provides == package.name
    return is_it and package.architecture in payload.architectures


def _of_version(payloads: Iterable[Payload], versions: Iterable[str]) -> list[Payload]:
    """Give the payloads that are of one of `versions`."""
    upstream = [f"{version.partition('-')[0]}." for version in versions]
    return [
        payload
        for payload in payloads
        if payload.version and any(v.startswith(f"{payload.version}.") for v in upstream)
    ]


def _of_none(payloads: Iterable[Payload]) -> list[Payload]:
    """Give the payloads that are whatever is the newest."""
    return [payload for payload in payloads if not payload.version]


def _versions(path: Path, payload: Payload, work: Path) -> list[str]:
    """Give the versions of what is in a payload; one that is damaged is told when it is taken."""
    if _is_installer(path):
        return [installer.product_version(read_table(path, "Property", work))]
    if not zipfile.is_zipfile(path):
        return []
    try:
        with closing(open_container(path, payload.file, work)) as tree:
            if not payload.holds:
                return [driver.inf.version for driver in _read(tree)]
            held = (_unpacked(tree, m) for m in tree.members if _is_called(m, payload.holds))
            packages = (read_table(found, "Property", work) for found in held)
            return [installer.product_version(properties) for properties in packages]
    except FormatError:
        return []


def _is_installer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(installer.MAGIC)) == installer.MAGIC


# --- by what an INF file drives -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Package:
    """A driver that would do for a payload, and the files that it lies among."""

    driver: Driver
    target: TargetOS
    tree: Container

    @property
    def rank(self) -> tuple[TargetOS, tuple[int, ...]]:
        """What Windows would take of several: what is made for it, then what is newer."""
        return self.target, self.driver.version


def _drivers(
    trees: Iterable[Container], have: Collection[tuple[str, str]], work: Path
) -> Iterator[_Found]:
    """Give the best driver that lies unpacked for every payload there is nothing for."""
    best: dict[tuple[str, str], _Package] = {}
    for tree in trees:
        for driver in _read(tree):
            for bundle, payload, target in _serves(driver):
                key = (bundle.name, payload.name)
                found = _Package(driver, target, tree)
                if key not in have and (key not in best or best[key].rank < found.rank):
                    best[key] = found
    for bundle in bundles.definitions():
        for payload in bundle.payloads:
            package = best.get((bundle.name, payload.name))
            if package is not None:
                yield _made(bundle, payload, package, work)


def _read(tree: Container) -> Iterator[Driver]:
    return driver_package.read_drivers(
        (member.name, member.size, partial(_content, tree, member)) for member in tree.members
    )


def _content(tree: Container, member: Member) -> bytes:
    return tree.unpack(member).read_bytes()


def _serves(driver: Driver) -> Iterator[tuple[Bundle, Payload, TargetOS]]:
    """Give the payload of each bundle that a driver would do for, if any."""
    for bundle in filter(driver_package.is_package, bundles.definitions()):
        payloads = [payload for payload in bundle.payloads if payload.format is Format.ZIP]
        exact = _of_version(payloads, [driver.inf.version])
        for payload in (exact or _of_none(payloads))[:1]:
            target = driver_package.serves(driver, bundle, payload)
            if target is not None:
                yield bundle, payload, target


def _made(bundle: Bundle, payload: Payload, package: _Package, work: Path) -> _Found:
    """Make a payload of a driver and the files that it needs, all of which must be there."""
    name = package.driver.name
    there: dict[str, list[Member]] = {}
    for member in package.tree.members:
        there.setdefault(member.name.casefold(), []).append(member)
    files = {}
    for needed in driver_package.needs(package.driver, payload):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), needed))
        found = there.get(path.casefold(), [])
        if len(found) != 1:
            lack = "is there twice" if found else "is not there"
            raise FormatError(f"{name[:200]!r} names {needed[:200]!r}, which {lack}")
        files[needed] = found[0]
    if sum(member.size for member in files.values()) > PAYLOAD_LIMIT:
        raise FormatError(f"{name[:200]!r} names more than any payload has")
    unpacked = {needed: package.tree.unpack(member) for needed, member in files.items()}
    inf_file = files[posixpath.basename(name)]
    return _Found(bundle, payload, inf_file.origin, _zipped(unpacked, work))


def _zipped(files: Mapping[str, Path], work: Path) -> Path:
    with NamedTemporaryFile(dir=work, delete=False) as file:
        driver_package.pack(files, file)
    return Path(file.name)
