"""Which volume the Windows is on that starts, and where volumes are mounted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter.errors import GuestRefusedError
from converter.guest.memory import Node
from converter.inspection import inspect_machine
from converter.model import FileKind, Filesystem, Severity
from tests.guests.disks import TYPES
from tests.unit.formats import ntfs_volumes
from tests.unit.formats.ntfs_volumes import CLIENT, DIRTY, restart_page
from tests.unit.machines import holds, lab, link, system
from tests.unit.windows_samples import Windows, server

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = "System32/config"
HIVES = {f"/Windows/{CONFIG}/{name}": "regf" for name in ("SYSTEM", "SOFTWARE", "SAM")}
SEVERAL = "Unsupported configuration - Multiple directories found"


def refusal(made: Windows) -> GuestRefusedError:
    with pytest.raises(GuestRefusedError) as caught:
        made.inspect()
    error = caught.value
    assert error.findings[0].severity is Severity.ERROR
    assert error.hint
    return error


def mounted(made: Windows) -> list[tuple[str, str]]:
    facts = made.inspect().facts
    return [(mount.path, mount.device) for mount in (*facts.mounts, *facts.esps)]


def test_a_disk_with_an_esp() -> None:
    assert mounted(server()) == [("/C", "/dev/sda3"), ("/ESP", "/dev/sda1")]


def test_a_disk_with_a_partition_that_is_reserved() -> None:
    assert mounted(server(uefi=False)) == [("/C", "/dev/sda2"), ("/System", "/dev/sda1")]


def test_further_volumes() -> None:
    made = server()
    made.more = [
        ("windows", holds("ntfs", "data", {"/Data/x": "", "/Windows/x": ""})),
        ("esp", holds("vfat", "second")),
        ("windows", holds("ntfs", "old", {"/Boot/BCD": ""})),
        ("windows", holds("ntfs", "older", {"/boot/bcd": ""})),
    ]
    assert mounted(made) == [
        ("/C", "/dev/sda3"),
        ("/System", "/dev/sda7"),
        ("/System2", "/dev/sda8"),
        ("/ESP", "/dev/sda1"),
        ("/ESP2", "/dev/sda6"),
    ]


def looked_at(made: Windows, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Give the devices that are mounted while the machine is inspected."""
    machine, seen = made.machine(), set()
    mount = machine.mount

    def noted(device: str, path: str, *, options: str) -> None:
        seen.add(device)
        mount(device, path, options=options)

    monkeypatch.setattr(machine, "mount", noted)
    assert inspect_machine(machine).facts.windows.root == "/C/Windows"
    return seen


@pytest.mark.parametrize("uefi", [True, False])
def test_what_is_for_recovery_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, *, uefi: bool
) -> None:
    made = server(uefi=uefi)
    made.more = [("recovery", holds("ntfs", "second"))]
    ours = {"/dev/sda1", "/dev/sda3"} if uefi else {"/dev/sda1", "/dev/sda2"}
    assert looked_at(made, monkeypatch) == ours


def test_what_a_bios_starts_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    made = server(uefi=False)
    made.types["windows"] = TYPES["recovery"][False]
    made.more = [("recovery", holds("ntfs", "second", HIVES))]
    machine = made.machine()
    with pytest.raises(GuestRefusedError) as caught:  # all but the active one are for recovery
        inspect_machine(machine)
    assert caught.value.code == "several-roots"


def test_a_windows_where_recovery_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    made = server()
    made.types["windows"] = TYPES["recovery"][True].upper()
    assert looked_at(made, monkeypatch) == {"/dev/sda1", "/dev/sda3", "/dev/sda4"}


@pytest.mark.parametrize("name", ["WINDOWS", "WINNT", "windows", "Win2008"])
def test_the_directory_has_any_name(name: str) -> None:
    made = server()
    made.spell = lambda path: path.replace("/Windows/", f"/{name}/")
    assert made.inspect().facts.windows.root == f"/C/{name}"


@pytest.mark.parametrize(
    "path",
    [
        f"/Windows.old/{CONFIG}/SYSTEM",
        f"/Windows.old/Windows/{CONFIG}/SYSTEM",
        f"/$WINDOWS.~BT/{CONFIG}/SYSTEM",
        f"/Backup/Windows/{CONFIG}/SYSTEM",
    ],
)
def test_what_is_left_of_an_older_one_does_not_count(path: str) -> None:
    made = server()
    made.files[path] = ""
    if "Windows.old/System32" not in path:
        made.files[path.replace("SYSTEM", "SOFTWARE")] = ""
    assert made.inspect().facts.windows.root == "/C/Windows"


def test_two_on_one_volume() -> None:
    made = server()
    made.files |= {f"/WINNT/{CONFIG}/SYSTEM": "", f"/WINNT/{CONFIG}/SOFTWARE": ""}
    error = refusal(made)
    assert error.code == "several-roots"
    assert "/dev/sda3/WINNT, /dev/sda3/Windows" in error.message
    assert error.findings[0].service_message == SEVERAL


def test_two_on_two_volumes() -> None:
    made = server()
    made.more = [("windows", holds("ntfs", "second", HIVES))]
    error = refusal(made)
    assert error.code == "several-roots"
    assert "/dev/sda3/Windows, /dev/sda5/Windows" in error.message


class TestBesideLinux:
    def test_is_refused(self) -> None:
        made = server()
        made.more = [("linux", holds("ext4", "r", system("UUID=r / ext4\n")))]
        error = refusal(made)
        assert error.code == "several-roots"
        assert "a Windows on /dev/sda3 and a Linux on /dev/sda5" in error.message
        assert error.findings[0].service_message == SEVERAL

    def test_two_linuxes_are_refused_as_such(self) -> None:
        made = server()
        files = [system(f"UUID={name} / ext4\n") for name in "rs"]
        made.more = [
            ("linux", holds("ext4", name, content))
            for name, content in zip("rs", files, strict=True)
        ]
        assert refusal(made).code == "several-roots"

    def test_data_of_one_does_not_matter(self) -> None:
        made = server()
        made.more = [("linux", holds("ext4", "data", {"/x": ""})), ("swap", holds("swap", "s"))]
        assert mounted(made)[0] == ("/C", "/dev/sda3")

    def test_a_linux_with_data_of_a_windows_is_a_linux(self) -> None:
        machine = lab(
            [
                holds("ext4", "r", system("UUID=r / ext4\n")),
                holds("ntfs", "d", {"/pagefile.sys": "", f"/Windows/{CONFIG}/SYSTEM": ""}),
            ]
        )
        assert inspect_machine(machine).facts.linux


class TestHibernation:
    @pytest.mark.parametrize("name", ["/hiberfil.sys", "/HIBERFIL.SYS"])
    @pytest.mark.parametrize("data", [b"HIBR", b"hibr" + bytes(5000)])
    def test_is_refused(self, name: str, data: bytes) -> None:
        made = server()
        made.files[name] = data
        found = made.inspect()
        assert found.facts.windows
        assert found.findings[0].code == "guest-hibernated"
        assert found.findings[0].severity is Severity.ERROR
        assert "/dev/sda3" in found.findings[0].message

    def test_hides_nothing(self) -> None:
        made = server()
        made.files["/hiberfil.sys"] = b"HIBR"
        made.files[f"/Windows/{CONFIG}/SYSTEM"] = b"regf"
        error = refusal(made)
        assert error.code == "guest-hibernated"
        assert [item.code for item in error.findings] == ["guest-hibernated", "registry-damaged"]

    def test_beside_a_linux(self) -> None:
        made = server()
        made.files["/hiberfil.sys"] = b"HIBR"
        made.more = [("linux", holds("ext4", "r", system("UUID=r / ext4\n")))]
        codes = [item.code for item in refusal(made).findings]
        assert codes == ["guest-hibernated", "several-roots"]

    @pytest.mark.parametrize("data", [b"", b"wake", b"RSTR", bytes(4096)])
    def test_is_over(self, data: bytes) -> None:
        made = server()
        made.files["/hiberfil.sys"] = data
        assert made.inspect().facts.windows

    def test_is_no_directory(self) -> None:
        made = server()
        made.files["/hiberfil.sys/x"] = b"HIBR"
        assert made.inspect().facts.windows


class TestTheLastShutdown:
    """FS-5."""

    @pytest.mark.parametrize(
        ("volume", "expected"),
        [
            (ntfs_volumes.volume(), []),
            (ntfs_volumes.volume(flags=DIRTY), [("warning", "filesystem-errors")]),
            (
                ntfs_volumes.volume(
                    pages=(restart_page(lsn=9, in_use=CLIENT, flags=0), restart_page(lsn=8))
                ),
                [("error", "filesystem-dirty")],
            ),
        ],
    )
    def test_is_told(self, volume: ntfs_volumes.Pieces, expected: list[tuple[str, str]]) -> None:
        made = server()
        made.volume = volume
        found = made.inspect().findings
        assert [(item.severity.value, item.code) for item in found] == expected
        assert all("/C (NTFS on /dev/sda3)" in item.message and item.hint for item in found)


def in_a_circle(made: Windows, path: str) -> None:
    made.files[path] = link(path.rpartition("/")[2])


def as_a_directory(made: Windows, path: str) -> None:
    made.files[f"{path}/x"] = ""


def as_something_else(made: Windows, path: str) -> None:
    made.files[path] = Node(FileKind.OTHER)


@pytest.mark.parametrize("put", [in_a_circle, as_a_directory, as_something_else])
@pytest.mark.parametrize("name", ["SYSTEM", "SOFTWARE", "SAM"])
def test_a_hive_that_is_no_file(put: Callable[[Windows, str], None], name: str) -> None:
    made = server()
    hives = {"SYSTEM": made.system, "SOFTWARE": made.software, "SAM": made.sam}
    made.files |= {
        f"/Windows/{CONFIG}/{other}": hive.tobytes()
        for other, hive in hives.items()
        if other != name and hive
    }
    made.hives = False
    put(made, f"/Windows/{CONFIG}/{name}")
    assert refusal(made).code in ("unknown-os", "guest-not-a-file", "guest-link-loop")


@pytest.mark.parametrize(
    "target",
    ["/Windows/System32", "/C/Windows/System32", "/C:/Windows/System32", "System32", "/etc", ".."],
)
def test_a_junction_in_the_way(target: str) -> None:
    made = server()
    made.files["/Windows/System32"] = link(target)
    # What Windows itself would not start from is no Windows, wherever the link leads.
    made.spell = lambda path: (
        path
        if path == "/Windows/System32"
        else path.replace("/Windows/System32/", "/Windows/Real/")
    )
    assert refusal(made).code == "unknown-os"


@pytest.mark.parametrize(
    ("uefi", "kind"),
    [
        (True, "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"),
        (True, "AF9B60A0-1431-4F62-BC68-3311714A69AD"),
        (False, "42"),
    ],
)
class TestADynamicDisk:
    """FS-3, WIN-6: whether a Windows is found on it or not."""

    def test_with_a_windows(self, *, uefi: bool, kind: str) -> None:
        made = server(uefi=uefi)
        made.types["windows"] = kind
        assert [item.code for item in made.inspect().findings] == ["dynamic-disk"]

    def test_whose_volumes_only_windows_knows(self, *, uefi: bool, kind: str) -> None:
        made = server(uefi=uefi)
        made.types["windows"] = kind
        made.files, made.reserved, made.hives = {}, {}, False
        error = refusal(made)
        assert error.code == "dynamic-disk"
        assert "unknown-os" in [item.code for item in error.findings]


def test_bitlocker() -> None:
    made = server()
    machine = made.machine()
    machine._devices["/dev/sda3"].found = Filesystem("/dev/sda3", "BitLocker")
    with pytest.raises(GuestRefusedError) as caught:
        inspect_machine(machine)
    assert caught.value.code == "encrypted-volume"


def test_a_volume_that_cannot_be_mounted_is_none() -> None:
    machine = server().machine()
    machine.broken = ("/dev/sda3",)
    with pytest.raises(GuestRefusedError) as caught:
        inspect_machine(machine)
    assert caught.value.code == "unknown-os"
    told = {finding.code: finding.message for finding in caught.value.findings}
    assert "/dev/sda3" in told["volume-unreadable"]
    assert "cannot be mounted" in told["volume-unreadable"]


def test_a_junction_within() -> None:
    made = server()
    made.spell = lambda path: (
        path
        if path == "/Windows/System32"
        else path.replace("/Windows/System32/", "/Windows/Real/")
    )
    made.files["/Windows/System32"] = link("Real")
    assert made.inspect().facts.windows.architecture == "x86_64"
