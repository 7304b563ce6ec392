"""A built guest as hypervisors export it."""

from __future__ import annotations

import hashlib
import io
import tarfile
from functools import partial
from typing import TYPE_CHECKING, Final

from converter import process
from images.cache import kept

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from images.cache import BuiltImage

# Kind: file name, and what qemu-img is told.
_KINDS: Final = {
    "vmdk-stream": ("guest.vmdk", ["-O", "vmdk", "-o", "subformat=streamOptimized"]),
    "vmdk-sparse": ("guest.vmdk", ["-O", "vmdk", "-o", "subformat=monolithicSparse"]),
    "vmdk-flat": ("guest.vmdk", ["-O", "vmdk", "-o", "subformat=monolithicFlat"]),
    "vmdk-split": ("guest.vmdk", ["-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"]),
    "vhd-dynamic": ("guest.vhd", ["-O", "vpc", "-o", "subformat=dynamic,force_size=on"]),
    "vhd-fixed": ("guest.vhd", ["-O", "vpc", "-o", "subformat=fixed,force_size=on"]),
    "vhdx": ("guest.vhdx", ["-O", "vhdx"]),
    "qcow2": ("guest.qcow2", ["-O", "qcow2"]),
    "qcow2-zlib": ("guest.qcow2", ["-c", "-O", "qcow2"]),
    "qcow2-zstd": ("guest.qcow2", ["-c", "-O", "qcow2", "-o", "compression_type=zstd"]),
    "vdi": ("guest.vdi", ["-O", "vdi"]),
    "raw": ("guest.raw", ["-O", "raw"]),
}

_OVF: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<Envelope vmw:buildId="build-1" xmlns="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vmw="http://www.vmware.com/schema/ovf"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>
{files}  </References>
  <DiskSection>
    <Info>Virtual disk information</Info>
{disks}  </DiskSection>
  <VirtualSystem ovf:id="guest">
    <Info>A virtual machine</Info>
    <Name>guest</Name>
    <VirtualHardwareSection>
      <Info>Virtual hardware requirements</Info>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>lsilogic</rasd:ResourceSubType>
        <rasd:ResourceType>6</rasd:ResourceType>
      </Item>
{items}    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""
_ITEM: Final = """\
      <Item>
        <rasd:AddressOnParent>{number}</rasd:AddressOnParent>
        <rasd:HostResource>ovf:/disk/vmdisk{number}</rasd:HostResource>
        <rasd:InstanceID>{instance}</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
"""


def export(guest: BuiltImage, kind: str) -> Path:
    """Give `guest` as the file a hypervisor would have made, kept in the cache beside it.

    Only an OVA holds more than the boot disk.
    """
    name = f"{guest.path.parent.name}-{kind}"
    directory = kept(name, partial(_make, guest.disks, kind))
    return directory / file_name(kind)


def file_name(kind: str) -> str:
    """Give what the file of a `kind` is called that names the others, if there are any."""
    return "guest.ova" if kind == "ova" else _KINDS[kind][0]


def _make(disks: Sequence[Path], kind: str, directory: Path) -> None:
    if kind == "ova":
        write_ova(disks, directory)
    else:
        write(disks[0], kind, directory)


def write_ova(disks: Sequence[Path], directory: Path) -> Path:
    """Write the raw `disks` of a machine as an OVA into `directory`."""
    packed = []
    for number, disk in enumerate(disks):
        vmdk = write(disk, "vmdk-stream", directory)
        packed.append((vmdk.rename(directory / f"disk{number}.vmdk"), disk.stat().st_size))
    target = directory / "guest.ova"
    pack_ova(target, packed)
    for vmdk, _ in packed:
        vmdk.unlink()
    return target


def write(disk: Path, kind: str, directory: Path) -> Path:
    """Write the raw `disk` as a file of `kind` into `directory`."""
    if kind == "ova":
        return write_ova([disk], directory)
    name, options = _KINDS[kind]
    target = directory / name
    process.run(["qemu-img", "convert", "-f", "raw", *options, str(disk), str(target)])
    return target


def pack_ova(target: Path, disks: Sequence[tuple[Path, int]]) -> None:
    """Make an OVA as VMware does: the OVF, a manifest with SHA-256, then the disks.

    `disks` are stream-optimized VMDKs with their virtual sizes, in the machine's order.
    """
    names = [f"guest-disk{number}.vmdk" for number in range(1, len(disks) + 1)]
    ovf = _ovf(names, disks).encode()
    lines = [f"SHA256(guest.ovf)= {hashlib.sha256(ovf).hexdigest()}\n"]
    for name, (path, _) in zip(names, disks, strict=True):
        with path.open("rb") as file:
            lines.append(f"SHA256({name})= {hashlib.file_digest(file, 'sha256').hexdigest()}\n")
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in (("guest.ovf", ovf), ("guest.mf", "".join(lines).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, (path, _) in zip(names, disks, strict=True):
            archive.add(path, arcname=name)


def _ovf(names: Sequence[str], disks: Sequence[tuple[Path, int]]) -> str:
    files, sections, items = "", "", ""
    for number, (name, (path, size)) in enumerate(zip(names, disks, strict=True)):
        length = path.stat().st_size
        files += f'    <File ovf:href="{name}" ovf:id="file{number}" ovf:size="{length}"/>\n'
        sections += (
            f'    <Disk ovf:capacity="{size}" ovf:capacityAllocationUnits="byte"'
            f' ovf:diskId="vmdisk{number}" ovf:fileRef="file{number}"/>\n'
        )
        items += _ITEM.format(number=number, instance=10 + number)
    return _OVF.format(files=files, disks=sections, items=items)
