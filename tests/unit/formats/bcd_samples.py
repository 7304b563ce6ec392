"""Boot configuration stores as Windows makes them, and their device elements byte by byte."""

from __future__ import annotations

import uuid

from converter.formats.bcd import BOOT_MANAGER, EMS_SETTINGS, FIRMWARE_BOOT_MANAGER, MEMORY_TEST
from converter.formats.registry import Hive, Value, binary, dword, multi_sz, sz
from converter.formats.registry_new import empty

DISK = uuid.UUID("11223344-5566-7788-99aa-bbccddeeff00")
ESP = uuid.UUID("a0000001-0002-0003-0405-060708090a0b")
C = uuid.UUID("c0000001-0002-0003-0405-060708090a0b")
RECOVERY = uuid.UUID("e0000001-0002-0003-0405-060708090a0b")

LOADER = "{b0000000-1111-2222-3333-444444444444}"
RESUME = "{b0000001-1111-2222-3333-444444444444}"
WINRE = "{b0000002-1111-2222-3333-444444444444}"
RAM_DISK = "{b0000003-1111-2222-3333-444444444444}"
FIRMWARE = "{b0000004-1111-2222-3333-444444444444}"

# A partition in a GPT: what bcdedit /store shows as partition=C:.
GPT_C = bytes.fromhex(
    "00000000000000000000000000000000 06000000 00000000 48000000 00000000"
    "010000c0 0200 0300 0405060708090a0b"
    "00000000 00000000 44332211 6655 8877 99aabbccddeeff00"
    "00000000000000000000000000000000"
)
# The partition at 1 MiB of an MBR disk with the signature a1b2c3d4.
MBR_C = bytes.fromhex(
    "00000000000000000000000000000000 06000000 00000000 48000000 00000000"
    "0000100000000000 0000000000000000"
    "00000000 01000000 d4c3b2a1 000000000000000000000000"
    "00000000000000000000000000000000"
)
BOOT = bytes.fromhex("00000000000000000000000000000000 05000000 00000000 48000000").ljust(88, b"\0")
WINRE_PATH = r"\Recovery\WindowsRE\Winre.wim"


def partition(identifier: uuid.UUID, *, disk: uuid.UUID = DISK) -> bytes:
    return GPT_C[:0x20] + identifier.bytes_le + GPT_C[0x30:0x38] + disk.bytes_le + bytes(16)


def ram_disk(nested: bytes, *, path: str = WINRE_PATH) -> bytes:
    """Give the element of a RAM disk filled from a file on the partition of another element."""
    options = uuid.UUID(RAM_DISK).bytes_le
    inside = nested[16:] + path.encode("utf-16-le") + b"\0\0"
    size = 12 + len(inside)
    header = bytes.fromhex("00000000 00000000") + (0x28 + size).to_bytes(4, "little") + bytes(4)
    disk = b"\x03\0\0\0" + bytes(20)
    return options + header + disk + b"\1\0\0\0" + size.to_bytes(4, "little") + b"\5\0\0\0" + inside


Objects = dict[str, tuple[int, dict[int, Value]]]


def uefi_objects() -> Objects:
    """Give what Windows' installer leaves on an EFI system partition."""
    esp, c = binary(partition(ESP)), binary(partition(C))
    winre = binary(ram_disk(partition(RECOVERY)))
    return {
        FIRMWARE_BOOT_MANAGER: (0x10100001, {0x24000001: multi_sz(BOOT_MANAGER, FIRMWARE)}),
        FIRMWARE: (0x101FFFFF, {0x11000001: esp, 0x12000002: sz(r"\EFI\ubuntu\shimx64.efi")}),
        BOOT_MANAGER: (
            0x10100002,
            {
                0x11000001: esp,
                0x12000002: sz(r"\EFI\Microsoft\Boot\bootmgfw.efi"),
                0x12000004: sz("Windows Boot Manager"),
                0x23000003: sz(LOADER),
                0x23000006: sz(RESUME),
                0x24000001: multi_sz(LOADER),
                0x24000010: multi_sz(MEMORY_TEST),
                0x25000004: binary(bytes.fromhex("1e00000000000000")),
            },
        ),
        LOADER: (
            0x10200003,
            {
                0x11000001: c,
                0x12000002: sz(r"\Windows\system32\winload.efi"),
                0x12000004: sz("Windows Server 2019"),
                0x14000008: multi_sz(WINRE),
                0x16000009: binary(b"\1"),
                0x16000048: binary(b"\1"),
                0x21000001: c,
                0x22000002: sz(r"\Windows"),
                0x23000003: sz(RESUME),
                0x25000020: binary(bytes(8)),
                0x250000F5: binary(b"\x01unknown"),
                0x260000B0: binary(b"\1"),
            },
        ),
        RESUME: (
            0x10200004,
            {
                0x11000001: c,
                0x12000002: sz(r"\Windows\system32\winresume.efi"),
                0x21000001: c,
                0x22000002: sz(r"\hiberfil.sys"),
            },
        ),
        WINRE: (
            0x10200003,
            {
                0x11000001: winre,
                0x12000002: sz(r"\windows\system32\winload.efi"),
                0x21000001: winre,
                0x22000002: sz(r"\windows"),
                0x26000022: binary(b"\1"),
            },
        ),
        RAM_DISK: (
            0x30000000,
            {
                0x31000003: binary(partition(RECOVERY)),
                0x32000004: sz(r"\Recovery\WindowsRE\boot.sdi"),
            },
        ),
        MEMORY_TEST: (
            0x10200005,
            {0x11000001: esp, 0x12000002: sz(r"\EFI\Microsoft\Boot\memtest.efi")},
        ),
        EMS_SETTINGS: (0x20100000, {0x16000020: binary(b"\1")}),
    }


def store(objects: Objects) -> bytes:
    """Give the hive of a store."""
    hive = Hive(empty())
    hive.set_value("Description", "KeyName", sz("BCD00000000"))
    hive.set_value("Description", "FirmwareVariable", binary(b"\1\2\3"))
    for identifier, (kind, elements) in objects.items():
        hive.set_value(f"Objects\\{identifier}\\Description", "Type", dword(kind))
        for element, value in elements.items():
            hive.set_value(f"Objects\\{identifier}\\Elements\\{element:08X}", "Element", value)
    return hive.tobytes()


def contents(data: bytes) -> dict[str, dict[str, Value]]:
    """Give all values of a hive by their keys."""
    hive = Hive(data)
    found: dict[str, dict[str, Value]] = {}
    left = [""]
    while left:
        path = left.pop()
        found[path] = hive.values(path)
        left += [f"{path}\\{name}".lstrip("\\") for name in hive.subkeys(path)]
    return found
