"""Boot configuration data: the store that a guest's boot manager reads.

A BCD is a hive of objects and their elements. Elements' numbers after Microsoft's "BCD Reference"
and G. Chappell's list of them; the bytes of devices (the 88 of a partition, and the 200 of a
file on one that becomes a RAM disk) as genuine stores have them.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from images.windows import hive
from images.windows.guest import State
from images.windows.hive import binary, dword, multi_sz, sz
from images.windows.layout import DISK_ID, SIGNATURE, Role

if TYPE_CHECKING:
    from images.windows.guest import Windows
    from images.windows.hive import Keys, Value
    from images.windows.layout import Layout, Partition

BOOTMGR: Final = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
FIRMWARE: Final = "{a5a30fa2-3d06-4e9f-b5f4-a01df9d1fcba}"
MEMORY_TESTER: Final = "{b2721d73-1db4-4c62-bf78-c548a880142d}"
EMS: Final = "{0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9}"
LOADER: Final = "{5f2e8b40-0001-11ee-9d5b-7d1c0ffe0001}"
RESUME: Final = "{5f2e8b40-0002-11ee-9d5b-7d1c0ffe0002}"
SECOND_LOADER: Final = "{5f2e8b40-0003-11ee-9d5b-7d1c0ffe0003}"
RECOVERY: Final = "{5f2e8b40-0004-11ee-9d5b-7d1c0ffe0004}"
RECOVERY_OPTIONS: Final = "{5f2e8b40-0005-11ee-9d5b-7d1c0ffe0005}"
FIRMWARE_ENTRY: Final = "{5f2e8b40-0006-11ee-9d5b-7d1c0ffe0006}"
_GLOBAL: Final = "{7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e}"
_DEBUGGER: Final = "{4636856e-540f-4170-a130-a84776f4c654}"
_BAD_MEMORY: Final = "{5189b25c-5558-4bf2-bca4-289b11bd29e2}"
_LOADERS: Final = "{6efb52bf-1766-41db-a6b3-0ee5eff72bd7}"
_HYPERVISOR: Final = "{7ff607e0-4395-11db-b0de-0800200c9a66}"
_RESUMES: Final = "{1afa9c49-16ab-4a5c-901b-212802da9460}"

_PATH: Final = r"\Recovery\WindowsRE\Winre.wim"
_PLAIN: Final = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class _Object:
    kind: int
    elements: dict[int, Value]


def make(windows: Windows, layout: Layout) -> bytes:
    """Make the guest's store."""
    description = {"KeyName": sz("BCD00000000"), "System": dword(1), "TreatAsSystem": dword(1)}
    if windows.is_uefi:
        description["FirmwareVariable"] = binary(_firmware_variable(layout.system))
    keys: Keys = {"Description": description, "Objects": {}}
    for name, each in _objects(windows, layout).items():
        keys[rf"Objects\{name}\Description"] = {"Type": dword(each.kind)}
        # Even an object without elements has the key for them.
        keys[rf"Objects\{name}\Elements"] = {}
        for number, value in each.elements.items():
            keys[rf"Objects\{name}\Elements\{number:08x}"] = {"Element": value}
    return hive.make(r"\Device\HarddiskVolume1\Boot\BCD", keys, root="NewStoreRoot")


def device(partition: Partition, *, is_gpt: bool) -> bytes:
    """Give the 88 bytes that name a partition."""
    return _PLAIN.bytes_le + _partition(partition, is_gpt=is_gpt)


def ramdisk(partition: Partition, options: str, *, is_gpt: bool) -> bytes:
    """Give the 200 bytes that name a RAM disk made from a file on a partition."""
    path = _PATH.encode("utf-16-le") + b"\0\0"
    file = _partition(partition, is_gpt=is_gpt) + path
    # Version, length, and that what follows is a device with a path on it.
    file = struct.pack("<III", 1, 12 + len(file), 5) + file
    # Of a local device: a RAM disk, without a place in memory yet.
    local = struct.pack("<IQQI", 3, 0, 0, 0) + file
    head = struct.pack("<IIII", 0, 1, 16 + len(local), 0)
    return uuid.UUID(options).bytes_le + head + local


def _partition(partition: Partition, *, is_gpt: bool) -> bytes:
    if is_gpt:
        place, table, disk = partition.identifier.bytes_le, 0, DISK_ID.bytes_le
    else:
        place, table = struct.pack("<QQ", partition.start, 0), 1
        disk = struct.pack("<I12x", SIGNATURE)
    return struct.pack("<IIII16sII16s16x", 6, 0, 0x48, 0, place, 0, table, disk)


def _firmware_variable(esp: Partition) -> bytes:
    """Give the firmware's own entry for the boot manager, an EFI_LOAD_OPTION (UEFI, chapter 3)."""
    sectors = struct.pack("<QQ", esp.start // 512, esp.size // 512)
    where = struct.pack("<BBHI", 4, 1, 42, esp.number) + sectors + esp.identifier.bytes_le
    path = "\\EFI\\Microsoft\\Boot\\bootmgfw.efi\0".encode("utf-16-le")
    file = struct.pack("<BBH", 4, 4, 4 + len(path)) + path
    devices = where + b"\2\2" + file + b"\x7f\xff\4\0"
    return (
        struct.pack("<IH", 1, len(devices)) + "Windows Boot Manager\0".encode("utf-16-le") + devices
    )


def _objects(windows: Windows, layout: Layout) -> dict[str, _Object]:
    found = {BOOTMGR: _bootmgr(windows, layout), MEMORY_TESTER: _memory_tester(windows, layout)}
    found |= _shared(windows)
    found[LOADER] = _loader(windows, layout, layout.get(Role.WINDOWS))
    found[RESUME] = _resume(windows, layout)
    if second := layout.find(Role.SECOND_WINDOWS):
        found[SECOND_LOADER] = _loader(windows, layout, second)
    found |= _recovery(windows, layout)
    if windows.is_uefi:
        found[FIRMWARE] = _Object(
            0x10100001, {0x24000001: multi_sz(BOOTMGR, FIRMWARE_ENTRY), 0x25000004: _integer(0)}
        )
        found[FIRMWARE_ENTRY] = _Object(
            0x101FFFFF, {0x12000004: sz("EFI VMware Virtual SATA CDROM Drive (0.0)")}
        )
    return found


def _bootmgr(windows: Windows, layout: Layout) -> _Object:
    loaders = [LOADER, *([SECOND_LOADER] if layout.find(Role.SECOND_WINDOWS) else [])]
    elements = {
        0x11000001: _device(layout, layout.system),
        0x12000004: sz("Windows Boot Manager"),
        0x12000005: sz(locale(windows)),
        0x14000006: multi_sz(_GLOBAL),
        0x23000003: sz(LOADER),
        0x23000006: sz(RESUME),
        0x24000001: multi_sz(*loaders),
        0x24000010: multi_sz(MEMORY_TESTER),
        0x25000004: _integer(30),
    }
    if windows.is_uefi:
        elements[0x12000002] = sz(r"\EFI\Microsoft\Boot\bootmgfw.efi")
    if windows.has(State.EMS):
        elements[0x16000020] = _boolean(1)
    return _Object(0x10100002, elements)


def _memory_tester(windows: Windows, layout: Layout) -> _Object:
    path = r"\EFI\Microsoft\Boot\memtest.efi" if windows.is_uefi else r"\boot\memtest.exe"
    return _Object(
        0x10200005,
        {
            0x11000001: _device(layout, layout.system),
            0x12000002: sz(path),
            0x12000004: sz("Windows Memory Diagnostic"),
            0x12000005: sz(locale(windows)),
            0x14000006: multi_sz(_GLOBAL),
            0x1600000B: _boolean(1),
        },
    )


def _shared(windows: Windows) -> dict[str, _Object]:
    """Give the objects that only others inherit from."""
    ems = 1 if windows.has(State.EMS) else 0
    return {
        EMS: _Object(0x20100000, {0x16000020: _boolean(ems)}),
        _DEBUGGER: _Object(0x20100000, {0x15000011: _integer(4)}),
        _BAD_MEMORY: _Object(0x20100000, {}),
        _GLOBAL: _Object(0x20100000, {0x14000006: multi_sz(_DEBUGGER, EMS, _BAD_MEMORY)}),
        _LOADERS: _Object(0x20200003, {0x14000006: multi_sz(_GLOBAL, _HYPERVISOR)}),
        _HYPERVISOR: _Object(
            0x20200003,
            {0x250000F3: _integer(0), 0x250000F4: _integer(1), 0x250000F5: _integer(115200)},
        ),
        _RESUMES: _Object(0x20200004, {0x14000006: multi_sz(_GLOBAL)}),
    }


def _loader(windows: Windows, layout: Layout, place: Partition) -> _Object:
    suffix = "efi" if windows.is_uefi else "exe"
    root = f"\\{windows.windows}"
    elements = {
        0x11000001: _device(layout, place),
        0x12000002: sz(rf"{root}\system32\winload.{suffix}"),
        0x12000004: sz(_title(windows)),
        0x12000005: sz(locale(windows)),
        0x14000006: multi_sz(_LOADERS),
        0x21000001: _device(layout, place),
        0x22000002: sz(root),
        0x23000003: sz(RESUME),
        # OptOut on a server, OptIn on a client.
        0x25000020: _integer(1 if windows.about.is_server else 0),
    }
    if windows.about.version >= (6, 2):
        elements |= {
            0x16000060: _boolean(1),
            0x17000077: _integer(0x15000075),
            0x250000C2: _integer(1),
        }
    if _recovery(windows, layout):
        elements |= {0x14000008: multi_sz(RECOVERY), 0x16000009: _boolean(1)}
    if windows.has(State.EMS):
        elements[0x260000B0] = _boolean(1)
    return _Object(0x10200003, elements)


def _resume(windows: Windows, layout: Layout) -> _Object:
    suffix = "efi" if windows.is_uefi else "exe"
    place = layout.get(Role.WINDOWS)
    elements = {
        0x11000001: _device(layout, place),
        0x12000002: sz(rf"\{windows.windows}\system32\winresume.{suffix}"),
        0x12000004: sz("Windows Resume Application"),
        0x12000005: sz(locale(windows)),
        0x14000006: multi_sz(_RESUMES),
        0x21000001: _device(layout, place),
        0x22000002: sz(r"\hiberfil.sys"),
        0x26000006: _boolean(0),
    }
    if _recovery(windows, layout):
        elements |= {0x14000008: multi_sz(RECOVERY), 0x16000009: _boolean(1)}
    return _Object(0x10200004, elements)


def _recovery(windows: Windows, layout: Layout) -> dict[str, _Object]:
    place = layout.find(Role.RECOVERY)
    if place is None:
        return {}
    image = binary(ramdisk(place, RECOVERY_OPTIONS, is_gpt=layout.is_gpt))
    suffix = "efi" if windows.is_uefi else "exe"
    loader = {
        0x11000001: image,
        0x12000002: sz(rf"\windows\system32\winload.{suffix}"),
        0x12000004: sz("Windows Recovery Environment"),
        0x12000005: sz(locale(windows)),
        0x14000006: multi_sz(_LOADERS),
        0x15000065: _integer(3),
        0x21000001: image,
        0x22000002: sz(r"\windows"),
        0x25000020: _integer(0),
        0x250000C2: _integer(1),
        0x26000022: _boolean(1),
        0x46000010: _boolean(1),
    }
    options = {
        0x12000004: sz("Windows Recovery"),
        0x31000003: _device(layout, place),
        0x32000004: sz(r"\Recovery\WindowsRE\boot.sdi"),
    }
    return {
        RECOVERY: _Object(0x10200003, loader),
        RECOVERY_OPTIONS: _Object(0x30000000, options),
    }


def locale(windows: Windows) -> str:
    """Give the language of what the guest shows."""
    return "de-DE" if windows.has(State.GERMAN) else "en-US"


def _title(windows: Windows) -> str:
    if windows.about.name == "11":
        return "Windows 11"
    return windows.about.product.removesuffix(" Standard").removesuffix(" Pro")


def _device(layout: Layout, partition: Partition) -> Value:
    return binary(device(partition, is_gpt=layout.is_gpt))


def _integer(number: int) -> Value:
    return binary(struct.pack("<Q", number))


def _boolean(number: int) -> Value:
    return binary(bytes([number]))
