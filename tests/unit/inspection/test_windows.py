r"""What a Windows is, by its hives: each fact present, absent, and of a wrong type."""

from __future__ import annotations

import pytest

from converter.data import load
from converter.errors import GuestRefusedError
from converter.formats.registry import (
    Value,
    ValueType,
    binary,
    dword,
    expand_sz,
    multi_sz,
    qword,
    sz,
)
from converter.inspection.windows import find_release, image_path
from converter.inspection.windows_values import number, text, texts
from converter.model import NetworkAdapter, ProductType, WindowsFacts
from tests.unit.efi_programs import I386, pe
from tests.unit.windows_samples import (
    ADAPTER,
    CURRENT,
    DRIVER,
    NT,
    SERVICES,
    STATE,
    Windows,
    both,
    change,
    client,
    put,
    server,
    server_2008_r2,
    service,
    spoilt,
)

ODD = Value(ValueType.SZ, b"\0x\0")


def facts(made: Windows) -> WindowsFacts:
    return made.inspect().facts.windows


def refusal(made: Windows) -> GuestRefusedError:
    with pytest.raises(GuestRefusedError) as caught:
        made.inspect()
    assert caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("build", "kind", "name"),
    [
        (3790, ProductType.SERVER, ""),
        (6001, ProductType.SERVER, "2008"),
        (7601, ProductType.SERVER, "2008r2"),
        (9200, ProductType.SERVER, "2012"),
        (9600, ProductType.SERVER, "2012r2"),
        (14393, ProductType.SERVER, "2016"),
        (16299, ProductType.SERVER, "1709"),
        (17134, ProductType.SERVER, "1803"),
        (17763, ProductType.DOMAIN_CONTROLLER, "2019"),
        (18363, ProductType.SERVER, "sac"),
        (20348, ProductType.SERVER, "2022"),
        (25398, ProductType.SERVER, "23h2"),
        (26100, ProductType.SERVER, "2025"),
        (99999, ProductType.SERVER, "2025"),
        (6000, ProductType.WORKSTATION, "vista"),
        (7601, ProductType.WORKSTATION, "7"),
        (9200, ProductType.WORKSTATION, "8"),
        (9600, ProductType.WORKSTATION, "8.1"),
        (10240, ProductType.WORKSTATION, "10"),
        (21999, ProductType.WORKSTATION, "10"),
        (22000, ProductType.WORKSTATION, "11"),
        (0, ProductType.WORKSTATION, ""),
    ],
)
def test_a_build_is_a_release(build: int, kind: ProductType, name: str) -> None:
    row = find_release(build, kind)
    assert (row["name"] if row else "") == name


def test_no_build_is_two_releases() -> None:
    for is_server in (True, False):
        rows = [row for row in load("windows")["releases"] if row["server"] is is_server]
        assert [row["before"] for row in rows] == [*(row["from"] for row in rows[1:]), 0]


def test_a_server() -> None:
    found = facts(server())
    assert (found.product, found.edition) == ("Windows Server 2019 Standard", "ServerStandard")
    assert (found.release, found.version, found.build) == ("2019", "10.0", 17763)
    assert found.product_type is ProductType.SERVER
    assert (found.architecture, found.hostname, found.root) == ("x86_64", "web", "/C/Windows")
    assert found.control_sets == (CURRENT, "ControlSet002")
    assert (found.language, found.languages) == ("0409", ("en-US",))
    assert found.services["TermService"] == 3
    assert found.guest_tools == ("vmware-tools",)
    assert found.dotnet == 461814
    assert found.page_files == (r"c:\pagefile.sys 4096 4096",)
    for nothing in (found.roles, found.agents, found.antivirus, found.physical):
        assert nothing == ()
    assert (found.remote_desktop, found.automatic_logon, found.blank_passwords) == ("", "", ())
    assert not any([found.is_generalized, found.is_restart_pending, found.is_policy_off])


def test_an_older_server_has_no_version_in_numbers() -> None:
    found = facts(server_2008_r2())
    assert (found.release, found.version) == ("2008r2", "6.1")


def test_windows_11_says_that_it_is_10() -> None:
    assert facts(client(build=22631)).product == "Windows 11 Pro"
    assert facts(client()).product == "Windows 10 Pro"


@pytest.mark.parametrize(
    ("name", "value", "fact", "expected"),
    [
        ("ProductName", None, "product", "Windows Server 2019"),
        ("ProductName", ODD, "product", "Windows Server 2019"),
        ("EditionID", None, "edition", ""),
        ("EditionID", dword(1), "edition", ""),
        ("CurrentBuildNumber", None, "build", 0),
        ("CurrentBuildNumber", dword(17763), "build", 0),
        ("CurrentBuildNumber", sz("17763.1"), "build", 0),
        ("CurrentBuildNumber", sz("9" * 4000), "build", 0),
        ("CurrentMajorVersionNumber", sz("10"), "version", "6.3"),
        ("CurrentMinorVersionNumber", None, "version", "10.0"),
    ],
)
def test_a_value_that_is_none(
    name: str, value: Value | None, fact: str, expected: str | int
) -> None:
    made = server()
    change(made.software, NT, **{name: value})
    assert getattr(facts(made), fact) == expected


def test_the_older_name_of_the_build_counts_as_well() -> None:
    made = server()
    change(made.software, NT, CurrentBuildNumber=None, CurrentBuild=sz("20348"))
    assert facts(made).release == "2022"


def test_names_have_no_case() -> None:
    made = server()
    made.software.delete_key(r"Microsoft\Windows NT")
    put(
        made.software,
        {
            r"MICROSOFT\windows nt\currentVERSION": {
                "PRODUCTNAME": sz("Windows Server 2022"),
                "currentbuildnumber": sz("20348"),
            }
        },
    )
    made.system.delete_key(rf"{SERVICES}\stornvme")
    put(made.system, {rf"{SERVICES}\STORNVME": service(0)})
    made.spell = str.upper
    found = facts(made)
    assert (found.product, found.release) == ("Windows Server 2022", "2022")
    assert (found.architecture, found.root) == ("x86_64", "/C/WINDOWS")
    assert "stornvme" in found.boot_drivers


@pytest.mark.parametrize("value", [None, sz("Whatever"), dword(1)])
def test_what_it_is_for_is_unknown(value: Value | None) -> None:
    made = server()
    both(made, r"Control\ProductOptions", ProductType=value)
    assert facts(made).product_type is ProductType.WORKSTATION


def test_nano_server() -> None:
    made = server()
    put(made.software, {rf"{NT}\Server\ServerLevels": {"NanoServer": dword(1)}})
    assert facts(made).installation_type == "Nano Server"


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (pe(machine=I386), "i386"),
        (pe(machine=0xAA64), "aarch64"),
        (b"MZ", ""),
        (b"", ""),
        (None, ""),
    ],
)
def test_the_architecture_is_that_of_a_program(program: bytes | None, expected: str) -> None:
    made = server()
    del made.files["/Windows/System32/cmd.exe"]
    if program is not None:
        made.files["/Windows/System32/cmd.exe"] = program
    else:
        made.files["/Windows/System32/cmd.exe/x"] = ""  # a directory
    assert facts(made).architecture == expected


def test_its_name_may_be_that_of_the_computer() -> None:
    made = server()
    change(made.system, rf"{SERVICES}\Tcpip\Parameters", Hostname=None)
    assert facts(made).hostname == "WEB"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE", True),
        ("IMAGE_STATE_COMPLETE", False),
        ("", False),
    ],
)
def test_sysprep(state: str, *, expected: bool) -> None:
    made = server()
    change(made.software, STATE, ImageState=sz(state) if state else None)
    found = facts(made)
    assert (found.image_state, found.is_generalized) == (state, expected)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (r"Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired", True),
        (r"Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending", True),
        (r"Microsoft\Windows\CurrentVersion\Component Based Servicing\Other", False),
    ],
)
def test_updates_that_wait(key: str, *, expected: bool) -> None:
    made = server()
    made.software.create_key(key)
    assert facts(made).is_restart_pending is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (multi_sz(r"?:\pagefile.sys"), (r"?:\pagefile.sys",)),
        (sz(r"d:\pagefile.sys 0 0"), (r"d:\pagefile.sys 0 0",)),
        (multi_sz(), ()),
        (dword(1), ()),
        (ODD, ()),
        (None, ()),
    ],
)
def test_page_files(value: Value | None, expected: tuple[str, ...]) -> None:
    made = server()
    both(made, r"Control\Session Manager\Memory Management", PagingFiles=value)
    assert facts(made).page_files == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"AutoAdminLogon": sz("1"), "DefaultUserName": sz("kiosk")}, "kiosk"),
        ({"AutoAdminLogon": sz("1")}, "?"),
        ({"AutoAdminLogon": sz("0"), "DefaultUserName": sz("kiosk")}, ""),
        ({"AutoAdminLogon": None}, ""),
    ],
)
def test_automatic_logon(values: dict[str, Value | None], expected: str) -> None:
    made = server()
    change(made.software, rf"{NT}\Winlogon", **values)
    assert facts(made).automatic_logon == expected


@pytest.mark.parametrize(
    ("start", "by_policy", "expected"),
    [
        (2, None, False),
        (4, None, True),
        (None, None, True),
        (2, dword(1), True),
        (2, dword(0), False),
        (2, qword(0), False),
        # The safe side: a service needs no policy.
        (2, sz("1"), True),
        (2, sz("0"), True),
    ],
)
def test_group_policy_is_off(start: int | None, by_policy: Value | None, *, expected: bool) -> None:
    made = server()
    both(made, r"Services\gpsvc", Start=None if start is None else dword(start))
    change(made.software, r"Policies\Microsoft\Windows\System", DisableLGPOProcessing=by_policy)
    assert facts(made).is_policy_off is expected


class TestServices:
    """What shows by its service."""

    @pytest.mark.parametrize("table", ["agents", "guest_tools", "antivirus", "physical", "roles"])
    def test_every_row_is_found(self, table: str) -> None:
        made = server()
        rows = load("windows")[table]
        for marks in rows.values():
            put(made.system, {rf"{SERVICES}\{mark.upper()}": service(4) for mark in marks[:1]})
        assert getattr(facts(made), table) == tuple(name for name, marks in rows.items() if marks)

    @pytest.mark.parametrize("start", [None, sz("0"), binary(b"\0"), Value(4, b"\0\0")])
    def test_one_that_never_starts(self, start: Value | None) -> None:
        made = server()
        change(made.system, rf"{SERVICES}\stornvme", Start=start)
        found = facts(made)
        assert "stornvme" not in found.services
        assert "stornvme" not in found.boot_drivers


class TestBootDrivers:
    def found(self, made: Windows) -> bool:
        return "stornvme" in facts(made).boot_drivers

    def started(self) -> Windows:
        made = server()
        change(made.system, rf"{SERVICES}\stornvme", Start=dword(0))
        made.system.delete_key(rf"{SERVICES}\stornvme\StartOverride")
        return made

    def test_it_starts_with_the_machine(self) -> None:
        assert self.found(self.started())

    @pytest.mark.parametrize("start", [1, 2, 3, 4])
    def test_it_starts_later(self, start: int) -> None:
        made = self.started()
        change(made.system, rf"{SERVICES}\stornvme", Start=dword(start))
        assert not self.found(made)

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("0", dword(3), False),
            ("1", dword(4), False),
            ("0", dword(0), True),
            ("0", sz("3"), True),
            ("0", qword(3), False),
        ],
    )
    def test_it_is_turned_off(self, name: str, value: Value, *, expected: bool) -> None:
        made = self.started()
        put(made.system, {rf"{SERVICES}\stornvme\startoverride": {name: value}})
        assert self.found(made) is expected

    @pytest.mark.parametrize(
        "path",
        [
            None,
            sz(""),
            dword(1),
            sz(r"system32\DRIVERS\STORNVME.SYS"),
            expand_sz(r"%systemroot%\System32\drivers\stornvme.sys"),
            sz(r"\??\c:\windows\System32\drivers\stornvme.sys"),
            sz(r"C:\Windows\System32\drivers\stornvme.sys"),
            sz(r'"\SystemRoot\System32\drivers\stornvme.sys"'),
            sz("System32/drivers//./stornvme.sys"),
        ],
    )
    def test_its_file_is_there(self, path: Value | None) -> None:
        made = self.started()
        change(made.system, rf"{SERVICES}\stornvme", ImagePath=path)
        assert self.found(made)

    @pytest.mark.parametrize(
        "path",
        [
            r"System32\drivers\other.sys",
            r"System32\drivers",
            r"System32\cmd.exe\x",
            "x" * 8000,
            "\\".join(["x"] * 4000),
            r"System32\drivers" + "\\" + "x" * 300,
            "System32\\drivers\\\ud800.sys",
            "System32\\drivers\\x\udc80.sys",
            "\ud800" * 300,
            r"\Device\HarddiskVolume1\x.sys",
            "\\",
        ],
    )
    def test_its_file_is_not_there(self, path: str) -> None:
        made = self.started()
        change(made.system, rf"{SERVICES}\stornvme", ImagePath=sz(path))
        assert not self.found(made)

    def test_that_is_what_it_is_called_where_nobody_says(self) -> None:
        assert image_path(None, "x") == r"System32\drivers\x.sys"


class TestAdapters:
    def test_a_fixed_address(self) -> None:
        (found,) = facts(server()).adapters
        assert found == NetworkAdapter(
            ADAPTER.rpartition("\\")[2],
            dhcp=False,
            addresses=("192.0.2.10",),
            servers=("192.0.2.53", "192.0.2.54"),
        )

    def test_what_windows_leaves_where_there_is_none(self) -> None:
        made = server()
        nowhere = multi_sz("0.0.0.0")  # noqa: S104 - nothing is bound to it
        values = {"EnableDHCP": dword(1), "IPAddress": nowhere, "NameServer": sz("")}
        change(made.system, rf"{CURRENT}\{ADAPTER}", **values)
        (found,) = facts(made).adapters
        assert (found.dhcp, found.addresses, found.servers) == (True, (), ())

    @pytest.mark.parametrize("value", [None, dword(7), ODD, binary(b"\xff")])
    def test_values_that_are_none(self, value: Value | None) -> None:
        made = server()
        names = ("EnableDHCP", "IPAddress", "NameServer")
        change(made.system, rf"{CURRENT}\{ADAPTER}", **dict.fromkeys(names, value))
        (found,) = facts(made).adapters
        assert (found.dhcp, found.addresses, found.servers) == (False, (), ())


class TestControlSets:
    @pytest.mark.parametrize(
        ("default", "current", "expected"),
        [
            (dword(2), dword(1), "ControlSet002"),
            (dword(1), dword(2), CURRENT),
            (dword(7), dword(2), "ControlSet002"),
            (sz("1"), dword(2), "ControlSet002"),
            (None, dword(2), "ControlSet002"),
            (None, dword(7), CURRENT),
            (None, sz("2"), CURRENT),
            (None, None, CURRENT),
        ],
    )
    def test_select_says_which_is_taken_next(
        self, default: Value | None, current: Value | None, expected: str
    ) -> None:
        made = server()
        change(made.system, "Select", Default=default, Current=current)
        assert facts(made).current_control_set == expected

    def test_select_is_not_there(self) -> None:
        made = server()
        made.system.delete_key("Select")
        assert facts(made).current_control_set == CURRENT

    @pytest.mark.parametrize(
        ("name", "counts"),
        [
            ("ControlSet999999", True),
            ("CONTROLSET003", True),
            ("ControlSet" + "9" * 200, True),
            ("ControlSet", False),
            ("ControlSetX", False),
            ("ControlSet\u00b2", False),
            ("CurrentControlSet", False),
        ],
    )
    def test_names(self, name: str, *, counts: bool) -> None:
        made = server()
        made.system.create_key(name)
        assert (name in facts(made).control_sets) is counts

    def test_more_than_any_windows_has(self) -> None:
        made = server()
        for place in range(100, 200):
            made.system.create_key(f"ControlSet{place}")
        assert refusal(made).code == "registry-damaged"

    def test_without_any_there_is_no_windows_that_starts(self) -> None:
        made = server()
        for name in (CURRENT, "ControlSet002"):
            made.system.delete_key(name)
        assert refusal(made).code == "registry-damaged"


class TestDamage:
    """A hive that makes no sense refuses the guest, whichever it is."""

    CONFIG = "/Windows/System32/config"

    @pytest.mark.parametrize("name", ["SYSTEM", "SOFTWARE", "SAM"])
    @pytest.mark.parametrize("form", ["empty", "noise", "cut", "inside", "length"])
    def test_of_a_hive(self, name: str, form: str) -> None:
        made = server()
        hive = {"SYSTEM": made.system, "SOFTWARE": made.software, "SAM": made.sam}[name]
        assert hive is not None
        data = hive.tobytes()
        damaged = {
            "empty": b"",
            "noise": b"noise" * 4096,
            "cut": data[:4096],
            "inside": spoilt(data),
            "length": data[:-4096],
        }[form]
        made.files[f"{self.CONFIG}/{name}"] = damaged
        error = refusal(made)
        assert error.code == "registry-damaged"
        assert name in error.message or "config" in error.message

    @pytest.mark.parametrize("name", ["SYSTEM", "SOFTWARE", "SAM"])
    def test_that_was_not_written_to_its_end(self, name: str) -> None:
        made = server()
        hive = {"SYSTEM": made.system, "SOFTWARE": made.software, "SAM": made.sam}[name]
        assert hive is not None
        data = bytearray(hive.tobytes())
        data[4] ^= 1
        made.files[f"{self.CONFIG}/{name}"] = bytes(data)
        error = refusal(made)
        assert error.code == "registry-dirty"
        assert "shutdown" in error.hint

    def test_no_accounts(self) -> None:
        made = server()
        made.sam = None
        error = refusal(made)
        assert error.code == "guest-file-missing"
        assert "SAM" in error.message


@pytest.mark.parametrize("value", [None, ODD, binary(b"x"), Value(0x77, b"abc")])
def test_what_is_no_value_is_nothing(value: Value | None) -> None:
    assert (text(value), number(value), texts(value)) == ("", None, ())


@pytest.mark.parametrize(
    ("values", "listed", "expected"),
    [
        ({}, "", False),
        ({"DenyUnspecified": dword(1)}, "", True),
        ({"AllowDeviceIDs": dword(1), "DenyUnspecified": dword(0)}, "", False),
        ({"DenyDeviceClasses": dword(1)}, "{4d36e972-e325-11ce-bfc1-08002be10318}", True),
        ({"DenyDeviceClasses": dword(0)}, "{4d36e972-e325-11ce-bfc1-08002be10318}", False),
        ({"DenyDeviceClasses": dword(1)}, "{d48179be-ec20-11d1-b6b8-00c04fa372a7}", False),
        ({"DenyDeviceIDs": dword(1)}, r"PCI\CC_0C0A", False),
        ({"DenyDeviceIDs": dword(1)}, r"PCI\VEN_1D0F&DEV_EC20", True),
    ],
)
def test_a_policy_for_devices(values: dict[str, Value], listed: str, *, expected: bool) -> None:
    made = server()
    key = r"Policies\Microsoft\Windows\DeviceInstall\Restrictions"
    change(made.software, key, **values)
    for name in values:
        change(made.software, rf"{key}\{name}", **{"1": sz(listed)})
    found = facts(made)
    assert found.is_installation_restricted is expected


@pytest.mark.parametrize(
    ("start", "file", "expected"),
    [(3, "ena.sys", True), (0, "ENA.SYS", True), (4, "ena.sys", False), (3, "other.sys", False)],
)
def test_a_driver_of_the_network(start: int, file: str, *, expected: bool) -> None:
    made = server()
    path = expand_sz(r"\SystemRoot\System32\drivers\ena.sys")
    both(made, r"Services\ENA", **service(start, ImagePath=path))
    made.files[f"/Windows/System32/drivers/{file}"] = DRIVER
    assert ("ena" in facts(made).drivers) is expected
