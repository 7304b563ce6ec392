"""The manifest: what was made, from what, how, and how to register it (design: CLI, schema 1)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from converter import __version__
from converter.changes import as_json as change_as_json
from converter.errors import DamagedInputError, UsageError
from converter.handoff.checksum import METHOD, disk_checksum
from converter.handoff.facts import guest_as_json, jsonable, source_as_json

if TYPE_CHECKING:
    from pathlib import Path

    from converter.model import Report

SCHEMA: Final = 1
_GIB: Final = 1 << 30
_ARCHITECTURES: Final = {"x86_64": "x86_64", "aarch64": "arm64", "i386": "i386"}
# Names of volumes (Amazon EC2 User Guide, "Device names for volumes"): first the recommended ones.
DEVICE_NAMES: Final = (
    "/dev/xvda",
    *(f"/dev/sd{letter}" for letter in ascii_lowercase[5:]),
    *(f"/dev/xvd{first}{second}" for first in "bc" for second in ascii_lowercase),
)
# RegisterImage, Name: 3 to 128 of these characters.
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9()\[\] ./'@_-]")
# A manifest lists files and changes; what is larger is something else.
_LONGEST: Final = 64 << 20


class _Checksum(msgspec.Struct):
    method: str
    value: str


class _Disk(msgspec.Struct):
    path: str
    virtual_size: int
    checksum: _Checksum


class _Schema(msgspec.Struct):
    schema: int


class Manifest(msgspec.Struct):
    """The part of a manifest that is read back."""

    schema: int
    disks: Annotated[list[_Disk], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Difference:
    """A disk that is not what the manifest says: `path` is as in the manifest."""

    code: str
    path: str
    message: str


def document(report: Report) -> dict[str, Any]:
    """Give the manifest of `report` as a JSON document."""
    found: dict[str, Any] = jsonable(
        {
            "schema": SCHEMA,
            "tool": {"name": "converter", "version": __version__},
            "source": source_as_json(report.source),
            "guest": guest_as_json(report.after),
            "boot_mode": report.boot_mode,
            "disks": report.disks,
            "capabilities": report.capabilities,
            "changes": [change_as_json(change) for change in report.plan.changes],
            "findings": report.findings,
            "register_image": register_image(report),
            "timings": report.timings,
        }
    )
    return found


def render(report: Report) -> bytes:
    """Give the manifest of `report` as the bytes of its file."""
    return (json.dumps(document(report), indent=2) + "\n").encode()


def register_image(report: Report) -> dict[str, Any]:
    """Give the parameters of RegisterImage (EC2 API Reference), but for the snapshots' ids.

    Architecture and VirtualizationType are always given: the API's own defaults are i386 and
    paravirtual. What is handed off as it is may be of an architecture that EC2 has not; that has
    none here. EnaSupport is declared only when the guest has the driver, or installs it at its
    first start: without, no instance that needs it would take the image.
    """
    parameters: dict[str, Any] = {
        "Name": _image_name(report.disks[0].path.removesuffix(".raw")),
        "Architecture": _ARCHITECTURES.get(report.after.os.architecture),
        "VirtualizationType": "hvm",
        "BootMode": report.boot_mode.value,
        "RootDeviceName": DEVICE_NAMES[0],
        "BlockDeviceMappings": [
            {
                "DeviceName": DEVICE_NAMES[number],
                "Ebs": {
                    "VolumeSize": -(-disk.virtual_size // _GIB),
                    "VolumeType": "gp3",
                    "DeleteOnTermination": True,
                },
            }
            for number, disk in enumerate(report.disks)
        ],
    }
    if report.capabilities.ena or "ena" in report.staged:
        parameters["EnaSupport"] = True
    if report.capabilities.ixgbevf:
        parameters["SriovNetSupport"] = "simple"
    return parameters


def _image_name(name: str) -> str:
    return _NOT_IN_NAMES.sub("-", name)[:128].ljust(3, "-")


def load(path: Path) -> Manifest:
    """Read a manifest back.

    Raises `UsageError` when it cannot be read; `DamagedInputError` when it is none of ours, or
    names anything but files beside it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise UsageError(
            "manifest-missing", f"{path}: {error.strerror}", hint="give a .manifest.json"
        ) from error
    if len(data) > _LONGEST:
        raise _no_manifest(path, "it is too large")
    try:
        schema = msgspec.json.decode(data, type=_Schema).schema
        if schema != SCHEMA:
            raise DamagedInputError(
                "manifest-schema",
                f"{path}: schema {schema}, this converter reads {SCHEMA}",
                hint="verify it with the version of converter that wrote it",
            )
        found = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_manifest(path, str(error)) from error
    for disk in found.disks:
        if "/" in disk.path or "\0" in disk.path or disk.path in ("", ".", ".."):
            raise DamagedInputError(
                "manifest-path",
                f"{path}: {disk.path!r} is not the name of a file beside the manifest",
                hint="it was not written by converter: do not use it",
            )
    return found


def _no_manifest(path: Path, why: str) -> DamagedInputError:
    hint = "give the .manifest.json that converter wrote, or copy it again"
    return DamagedInputError("manifest-invalid", f"{path}: is no manifest: {why}", hint=hint)


def verify(path: Path) -> tuple[Difference, ...]:
    """Compare the disks beside the manifest at `path` with it; gives what differs.

    Raises as `load` does, and `UsageError` ``image-unreadable``.
    """
    found = (_difference(path.parent / disk.path, disk) for disk in load(path).disks)
    return tuple(difference for difference in found if difference)


def _difference(image: Path, disk: _Disk) -> Difference | None:
    try:
        if not image.is_file():
            return Difference("disk-missing", disk.path, f"{image} is missing")
        size = image.stat().st_size
        if size != disk.virtual_size:
            message = f"{image} has {size} bytes instead of {disk.virtual_size}"
            return Difference("disk-size", disk.path, message)
        if disk.checksum.method != METHOD:
            message = f"{image}: {disk.checksum.method} is no checksum that is known here"
            return Difference("checksum-unknown", disk.path, message)
        if disk_checksum(image).value != disk.checksum.value:
            return Difference("disk-checksum", disk.path, f"{image}: the checksum differs")
    except OSError as error:
        raise UsageError(
            "image-unreadable",
            f"{image}: {error.strerror}",
            hint="check its permissions, and the disk that it lies on",
        ) from error
    return None
