"""The manifest: what was made, from what, how, and how to register it (design: CLI, schema 1)."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

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
_ROOT: Final = "/dev/xvda"
# EBS volumes beside the root one: /dev/sdf to /dev/sdp (Amazon EC2 User Guide, "Device names").
_FURTHER: Final = "fghijklmnop"


class _Checksum(msgspec.Struct):
    method: str
    value: str


class _Disk(msgspec.Struct):
    path: str
    virtual_size: int
    checksum: _Checksum


class Manifest(msgspec.Struct):
    """The part of a manifest that is read back."""

    schema: int
    disks: list[_Disk]


def document(report: Report) -> dict[str, Any]:
    """Give the manifest of `report` as a JSON document."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "converter", "version": __version__},
        "source": source_as_json(report.source),
        "guest": guest_as_json(report.after),
        "boot_mode": report.boot_mode.value,
        "disks": jsonable(report.disks),
        "capabilities": jsonable(report.capabilities),
        "changes": [jsonable(change_as_json(change)) for change in report.plan.changes],
        "findings": jsonable(report.findings),
        "register_image": register_image(report),
        "timings": report.timings,
    }


def render(report: Report) -> bytes:
    """Give the manifest of `report` as the bytes of its file."""
    return (json.dumps(document(report), indent=2) + "\n").encode()


def register_image(report: Report) -> dict[str, Any]:
    """Give the parameters of RegisterImage (EC2 API Reference), but for the snapshots' ids.

    Architecture and VirtualizationType are always given: the API's own defaults are i386 and
    paravirtual. EnaSupport is declared only when the guest has the driver.
    """
    parameters: dict[str, Any] = {
        "Architecture": {"x86_64": "x86_64", "aarch64": "arm64"}[report.after.os.architecture],
        "VirtualizationType": "hvm",
        "BootMode": report.boot_mode.value,
        "RootDeviceName": _ROOT,
        "BlockDeviceMappings": [
            {
                "DeviceName": f"/dev/sd{_FURTHER[number - 1]}" if number else _ROOT,
                "Ebs": {
                    "VolumeSize": math.ceil(disk.virtual_size / _GIB),
                    "VolumeType": "gp3",
                    "DeleteOnTermination": True,
                },
            }
            for number, disk in enumerate(report.disks)
        ],
    }
    if report.capabilities.ena:
        parameters["EnaSupport"] = True
    if report.capabilities.ixgbevf:
        parameters["SriovNetSupport"] = "simple"
    return parameters


def load(path: Path) -> Manifest:
    """Read a manifest back.

    Raises `UsageError` when it cannot be read, `DamagedInputError` when it is none of ours.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise UsageError(
            "manifest-missing", f"{path}: {error.strerror}", hint="give a .manifest.json"
        ) from error
    except msgspec.DecodeError as error:
        raise DamagedInputError("manifest-invalid", f"{path}: {error}") from error
    if found.schema != SCHEMA:
        raise DamagedInputError(
            "manifest-schema", f"{path}: schema {found.schema}, this converter reads {SCHEMA}"
        )
    return found


def verify(path: Path) -> tuple[str, ...]:
    """Compare the disks beside the manifest at `path` with it; gives what differs."""
    return tuple(
        problem for disk in load(path).disks if (problem := _difference(path.parent, disk))
    )


def _difference(directory: Path, disk: _Disk) -> str:
    # A manifest names files beside it, nothing else.
    if "/" in disk.path or disk.path in ("", ".", ".."):
        return f"{disk.path!r} is not the name of a file beside the manifest"
    image = directory / disk.path
    if not image.is_file():
        return f"{image} is missing"
    if image.stat().st_size != disk.virtual_size:
        return f"{image} has {image.stat().st_size} bytes instead of {disk.virtual_size}"
    if disk.checksum.method != METHOD:
        return f"{image}: checksum method {disk.checksum.method} is not known"
    if disk_checksum(image).value != disk.checksum.value:
        return f"{image}: the checksum differs"
    return ""
