from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING

import pytest

from converter.formats.registry import Hive, dword, expand_sz, multi_sz, sz
from converter.guest.protocol import SECURITY
from converter.inspection.windows import STAND_IN
from converter.model import CopyIn, Severity, WriteFile
from converter.steps.step import Options
from converter.steps.windows import boot_driver
from tests.standins import NVME, inf
from tests.unit.steps.windows.planning import context, done
from tests.unit.test_boot_driver import GUID, INF, SYS, packed, provided
from tests.unit.windows_samples import (
    CURRENT,
    DRIVER,
    SYSTEM,
    Windows,
    both,
    convert,
    hive_of,
    server,
    server_2008_r2,
    without_nvme,
)

if TYPE_CHECKING:
    from pathlib import Path

FILE = "/C/Windows/System32/drivers/AWSNVMe.sys"
SETS = (CURRENT, "ControlSet002")


def options(tmp_path: Path, text: str | None = None) -> Options:
    path = tmp_path / "AWSNVMe.zip"
    path.write_bytes(packed({INF: inf() if text is None else text, SYS: DRIVER}))
    return Options(payloads=(provided(path),))


def newer() -> Windows:
    """Give a Windows of which only the driver is missing, and that has a DriverDatabase."""
    made = server(uefi=False)
    without_nvme(made)
    return made


def check_service(hive: Hive) -> None:
    for name in SETS:
        key = rf"{name}\Services\AWSNVMe"
        assert hive.values(key) == {
            "Description": sz(STAND_IN),
            "Type": dword(1),
            "Start": dword(0),
            "ErrorControl": dword(1),
            "Group": sz("SCSI miniport"),
            "ImagePath": expand_sz(r"System32\drivers\AWSNVMe.sys"),
        }
        assert hive.value(rf"{key}\Parameters\PnpInterface", "5") == dword(1)


def test_before_windows_8_devices_are_critical(tmp_path: Path) -> None:
    plan, machine = done(server_2008_r2(), boot_driver.STEP, options(tmp_path))
    assert machine.read(FILE) == DRIVER
    hive = hive_of(machine, SYSTEM)
    hive.check()
    check_service(hive)
    for name in SETS:
        devices = hive.subkeys(rf"{name}\Control\CriticalDeviceDatabase")
        assert sorted(devices) == ["PCI#VEN_1D0F&DEV_8061", "PCI#VEN_1D0F&DEV_CD00"]
        for device in devices:
            assert hive.values(rf"{name}\Control\CriticalDeviceDatabase\{device}") == {
                "Service": sz("AWSNVMe"),
                "ClassGUID": sz(GUID),
            }
    assert not hive.exists("DriverDatabase")
    assert {change.code for change in plan.changes} == {"boot-driver"}
    assert all("AWS NVMe driver 1.6.0.35" in change.reason for change in plan.changes)


def test_since_then_there_is_a_database(tmp_path: Path) -> None:
    _, machine = done(newer(), boot_driver.STEP, options(tmp_path))
    hive = hive_of(machine, SYSTEM)
    hive.check()
    check_service(hive)
    assert not hive.exists(rf"{CURRENT}\Control\CriticalDeviceDatabase")
    package, top = boot_driver.package_name(), "DriverDatabase"
    assert hive.values(rf"{top}\DriverInfFiles\{boot_driver.INF}") == {
        "": multi_sz(package),
        "Active": sz(package),
        "Configurations": multi_sz("AWSNVMe_Inst"),
    }
    below = rf"{top}\DriverPackages\{package}"
    assert hive.values(rf"{below}\Configurations\AWSNVMe_Inst") == {
        "ConfigFlags": dword(0),
        "Service": sz("AWSNVMe"),
    }
    for identifier in NVME:
        rank = hive.value(rf"{top}\DeviceIds\{identifier}", boot_driver.INF)
        assert rank is not None
        assert rank.data == b"\x01\xff\0\0"
        key = rf"{below}\Descriptors\{identifier}"
        assert hive.value(key, "Configuration") == sz("AWSNVMe_Inst")
    version = hive.value(below, "Version")
    assert version is not None
    assert version.data[:4] == b"\0\xff\x09\0"
    assert uuid.UUID(bytes_le=version.data[8:24]) == uuid.UUID(GUID)
    # 2023-06-21, in units of 100 ns since 1601.
    assert struct.unpack_from("<Q", version.data, 24) == (133_317_792_000_000_000,)
    assert version.data[32:40] == struct.pack("<4H", 35, 0, 6, 1)
    assert len(version.data) == 48


@pytest.mark.parametrize(
    "date", ["", "21.06.2023", "13/45/2023", "01/01/0001", "01/01/1600", "12/31/9999"]
)
def test_any_date(tmp_path: Path, date: str) -> None:
    text = inf().replace("06/21/2023", date)
    _, machine = done(newer(), boot_driver.STEP, options(tmp_path, text))
    hive_of(machine, SYSTEM).check()


def test_only_system_and_administrators_write_it(tmp_path: Path) -> None:
    plan, machine = done(newer(), boot_driver.STEP, options(tmp_path))
    (file,) = [change for change in plan.changes if isinstance(change, WriteFile)]
    assert [name for name, _ in file.attributes] == [SECURITY]
    assert machine.attributes(FILE) == file.attributes
    assert not any(isinstance(change, CopyIn) for change in plan.changes)


@pytest.mark.parametrize("made", [server(), server(uefi=False)])
def test_windows_own_will_do(tmp_path: Path, made: Windows) -> None:
    plan, _ = done(made, boot_driver.STEP, options(tmp_path))
    assert (plan.changes, plan.findings) == ((), ())


@pytest.mark.parametrize("name", ["PCI#VEN_1D0F&DEV_8061", "pci#cc_010802"])
def test_the_vendor_s_that_is_there_will_do(tmp_path: Path, name: str) -> None:
    made = server_2008_r2()
    both(made, r"Services\awsnvme", Start=dword(0))
    both(made, rf"Control\CriticalDeviceDatabase\{name}", Service=sz("awsnvme"))
    made.files["/Windows/System32/drivers/awsNVMe.sys"] = DRIVER
    plan, _ = done(made, boot_driver.STEP, options(tmp_path))
    assert (plan.changes, plan.findings) == ((), ())


@pytest.mark.parametrize("service", [None, "other"])
def test_one_that_is_not_bound_to_ec2_s_disks_is_bound(tmp_path: Path, service: str | None) -> None:
    """Such as that of an update, on a machine that never had such a disk."""
    made = server_2008_r2()
    both(made, r"Services\stornvme", Start=dword(0))
    made.files["/Windows/System32/drivers/stornvme.sys"] = DRIVER
    if service is not None:
        both(made, r"Control\CriticalDeviceDatabase\PCI#CC_010802", Service=sz(service))
    plan, machine = done(made, boot_driver.STEP, options(tmp_path))
    hive = hive_of(machine, SYSTEM)
    for name in (CURRENT, "ControlSet002"):
        key = rf"{name}\Control\CriticalDeviceDatabase\PCI#CC_010802"
        assert hive.value(key, "Service") == sz("stornvme")
        assert hive.value(key, "ClassGUID") == sz("{4D36E97B-E325-11CE-BFC1-08002BE10318}")
    assert plan.findings == ()


def test_a_service_without_its_file_will_not(tmp_path: Path) -> None:
    made = server(uefi=False)
    del made.files["/Windows/System32/drivers/stornvme.sys"]
    plan, _ = done(made, boot_driver.STEP, options(tmp_path))
    assert plan.changes


def test_one_that_only_an_older_control_set_has_will_not(tmp_path: Path) -> None:
    """Windows starts with the current one."""
    made = server(uefi=False)
    made.system.delete_key(rf"{CURRENT}\Services\stornvme")
    plan, _ = done(made, boot_driver.STEP, options(tmp_path))
    assert plan.changes


def test_without_a_package_it_is_told() -> None:
    plan, _ = done(server_2008_r2(), boot_driver.STEP)
    (finding,) = plan.findings
    assert (finding.severity, finding.code) == (Severity.WARNING, "boot-driver-missing")
    assert "Windows Server 2008 R2" in finding.message
    assert "converter drivers fetch aws-nvme" in finding.hint
    assert plan.changes == ()


@pytest.mark.parametrize(
    "text",
    [
        "noise",
        inf(decorations=["NTamd64.10.0"]),
        inf().replace(GUID, "{nonsense}"),
        inf().replace("%12%\\AWSNVMe.sys", "%12%\\x.sys"),
    ],
)
def test_a_package_that_cannot_be_used_is_told(tmp_path: Path, text: str) -> None:
    plan, _ = done(server_2008_r2(), boot_driver.STEP, options(tmp_path, text))
    (finding,) = plan.findings
    assert (finding.severity, finding.code) == (Severity.WARNING, "boot-driver-unusable")
    assert finding.hint
    assert plan.changes == ()


def test_a_package_that_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"noise")
    work = context(server_2008_r2().machine(), Options(payloads=(provided(path),)))
    boot_driver.run(work)
    assert [item.code for item in work.guest.plan.findings] == ["boot-driver-unusable"]


def test_with_it_the_guest_drives_the_disks(tmp_path: Path) -> None:
    plan, after = convert(server_2008_r2().machine(), options(tmp_path))
    assert "AWSNVMe" in after.facts.windows.boot_drivers
    assert {finding.code for finding in plan.findings} == {"first-boot", "sha2-missing"}
