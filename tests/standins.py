"""Stand-ins for vendors' payloads, made from source text by the tools that vendors use.

Shaped like the real ones: the same names of packages, files and units. What they do is to be there,
and to run.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

from converter import process
from tests.unit.efi_programs import pe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

AGENT: Final = "amazon-ssm-agent"
VERSION: Final = "3.3.9999.0"

_PROGRAM: Final = "#!/bin/sh\n# A stand-in: it only runs.\nexec sleep infinity\n"
_UNIT: Final = f"""\
[Unit]
Description={AGENT}
After=network-online.target

[Service]
Type=simple
ExecStart=/usr/bin/{AGENT}
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""
_JOB: Final = f"""\
description "{AGENT}"
start on (runlevel [345] and started network)
stop on (runlevel [!345] or stopping network)
exec /usr/bin/{AGENT}
"""
_CONTROL: Final = f"""\
Package: {AGENT}
Version: {VERSION}-1
Architecture: {{architecture}}
Maintainer: Nobody <nobody@example.com>
Installed-Size: 64
Description: Stand-in for the agent of AWS Systems Manager
"""
_SPEC: Final = f"""\
Name: {AGENT}
Version: {VERSION}
Release: 1
Summary: Stand-in for the agent of AWS Systems Manager
License: Apache-2.0
BuildArch: x86_64
%description
It only runs.
%files
%attr(0755,root,root) /usr/bin/{AGENT}
%dir /etc/amazon/ssm
/etc/amazon/ssm/seelog.xml.template
%config(noreplace) /etc/init/{AGENT}.conf
%config(noreplace) /etc/systemd/system/{AGENT}.service
%posttrans
{{posttrans}}
"""
# A driver package as the vendor of a storage controller writes it.
_INF: Final = """\
;
; {name}.inf: a stand-in, which names its devices and installs nothing that runs
;
[Version]
Signature   = "$WINDOWS NT$"
Class       = SCSIAdapter
ClassGuid   = {{4D36E97B-E325-11CE-BFC1-08002BE10318}}
Provider    = %Vendor%
DriverVer   = 06/21/2023,{version}
CatalogFile = {name}.cat

[DestinationDirs]
DefaultDestDir = 12

[SourceDisksNames]
1 = %Disk%,,,

[SourceDisksFiles]
{name}.sys = 1

[Manufacturer]
%Vendor% = {name}Devices, {decorations}

{models}
[{name}_Inst]
CopyFiles = @{name}.sys

[{name}_Inst.Services]
AddService = {name}, 0x00000002, {name}_Service

[{name}_Service]
DisplayName    = %Device%
ServiceType    = 1 ; SERVICE_KERNEL_DRIVER
StartType      = 0 ; SERVICE_BOOT_START
ErrorControl   = 1 ; SERVICE_ERROR_NORMAL
LoadOrderGroup = SCSI miniport
ServiceBinary  = %12%\\{name}.sys

[Strings]
Vendor = "Amazon Inc."
Disk   = "{name} installation disk"
Device = "{name} device"
"""
# The head of a signed catalog: ContentInfo with PKCS #7's signedData, and nothing signed in it.
_CATALOG: Final = bytes.fromhex("301906092a864886f70d010702a00c300a0201013100300306012a3100")
NVME: Final = ("PCI\\VEN_1D0F&DEV_8061", "PCI\\VEN_1D0F&DEV_CD00")
_WXS: Final = """\
<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="*" Name="Stand-in" Version="{version}" Language="1033" Manufacturer="Nobody"
           UpgradeCode="0a5a63a4-07a0-4c5a-8d3f-4b2a4a1f4a01">
    <Package InstallerVersion="200" Compressed="yes"/>
    <Media Id="1" Cabinet="drivers.cab" EmbedCab="yes"/>
    <Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFilesFolder">
{folders}
    </Directory></Directory>
    <Feature Id="All" Level="1">{components}</Feature>
  </Product>
</Wix>
"""


def inf(
    ids: Iterable[str] = NVME,
    *,
    version: str = "1.6.0.35",
    name: str = "AWSNVMe",
    decorations: Sequence[str] = ("NTamd64.6.1", "NTamd64.10.0"),
) -> str:
    """Give the text of a driver's INF file, which is for each of `decorations`."""
    lines = "\n".join(f"%Device% = {name}_Inst, {identifier}" for identifier in ids)
    models = "".join(f"[{name}Devices.{item}]\n{lines}\n\n" for item in decorations)
    text = _INF.format(
        name=name, version=version, decorations=", ".join(decorations), models=models
    )
    return text.replace("\n", "\r\n")


def driver_package(
    directory: Path,
    ids: Iterable[str] = NVME,
    *,
    version: str = "1.6.0.35",
    name: str = "AWSNVMe",
    decorations: Sequence[str] = ("NTamd64.6.1", "NTamd64.10.0"),
) -> Path:
    """Lay a driver package into `directory`: its INF file, driver, catalog, and a note."""
    directory.mkdir(parents=True, exist_ok=True)
    text = inf(ids, version=version, name=name, decorations=decorations)
    (directory / f"{name}.inf").write_bytes(text.encode("ascii"))
    (directory / f"{name}.sys").write_bytes(pe((b".text", b"\x90" * 4096), subsystem=1))
    (directory / f"{name}.cat").write_bytes(_CATALOG)
    (directory / "readme.txt").write_text("Not a part of the driver.\n", "utf-8")
    return directory


def _files(root: Path) -> list[Path]:
    return sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())


def cab(root: Path, target: Path) -> Path:
    """Make a cabinet of what is below `root` (gcab)."""
    names = [str(path) for path in _files(root)]
    with process.start(["gcab", "-c", "-z", str(target.resolve()), *names], cwd=root) as child:
        _, said = child.communicate()
    assert child.returncode == 0, said
    return target


def msi(root: Path, target: Path, *, version: str = "8.4.3") -> Path:
    """Make a Windows Installer package of the folders below `root` (wixl)."""
    folders, components = "", ""
    for number, folder in enumerate(sorted({path.parent for path in _files(root)})):
        files = "".join(
            # wixl takes paths from where its source is.
            f'<File Id="file{number}_{index}" Source="{os.path.relpath(path, target.parent)}"/>'
            for index, path in enumerate(sorted((root / folder).glob("*.*")))
        )
        folders += (
            f'<Directory Id="folder{number}" Name="{folder.name or "Drivers"}">'
            f'<Component Id="component{number}" Guid="0a5a63a4-07a0-4c5a-8d3f-{number:012d}">'
            f"{files}</Component></Directory>\n"
        )
        components += f'<ComponentRef Id="component{number}"/>'
    source = target.with_suffix(".wxs")
    text = _WXS.format(version=version, folders=folders, components=components)
    source.write_text(text, "utf-8")
    process.run(["wixl", "--output", str(target), str(source)])
    source.unlink()
    return target


def _tree(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(0o755 if "/bin/" in name else 0o644)


def deb(directory: Path, *, architecture: str = "amd64", postinst: str = "") -> Path:
    """Make the agent's Debian package; `postinst` is what is run after it was unpacked."""
    root = directory / "deb"
    unit = f"lib/systemd/system/{AGENT}.service"
    template = "etc/amazon/ssm/seelog.xml.template"
    _tree(root, {f"usr/bin/{AGENT}": _PROGRAM, unit: _UNIT, template: "<seelog/>\n"})
    control = root / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(_CONTROL.format(architecture=architecture), "utf-8")
    (control / "conffiles").write_text(f"/{template}\n", "utf-8")
    for script, text in {
        "postinst": postinst or f"systemctl enable {AGENT}\nsystemctl start {AGENT}",
        "prerm": f"systemctl stop {AGENT}",
    }.items():
        (control / script).write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        (control / script).chmod(0o755)
    target = directory / f"{AGENT}.deb"
    process.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(target)])
    shutil.rmtree(root)
    return target


def rpm(directory: Path, *, posttrans: str = f"systemctl start {AGENT}") -> Path:
    """Make the agent's RPM package."""
    root, top = directory / "buildroot", directory / "rpmbuild"
    _tree(
        root,
        {
            f"usr/bin/{AGENT}": _PROGRAM,
            "etc/amazon/ssm/seelog.xml.template": "<seelog/>\n",
            f"etc/init/{AGENT}.conf": _JOB,
            f"etc/systemd/system/{AGENT}.service": _UNIT,
        },
    )
    spec = directory / f"{AGENT}.spec"
    spec.write_text(_SPEC.format(posttrans=posttrans), "utf-8")
    process.run(
        [
            "rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}",
            "--define", "_build_id_links none", "--buildroot", str(root), str(spec),
        ]
    )  # fmt: skip
    target = directory / f"{AGENT}.rpm"
    next(top.glob("RPMS/*/*.rpm")).rename(target)
    shutil.rmtree(top)
    return target
