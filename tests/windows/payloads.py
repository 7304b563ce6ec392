"""A driver store with a stand-in for everything of the vendors' that a Windows may get."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Final

from converter import importing
from converter.store import Store
from tests import standins
from tests.unit.efi_programs import pe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ENA: Final = ("PCI\\VEN_1D0F&DEV_EC20",)
INTEL: Final = ("PCI\\VEN_8086&DEV_10ED",)
INTEL_VERSION: Final = "1.0.15.4"
# Versions of drivers by their vendors' folders: for Windows 6.1, for 6.2 and 6.3, and since.
NVME_VERSIONS: Final = {"1.3.2": "1.3.2.53", "1.5.1": "1.5.1.6", "latest": "1.6.0.35"}
ENA_VERSIONS: Final = {"2.2.3": "2.2.3.0", "2.6.0": "2.6.0.0", "latest": "2.8.0.0"}
_MSI: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(4096, b"\0")
_PROGRAM: Final = pe((b".text", b"\xc3" * 512))
_LAUNCH, _AGENT = "AmazonEC2Launch.msi", "AmazonSSMAgentSetup.exe"
_DOTNET, _CONFIG, _PV = "ndp48-x86-x64-allos-enu.exe", "EC2Install.exe", "AWSPVDriverSetup.msi"
_OLD, _MIDDLE = ("1.3.2", "2.2.3", "8.3.5"), ("1.5.1", "2.6.0", "8.4.3")
_NEW: Final = ("latest", "latest", "latest")
_FOLDERS: Final = {"7": _OLD, "2008r2": _OLD, "2012": _MIDDLE, "2012r2": _MIDDLE}


def folders(release: str) -> tuple[str, str, str]:
    """Give the vendor's folders of what a release gets of NVMe, ENA and Xen drivers."""
    return _FOLDERS.get(release, _NEW)


def has_xen(release: str) -> bool:
    """Tell whether the vendor has drivers of Xen for a release: not since build 26100."""
    return release not in ("2025", "11")


def make_store(directory: Path) -> Path:
    """Make the store, of what lies in vendors' folders."""
    given = directory / "given"
    for path, data in _files().items():
        place = given / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    work = directory / "work"
    work.mkdir()
    store = directory / "store"
    importing.bring(Store(store), given, work)
    return store


def staged(release: str) -> dict[str, bytes]:
    """Give what a release gets, by the paths below the directory for it."""
    nvme, ena, pv = folders(release)
    found = {
        **_below("aws-nvme/AWSNVMe", _driver("AWSNVMe", standins.NVME, NVME_VERSIONS[nvme])),
        **_below("aws-ena/ena", _driver("ena", ENA, ENA_VERSIONS[ena])),
    }
    if has_xen(release):
        found[f"aws-pv/{_PV}"] = _MSI + pv.encode()
    if release == "2012r2":
        found |= _below("intel-82599-vf/vxn", _driver("vxn", INTEL, INTEL_VERSION))
    if release in ("7", "2008r2"):
        found[f"dotnet-4.8/{_DOTNET}"] = _PROGRAM + b"4.8"
    else:
        found[f"ssm-agent-windows/{_AGENT}"] = _PROGRAM
    if release in _FOLDERS:
        found[f"ec2config/{_CONFIG}"] = _PROGRAM
    else:
        found[f"ec2launch-v2/{_LAUNCH}"] = _MSI
    return found


def system_file(name: str, version: str) -> bytes:
    """Give a driver's program."""
    return pe((b".text", b"\xc3" * 512), subsystem=1) + f"{name} {version}".encode()


def _files() -> dict[str, bytes]:
    found = {
        _LAUNCH: _MSI,
        _AGENT: _PROGRAM,
        "EC2Install.zip": _zip({_CONFIG: _PROGRAM, "readme.txt": b"read me\r\n"}),
        _DOTNET: _PROGRAM + b"4.8",
        "intel-82599-vf.zip": _zip(_below("vxn", _driver("vxn", INTEL, INTEL_VERSION))),
    }
    # What lies beside a driver's directory is no part of it.
    beside = {"install.ps1": b"#"}
    for folder, version in NVME_VERSIONS.items():
        files = _below("AWSNVMe", _driver("AWSNVMe", standins.NVME, version))
        found[f"nvme/{folder}/AWSNVMe.zip"] = _zip(files | beside)
    for folder, version in ENA_VERSIONS.items():
        files = _below("ena", _driver("ena", ENA, version))
        found[f"ena/{folder}/AwsEnaNetworkDriver.zip"] = _zip(files | beside)
    for _, _, folder in (_OLD, _MIDDLE, _NEW):
        found[f"pv/{folder}/AWSPVDriver.zip"] = _zip({_PV: _MSI + folder.encode()} | beside)
    return found


def _driver(name: str, ids: Iterable[str], version: str) -> dict[str, bytes]:
    text = standins.inf(ids, version=version, name=name)
    return {
        f"{name}.inf": text.encode("ascii"),
        f"{name}.sys": system_file(name, version),
        f"{name}.cat": b"catalogue",
    }


def _below(directory: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{directory}/{name}": data for name, data in files.items()}


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()
