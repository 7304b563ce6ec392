"""Driver packages of Windows: an INF file, and the files next to it that it names.

Which device a package drives, on which Windows, its INF says (`formats.inf`) and nothing else: a
bundle's `hardware_ids` are only what it is meant for. A package that lay unpacked is kept as a zip
of the INF and the files that it needs, the same bytes for the same files.
"""

from __future__ import annotations

import posixpath
import zipfile
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from converter.archive import check_windows_name
from converter.bundles import Install
from converter.formats import FormatError, inf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import IO, BinaryIO

    from converter.bundles import Bundle, Payload
    from converter.formats.inf import Inf, TargetOS

# A vendor's disc of drivers for everything has some hundreds, and some megabytes.
_INFS: Final = 5000
_TOTAL: Final = 32 << 20
_FILES: Final = 500
_SHOWN: Final = 8
# The first build of a Windows, and what its version is to an INF.
_VERSIONS: Final = ((10240, (10, 0)), (9600, (6, 3)), (9200, (6, 2)), (7600, (6, 1)))
_NEWEST: Final = 99999


@dataclass(frozen=True, slots=True)
class Driver:
    """An INF file: its path where it was found, and what it says."""

    name: str
    inf: Inf

    @property
    def version(self) -> tuple[int, ...]:
        """The version, to be compared."""
        return tuple(int(part) for part in self.inf.version.split(".") if part)


def read_drivers(files: Iterable[tuple[str, int, Callable[[], bytes]]]) -> Iterator[Driver]:
    """Give the INF files among `files`: each its path, its size, and what reads it.

    What is named so and is none is no driver. Raises `FormatError` for more than is sensible.
    """
    total = 0
    found = [file for file in files if file[0].casefold().endswith(".inf") and file[1] <= inf.LIMIT]
    for number, (name, size, read) in enumerate(found):
        total += size
        if number >= _INFS or total > _TOTAL:
            raise FormatError(f"{name[:200]!r}: is one INF file too many ({number}, {total} bytes)")
        try:
            yield Driver(name, inf.parse(inf.decode(read())))
        except FormatError:
            continue


def is_package(bundle: Bundle) -> bool:
    """Tell whether a bundle's payloads are driver packages."""
    return bundle.install is Install.PNPUTIL


def hardware_ids(driver: Driver, payload: Payload) -> dict[str, TargetOS]:
    """Give what a driver drives on the Windows of `payload`, and the Windows it says that for."""
    builds = {payload.build_from, payload.build_before - 1 if payload.build_before else _NEWEST}
    return {
        found: model.target
        for build in sorted(builds)
        for architecture in payload.architectures
        for model in driver.inf.devices(architecture, _version(build))
        for found in model.hardware_ids
    }


def _version(build: int) -> tuple[int, int, int]:
    major, minor = next((version for first, version in _VERSIONS if build >= first), (6, 0))
    return major, minor, build


def serves(driver: Driver, bundle: Bundle, payload: Payload) -> TargetOS | None:
    """Give the newest Windows that a driver names a device of the bundle for, None for none."""
    targets = [
        target
        for found, target in hardware_ids(driver, payload).items()
        if serves_device(bundle, found)
    ]
    return max(targets, default=None)


def serves_windows(
    driver: Driver, bundle: Bundle, architecture: str, version: tuple[int, int, int]
) -> bool:
    """Tell whether a driver is for a device of the bundle on one Windows: major, minor, build."""
    return any(
        serves_device(bundle, identifier)
        for model in driver.inf.devices(architecture, version)
        for identifier in model.hardware_ids
    )


def serves_device(bundle: Bundle, identifier: str) -> bool:
    """Tell whether a hardware id (in upper case) is of a device of the bundle.

    A more precise one than the bundle's has subsystem and revision after it.
    """
    wanted = tuple(name.upper() for name in bundle.hardware_ids)
    return identifier.startswith(tuple(f"{name}&" for name in wanted)) or identifier in wanted


def check(file: BinaryIO, bundle: Bundle, payload: Payload) -> str:
    """Give the version of the driver in a zip.

    Raises `FormatError` unless one of it drives a device of the bundle.
    """
    served: list[Driver] = []
    ids: dict[str, None] = {}
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        for driver in read_drivers(
            (e.filename, e.file_size, partial(archive.read, e)) for e in entries
        ):
            ids |= dict.fromkeys(hardware_ids(driver, payload))
            if serves(driver, bundle, payload) is not None:
                served.append(driver)
    if not served:
        raise FormatError(
            f"is no driver for {_some(bundle.hardware_ids)}: "
            f"its INF files name {_some(list(ids)) if ids else 'no device'} for"
            f" {', '.join(payload.architectures)} and the payload's builds"
        )
    return max(served, key=lambda driver: driver.version).inf.version


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def needs(driver: Driver, payload: Payload) -> tuple[str, ...]:
    """Give the files that a package is made of, relative to its INF, the INF first.

    Raises `FormatError` for one that lies elsewhere.
    """
    names = [posixpath.basename(driver.name)]
    for architecture in payload.architectures:
        names += [name.replace("\\", "/") for name in driver.inf.files(architecture)]
    for name in names:
        check_windows_name(name)
    if len(names) > _FILES:
        raise FormatError(f"{driver.name[:200]!r}: names {len(names)} files")
    return tuple(dict.fromkeys(names))


def pack(files: Mapping[str, Path], target: IO[bytes]) -> None:
    """Write a zip of files by their names in it: stored, in order, without times or owners."""
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            # As on Unix, whatever this is run on: a regular file, 0644.
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            with files[name].open("rb") as content, archive.open(entry, "w") as packed:
                while piece := content.read(1 << 20):
                    packed.write(piece)
