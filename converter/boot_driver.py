r"""The driver of the boot disk as it must be in a Windows before the package can be installed.

A driver package is installed by Windows itself, which must have started for that; the one driver
that it starts by is put in by hand (WIN-1). What it is called, what it drives and which file it is,
all that the package's own INF says.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from converter.driver_package import Driver, read_drivers, serves_device
from converter.formats import FormatError

if TYPE_CHECKING:
    from converter.formats.inf import Model, Service
    from converter.provision import Provided

# Drivers of disks have 100 to 300 KB.
_LIMIT: Final = 16 << 20
# What becomes the name of a key, and the class of a device.
_SERVICE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CLASS: Final = re.compile(r"\{[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}")


@dataclass(frozen=True, slots=True)
class BootDriver:
    """A driver for one Windows: its file's name and content, and what its INF says of it.

    `inf` is the INF's name; `version` has four numbers; `date` is the driver's as the INF writes
    it, month/day/year.
    """

    service: str
    file: str
    data: bytes
    hardware_ids: tuple[str, ...]
    inf: str
    class_guid: str
    version: tuple[int, int, int, int]
    date: str


def read_boot_driver(
    provided: Provided, *, architecture: str, version: tuple[int, int, int]
) -> BootDriver:
    """Read the driver for a Windows of `version` (major, minor, build) out of a package's zip.

    Raises `FormatError` when there is none in it.
    """
    bundle = provided.choice.bundle
    with zipfile.ZipFile(provided.checked.path) as archive:
        entries = [(e.filename, e.file_size, partial(archive.read, e)) for e in archive.infolist()]
        found = [
            (model.target, driver.version, driver, model)
            for driver in read_drivers(entries)
            for model in driver.inf.devices(architecture, version)
            if any(serves_device(bundle, identifier) for identifier in model.hardware_ids)
        ]
        if not found:
            raise FormatError(f"has no driver for Windows {'.'.join(map(str, version))}")
        *_, driver, model = max(found, key=lambda item: item[:2])
        service = next(iter(driver.inf.services(model)), None)
        if service is None or not service.binary:
            raise FormatError(f"{driver.name}: names no service for {model.hardware_ids[0]}")
        if not _SERVICE.fullmatch(service.name):
            raise FormatError(f"{driver.name}: its service has the name {service.name[:80]!r}")
        file = posixpath.basename(service.binary.replace("\\", "/"))
        data = _content(archive, driver, file)
    identifiers = (
        name
        for model in _models(driver, service, architecture, version)
        for name in model.hardware_ids
    )
    return BootDriver(
        service=service.name,
        file=file,
        data=data,
        hardware_ids=tuple(
            dict.fromkeys(name for name in identifiers if serves_device(bundle, name))
        ),
        inf=posixpath.basename(driver.name),
        class_guid=_class(driver),
        version=_four(driver.version),
        date=_date(driver),
    )


def _models(
    driver: Driver, service: Service, architecture: str, version: tuple[int, int, int]
) -> tuple[Model, ...]:
    """Give everything that the same service drives."""
    return tuple(
        model
        for model in driver.inf.devices(architecture, version)
        if any(found.name == service.name for found in driver.inf.services(model))
    )


def _content(archive: zipfile.ZipFile, driver: Driver, file: str) -> bytes:
    """Read the driver's file: beside its INF, or below it."""
    folder = posixpath.dirname(driver.name)
    for entry in archive.infolist():
        inside = not folder or entry.filename.casefold().startswith(f"{folder}/".casefold())
        if inside and posixpath.basename(entry.filename).casefold() == file.casefold():
            if entry.file_size > _LIMIT:
                raise FormatError(f"{entry.filename}: has {entry.file_size} bytes")
            return archive.read(entry)
    raise FormatError(f"{driver.name}: its driver {file} is not in the package")


def _class(driver: Driver) -> str:
    found = driver.inf.value("Version", "ClassGuid")
    if found and not _CLASS.fullmatch(found):
        raise FormatError(f"{driver.name}: its class is {found[:80]!r}")
    return found


def _four(version: tuple[int, ...]) -> tuple[int, int, int, int]:
    one, two, three, four = (*version, 0, 0, 0, 0)[:4]
    return one, two, three, four


def _date(driver: Driver) -> str:
    return next(
        (
            line.values[0]
            for line in driver.inf.lines("Version")
            if line.key.casefold() == "driverver" and line.values
        ),
        "",
    )
