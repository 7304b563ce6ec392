"""The synthetic Windows guests are what they are said to be, as independent readers see them."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import pytest

from images.windows import bcd, logs
from images.windows.build import build
from images.windows.guest import RELEASES, Firmware, State, Windows, matrix
from images.windows.layout import DISK_ID, SIGNATURE, plan
from images.windows.software import VMWARE_TOOLS
from images.windows.system import system as system_hive
from images.windows.tree import drive_c
from tests.windows import hives
from tests.windows.reader import Reader
from tests.windows.stores import Device

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.windows.tables import Entry

pytestmark = pytest.mark.appliance

BASIC = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
MSR = "e3c9e316-0b5c-4db8-817d-f92df00215ae"
RECOVERY = "de94bba4-06d1-4d40-a16a-bfd50179d6ac"
LDM = {"5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "af9b60a0-1431-4f62-bc68-3311714a69ad"}
SETS = ("ControlSet001", "ControlSet002")
CURRENT = r"Microsoft\Windows NT\CurrentVersion"


def by_name(windows: Windows) -> str:
    return windows.name


@pytest.mark.parametrize("windows", matrix(), ids=by_name)
def test_every_release_by_every_firmware(windows: Windows, tmp_path: Path) -> None:
    with Reader(build(windows, tmp_path)) as disk:
        check_disk(disk, windows)
        check_files(disk, windows)
        check_software(disk, windows)
        check_system(disk, windows)
        check_store(disk, windows)


def check_disk(disk: Reader, windows: Windows) -> None:
    table = disk.table
    assert table.is_gpt is windows.is_uefi
    kinds = [entry.type for entry in table.entries]
    has_recovery = windows.about.version > (6, 1)
    if windows.is_uefi:
        assert table.identifier == str(DISK_ID)
        assert sorted(kinds) == sorted([ESP, MSR, BASIC, *[RECOVERY] * has_recovery])
        assert not any(table.code)
        hidden = {entry.type: entry.attributes for entry in table.entries}
        assert hidden.get(RECOVERY, 0x8000000000000001) == 0x8000000000000001
        assert hidden[BASIC] == 0
    else:
        assert table.identifier == f"{SIGNATURE:08x}"
        assert kinds == ["07", "07", *["27"] * (windows.about.build > 19000)]
        assert [entry.number for entry in table.active()] == [1]
        assert any(table.code)
    for volume in disk.volumes:
        if volume.kind == "ntfs":
            sectors = volume.entry.start // 512
            assert volume.hidden_sectors == (sectors, sectors)
            assert volume.has_boot_code
            assert volume.sector(0) == volume.sector(-1)
            assert not volume.is_dirty
    assert disk.windows.entry.size > 7 << 30


def check_files(disk: Reader, windows: Windows) -> None:
    volume = disk.windows
    wanted = drive_c(windows, plan(windows))
    digests = volume.digests()
    assert {path: digest for path, digest in digests.items() if digest} == {
        path: hashlib.sha256(data).hexdigest()
        for path, data in wanted.items()
        if isinstance(data, bytes)
    }
    assert wanted.keys() <= digests.keys()
    for name in ("cmd.exe", "ntoskrnl.exe", "winload.exe", "winload.efi"):
        data = volume.read(f"Windows/System32/{name}")
        at = struct.unpack_from("<I", data, 0x3C)[0]
        assert data[:2] == b"MZ"
        assert data[at : at + 6] == b"PE\0\0\x64\x86"
    expected = {"Windows/Boot/PCAT/bootmgr", "Windows/Boot/EFI/bootmgfw.efi", "Windows/Panther"}
    expected |= {"Program Files", "Users", "Windows/INF", "pagefile.sys"}
    assert expected <= volume.paths()
    assert not volume.is_compressed("Windows/Boot/PCAT/bootmgr")
    assert volume.find("hiberfil.sys") is None
    for name, values in services(disk).items():
        image = values["ImagePath"].text if "ImagePath" in values else ""
        if image.startswith("System32\\"):
            assert volume.find(f"Windows/{image}".replace("\\", "/")), name
    assert volume.security("Windows/System32/cmd.exe") is not None
    assert volume.links() == {
        "Documents and Settings": "Users",
        "ProgramData/Application Data": ".",
    }
    if windows.is_uefi:
        loader = disk.volumes[0] if disk.volumes[0].kind == "fat" else disk.volumes[1]
        copies = ("EFI/Microsoft/Boot/bootmgfw.efi", "EFI/Boot/bootx64.efi")
        assert {loader.read(name) for name in copies} == {
            volume.read("Windows/Boot/EFI/bootmgfw.efi")
        }
    else:
        assert disk.volumes[0].read("bootmgr") == volume.read("Windows/Boot/PCAT/bootmgr")
        assert disk.volumes[0].find("BOOTNXT") == (
            "BOOTNXT" if windows.about.version > (6, 1) else None
        )


def check_software(disk: Reader, windows: Windows) -> None:
    software, about = disk.hive("SOFTWARE"), windows.about
    values = software[CURRENT]
    assert values["CurrentBuildNumber"].text == str(about.build)
    assert values["ProductName"].text == about.product
    assert values["InstallationType"].text == ("Server" if about.is_server else "Client")
    assert ("CurrentMajorVersionNumber" in values) is (about.major == 10)
    assert values["CurrentVersion"].text == min(f"{about.major}.{about.minor}", "6.3", key=number)
    assert software[rf"{CURRENT}\Winlogon"]["AutoAdminLogon"].text == "0"
    state = software[r"Microsoft\Windows\CurrentVersion\Setup\State"]
    assert state["ImageState"].text == "IMAGE_STATE_COMPLETE"
    framework = r"Microsoft\NET Framework Setup\NDP\v4\Full"
    assert (framework in software) is (about.version > (6, 1))


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def services(disk: Reader) -> dict[str, dict[str, hives.Value]]:
    base = f"{SETS[0]}\\Services\\"
    return {
        key.removeprefix(base): values
        for key, values in disk.hive("SYSTEM").items()
        if key.startswith(base) and "\\" not in key.removeprefix(base)
    }


def check_system(disk: Reader, windows: Windows) -> None:
    system, about = disk.hive("SYSTEM"), windows.about
    first, second = (
        {key.removeprefix(each): v for key, v in system.items() if key.startswith(each)}
        for each in SETS
    )
    assert first == second
    assert system["Select"]["Current"].number == 1
    started = services(disk)
    assert ("stornvme" in started) is (about.version >= (6, 3))
    assert ("storahci" in started) is (about.version >= (6, 2))
    for name in {"stornvme", "storahci", "intelide", "pciide", "atapi"} & started.keys():
        assert started[name]["Start"].number == 0
        assert rf"{SETS[0]}\Services\{name}\StartOverride" not in system
    critical = any(r"CriticalDeviceDatabase\PCI#" in key for key in system)
    assert critical is not any(key.startswith(r"DriverDatabase\DeviceIds") for key in system)
    assert critical is (about.version < (6, 2))
    control = rf"{SETS[0]}\Control"
    assert system[rf"{control}\Nls\Language"]["InstallLanguage"].text == "0409"
    kind = system[rf"{control}\ProductOptions"]["ProductType"].text
    assert kind == ("ServerNT" if about.is_server else "WinNT")
    assert system[rf"{control}\Terminal Server"]["fDenyTSConnections"].number == 0
    name = system[rf"{control}\ComputerName\ComputerName"]["ComputerName"].text
    assert name == system[rf"{SETS[0]}\Services\Tcpip\Parameters"]["Hostname"].text
    mounted = system["MountedDevices"][r"\DosDevices\C:"].data
    entry = disk.windows.entry
    if windows.is_uefi:
        assert mounted == b"DMIO:ID:" + bytes_le(entry)
    else:
        assert mounted == struct.pack("<IQ", SIGNATURE, entry.start)
    for hive in ("SYSTEM", "SOFTWARE", "SAM", "SECURITY", "DEFAULT"):
        assert hives.is_clean(disk.windows.read(f"Windows/System32/config/{hive}"))


def bytes_le(entry: Entry) -> bytes:
    parts = entry.identifier.split("-")
    return b"".join(bytes.fromhex(p)[::-1] for p in parts[:3]) + bytes.fromhex("".join(parts[3:]))


def check_store(disk: Reader, windows: Windows) -> None:
    path = "EFI/Microsoft/Boot/BCD" if windows.is_uefi else "Boot/BCD"
    objects = disk.store(path)
    table = disk.table
    named = {
        Device(table.is_gpt, entry.identifier or str(entry.start), table.identifier): entry
        for entry in table.entries
    }
    manager = objects[bcd.BOOTMGR].elements
    loader = objects[str(manager[0x23000003])].elements
    assert named[plain(manager[0x11000001])].start == system_partition(disk, windows)
    for element in (0x11000001, 0x21000001):
        assert named[plain(loader[element])] == disk.windows.entry
    winload = str(loader[0x12000002]).replace("\\", "/").lstrip("/")
    assert disk.windows.find(winload)
    assert winload.endswith("efi" if windows.is_uefi else "exe")
    assert (bcd.FIRMWARE in objects) is windows.is_uefi
    assert objects[bcd.EMS].elements[0x16000020] is False
    if has_recovery := any(entry.type in ("27", RECOVERY) for entry in disk.table.entries):
        device = objects[bcd.RECOVERY].elements[0x11000001]
        assert isinstance(device, Device)
        assert named[plain(device)].type in ("27", RECOVERY)
        assert disk.having(device.path.replace("\\", "/").lstrip("/"))
        assert device.options == bcd.RECOVERY_OPTIONS
    assert (bcd.RECOVERY in objects) is has_recovery


def plain(element: object) -> Device:
    """Give the partition that a device is on."""
    assert isinstance(element, Device)
    return Device(element.is_gpt, element.partition, element.disk)


def system_partition(disk: Reader, windows: Windows) -> int:
    if windows.is_uefi:
        return next(entry.start for entry in disk.table.entries if entry.type == ESP)
    return disk.table.active()[0].start


# What a state leaves, by the state.
def in_system(key: str, name: str, data: int) -> Callable[[Reader, Windows], bool]:
    def check(disk: Reader, _: Windows) -> bool:
        system = disk.hive("SYSTEM")
        return all(system[rf"{each}\{key}"][name].number == data for each in SETS)

    return check


def in_software(key: str, name: str, text: str) -> Callable[[Reader, Windows], bool]:
    return lambda disk, _: disk.hive("SOFTWARE")[key][name].text == text


def has_file(path: str, begin: bytes = b"") -> Callable[[Reader, Windows], bool]:
    def check(disk: Reader, _: Windows) -> bool:
        return disk.windows.find(path) is not None and (
            not begin or disk.windows.read(path).startswith(begin)
        )

    return check


def is_overridden(disk: Reader, windows: Windows) -> bool:
    system = disk.hive("SYSTEM")
    names = {"intelide", "pciide", "atapi"} | (
        {"stornvme", "storahci"} if windows.about.version >= (6, 3) else set()
    )
    keys = [rf"{each}\Services\{name}\StartOverride" for each in SETS for name in names]
    return all(system[key]["0"].number == 3 for key in keys)


def has_addresses(disk: Reader, _: Windows) -> bool:
    base = rf"{SETS[0]}\Services\Tcpip\Parameters\Interfaces"
    found = {k: v for k, v in disk.hive("SYSTEM").items() if k.startswith(f"{base}\\")}
    static = [values for values in found.values() if values["EnableDHCP"].number == 0]
    assert len(found) == 4
    assert static[0].keys() >= {"IPAddress", "SubnetMask", "DefaultGateway", "NameServer"}
    return sorted(v["IPAddress"].texts for v in static) == [
        ["10.20.30.40", "10.20.30.41"],
        ["172.16.0.9"],
        ["192.168.77.5"],
    ]


def is_dynamic(disk: Reader, windows: Windows) -> bool:
    kinds = {entry.type for entry in disk.table.entries}
    return kinds >= LDM if windows.is_uefi else "42" in kinds


def is_firewalled(disk: Reader, _: Windows) -> bool:
    key = rf"{SETS[0]}\Services\SharedAccess\Parameters\FirewallPolicy\FirewallRules"
    rules = disk.hive("SYSTEM")[key]
    return "Active=FALSE" in rules["RemoteDesktop-UserMode-In-TCP"].text


def has_ems(disk: Reader, windows: Windows) -> bool:
    objects = disk.store("EFI/Microsoft/Boot/BCD" if windows.is_uefi else "Boot/BCD")
    return (
        objects[bcd.EMS].elements[0x16000020] is True
        and objects[bcd.BOOTMGR].elements[0x16000020] is True
        and objects[bcd.LOADER].elements[0x260000B0] is True
    )


def has_two(disk: Reader, windows: Windows) -> bool:
    objects = disk.store("EFI/Microsoft/Boot/BCD" if windows.is_uefi else "Boot/BCD")
    loaders = objects[bcd.BOOTMGR].elements[0x24000001]
    found = [v for v in disk.volumes if v.kind == "ntfs" and v.find("Windows/System32/cmd.exe")]
    assert isinstance(loaders, list)
    devices = {plain(objects[loader].elements[0x21000001]) for loader in loaders}
    return len(found) == len(devices) == 2


def has_tools(disk: Reader, _: Windows) -> bool:
    key = rf"Microsoft\Windows\CurrentVersion\Uninstall\{VMWARE_TOOLS}"
    name = disk.hive("SOFTWARE")[key]["DisplayName"].text
    return name == "VMware Tools" and services(disk)["vmci"]["Start"].number == 0


def has_operator(disk: Reader, _: Windows) -> bool:
    """Whether an account's NT hash is none: only its header is there."""
    values = disk.hive("SAM")[r"SAM\Domains\Account\Users\000003E9"]
    name_at, name_size = struct.unpack_from("<II", values["V"].data, 12)
    size = struct.unpack_from("<I", values["V"].data, 0xAC)[0]
    name = values["V"].data[0xCC + name_at :][:name_size].decode("utf-16-le")
    return name == "operator" and size in (4, 24)


def is_german(disk: Reader, windows: Windows) -> bool:
    language = disk.hive("SYSTEM")[rf"{SETS[0]}\Control\Nls\Language"]["InstallLanguage"]
    path = "Users/Administrator/Desktop/Übergröße.txt"
    return language.text == "0407" and disk.windows.find(path) is not None


CHECKS: dict[State, Callable[[Reader, Windows], bool]] = {
    State.ANTIVIRUS: lambda disk, _: "SepMasterService" in services(disk),
    State.AUTO_LOGON: in_software(rf"{CURRENT}\Winlogon", "AutoAdminLogon", "1"),
    State.BITLOCKER_DATA: lambda disk, _: "bitlocker" in {v.kind for v in disk.volumes},
    State.BLANK_PASSWORDS: has_operator,
    State.CORE: in_software(CURRENT, "InstallationType", "Server Core"),
    State.DIRTY_VOLUME: lambda disk, _: disk.windows.is_dirty,
    State.DOMAIN_CONTROLLER: lambda disk, _: (
        disk.hive("SYSTEM")[rf"{SETS[0]}\Control\ProductOptions"]["ProductType"].text == "LanmanNT"
    ),
    State.DUAL_BOOT: has_two,
    State.DYNAMIC_DISK: is_dynamic,
    State.EMS: has_ems,
    State.FAST_STARTED: has_file("hiberfil.sys", b"hibr"),
    State.GERMAN: is_german,
    State.GROUP_POLICY: has_file("Windows/System32/GroupPolicy/gpt.ini", b"[General]"),
    State.HIBERNATED: has_file("hiberfil.sys", b"HIBR"),
    State.HYPER_V: in_system(r"Services\vmms", "Start", 2),
    State.LOCAL_POLICY_OFF: lambda disk, _: (
        disk.hive("SOFTWARE")[r"Policies\Microsoft\Windows\System"]["DisableLGPOProcessing"].number
        == 1
    ),
    State.LOW_SPACE: lambda disk, _: disk.windows.entry.size == 1 << 30,
    State.NANO: in_software(CURRENT, "InstallationType", "Nano Server"),
    State.NO_BOOT_CODE: lambda disk, _: not disk.windows.has_boot_code,
    State.NO_FALLBACK: lambda disk, windows: (
        not windows.is_uefi or "EFI/Boot" not in disk.having("EFI").paths()
    ),
    State.PENDING_UPDATES: has_file("Windows/WinSxS/pending.xml"),
    State.RDP_FIREWALLED: is_firewalled,
    State.RDP_OFF: in_system(r"Control\Terminal Server", "fDenyTSConnections", 1),
    State.SINGLE_PARTITION: lambda disk, windows: (
        windows.is_uefi or disk.table.active() == [disk.windows.entry]
    ),
    State.START_OVERRIDE: is_overridden,
    State.STATIC_ADDRESSES: has_addresses,
    State.SYSPREPPED: in_software(
        r"Microsoft\Windows\CurrentVersion\Setup\State",
        "ImageState",
        "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE",
    ),
    State.UPPER_CASE: lambda disk, _: "WINDOWS/system32/cmd.exe" in disk.windows.paths(),
    State.VMWARE_TOOLS: has_tools,
}
# These have tests of their own.
OTHERS = {State.BITLOCKER, State.DIRTY_HIVE, State.LOST_HIVE}


def test_every_state_has_a_test() -> None:
    assert CHECKS.keys() | OTHERS == set(State)


# All that go together, and those that one of the others leaves no room for.
RARE = frozenset({State.FAST_STARTED, State.NANO})
GUESTS = [
    Windows(release, firmware, states)
    for release, firmware in (("2008r2", Firmware.BIOS), ("2022", Firmware.UEFI))
    for states in (frozenset(CHECKS) - RARE, RARE)
]


@pytest.mark.parametrize("windows", GUESTS, ids=lambda each: f"{each.release}-{len(each.states)}")
def test_guests_in_many_states(windows: Windows, tmp_path: Path) -> None:
    with Reader(build(windows, tmp_path)) as disk:
        assert [state for state in windows.states if not CHECKS[state](disk, windows)] == []


@pytest.mark.parametrize("firmware", Firmware)
def test_bitlocker_leaves_nothing_to_read(firmware: Firmware, tmp_path: Path) -> None:
    windows = Windows("2019", firmware, frozenset({State.BITLOCKER}))
    with Reader(build(windows, tmp_path)) as disk:
        assert "bitlocker" in {volume.kind for volume in disk.volumes}
        with pytest.raises(LookupError):
            assert disk.windows


@pytest.mark.parametrize("release", RELEASES)
def test_a_dirty_hive_misses_what_its_logs_have(release: str) -> None:
    about = RELEASES[release]
    windows = Windows(release, Firmware.UEFI)
    clean = system_hive(windows, plan(windows))
    dirty = logs.dirty(clean, is_new=about.has_new_logs)
    assert not hives.is_clean(dirty.primary)
    assert not logs.LOGGED[0].keys() & hives.read(dirty.primary).keys()
    keys = hives.read(hives.replayed(dirty.primary, dirty.log1, dirty.log2))
    service = keys[r"ControlSet001\Services\FromTheLog"]
    numbers = {name: value.number for name, value in service.items() if value.type == 4}
    assert numbers == {"Start": 4, "Type": 1}
    assert keys[r"ControlSet001\Services\FromTheLog\Parameters"]["Second"].text == "log"
    assert hives.read(clean).items() <= keys.items()
    if about.has_new_logs:
        assert [hives.entries(log) for log in (dirty.log1, dirty.log2)] == [[2], [3]]
        assert hives.entries(logs.damaged(dirty.log1)) == []


@pytest.mark.parametrize("state", [State.DIRTY_HIVE, State.LOST_HIVE])
def test_a_dirty_hive_has_its_logs_beside_it(state: State, tmp_path: Path) -> None:
    windows = Windows("2019", Firmware.UEFI, frozenset({state}))
    with Reader(build(windows, tmp_path)) as disk:
        config = "Windows/System32/config/SYSTEM"
        dirty = disk.windows.read(config)
        found = [hives.entries(disk.windows.read(f"{config}.LOG{number}")) for number in (1, 2)]
    assert not hives.is_clean(dirty)
    assert found == ([[2], [3]] if state is State.DIRTY_HIVE else [[], [3]])


def test_the_same_guest_has_the_same_hives() -> None:
    windows = Windows("2022", Firmware.UEFI, frozenset(State))
    first, second = (
        (system_hive(windows, plan(windows)), bcd.make(windows, plan(windows))) for _ in range(2)
    )
    assert first == second
