"""Every release by every firmware, in many states: converted in memory, and read by others.

What a guest was and what it became are compared key by key, element by element and file by file
with what `expected` says; `tests.appliance.test_windows_matrix` has them as real disks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from converter.errors import GuestRefusedError
from converter.examination import judge
from converter.guest.replay import replay
from converter.inspection import inspect_machine
from converter.model import (
    BootMode,
    ContainerFormat,
    ConvertTable,
    DiskFormat,
    FileKind,
    Licence,
    Severity,
    Wanted,
)
from converter.verification import verify
from images.windows import hive
from images.windows.guest import Firmware, State, Windows, matrix
from images.windows.layout import Role, plan
from images.windows.system import system
from tests.unit import samples
from tests.windows import payloads, tables
from tests.windows.comparison import Side, Volume, check_drive, check_store, kept_as
from tests.windows.expected import WARNED, Expectation
from tests.windows.guests import GUESTS, TO_MBR, by_name
from tests.windows.memory import Memory, machine, second_disk, write

if TYPE_CHECKING:
    from pathlib import Path

    from converter.examination import Examination
    from converter.model import Plan
    from images.windows.layout import Partition
    from tests.guests.disks import SparseDisk
    from tests.guests.machine import Tree


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return payloads.make_store(tmp_path_factory.mktemp("payloads"))


def planned(memory: Memory, wanted: Wanted, container: DiskFormat = DiskFormat.RAW) -> Examination:
    """Give what the converter makes of a machine that it looks at."""
    source = samples.source(
        form=ContainerFormat(container.value), disk_format=container, size=memory.disk.size
    )
    return judge(memory, source, (), inspect_machine(memory), wanted)


@dataclass(frozen=True)
class Converted:
    """A machine that was converted; `old` and `new` are what is on its partitions."""

    old: dict[Partition, Tree]
    new: dict[Partition, Tree]
    disk: SparseDisk
    first: Examination

    def volume(self, role: Role) -> Volume:
        """Give what was on the partition for `role`, and is now."""
        part = next(part for part in self.old if part.role is role)
        return Volume(side(self.old[part]), side(self.new[part]))


def side(tree: Tree) -> Side:
    return Side(
        {
            path[1:]: "" if node.kind is FileKind.DIRECTORY else digest(node.data)
            for path, node in tree.items()
            if path != "/"
        },
        lambda path: tree[f"/{path}"].data,
    )


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def converted(memory: Memory, wanted: Wanted, container: DiskFormat = DiskFormat.RAW) -> Converted:
    """Convert a machine to the end, and ask that a second time nothing is done."""
    old = {part: dict(tree) for part, tree in memory.parts.items()}
    first = planned(memory, wanted, container)
    first.refuse_if_needed()
    assert first.inspection is not None
    replay(first.plan, memory, progress=lambda _: None)
    memory.unmount()
    after = with_table(memory, first.plan)
    now = inspect_machine(after)
    verify(after, first.inspection, now, first.plan, options=first.options)
    after.unmount()
    second = planned(after, wanted)
    second.refuse_if_needed()
    assert second.plan.changes == ()
    after.unmount()
    return Converted(old, dict(memory.parts), memory.disk, first)


def with_table(memory: Memory, plan: Plan) -> Memory:
    """Give the machine with the table that was planned, where one was."""
    for change in plan.changes:
        if isinstance(change, ConvertTable):
            for offset, data in change.pieces:
                memory.disk.put(offset, data)
            starts = {part.start for part in change.partitions}
            kept = {part: tree for part, tree in memory.parts.items() if part.start in starts}
            return Memory(memory.disk, kept, second=memory.second)
    return memory


# --- as it is started -----------------------------------------------------------------------------


@pytest.mark.parametrize("windows", GUESTS, ids=by_name)
def test_every_guest(windows: Windows, store: Path, tmp_path: Path) -> None:
    done = converted(machine(windows, tmp_path), Wanted(drivers=store))
    expectation = Expectation(windows, has_store=True)
    check(done, expectation)
    said = {finding.code for finding in done.first.findings}
    assert said & {*WARNED.values()} == expectation.warnings()


@pytest.mark.parametrize("windows", matrix(State.VMWARE_TOOLS), ids=by_name)
def test_without_payloads(windows: Windows, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    done = converted(machine(windows, tmp_path), Wanted(drivers=tmp_path / "store"))
    check(done, Expectation(windows, has_store=False))
    said = {finding.code for finding in done.first.findings}
    assert ("boot-driver-missing" in said) is (windows.about.version < (6, 3))


@pytest.mark.parametrize("release", ["2008r2", "2025"])
def test_with_a_licence_of_its_own(release: str, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    wanted = Wanted(drivers=tmp_path / "store", licence=Licence.BYOL)
    windows = Windows(release)
    done = converted(machine(windows, tmp_path), wanted)
    check(done, Expectation(windows, has_store=False, is_own=True))


@pytest.mark.parametrize("windows", matrix(State.GROUP_POLICY), ids=by_name)
def test_without_agents(windows: Windows, store: Path, tmp_path: Path) -> None:
    done = converted(machine(windows, tmp_path), Wanted(drivers=store, agent=False))
    check(done, Expectation(windows, has_store=True, has_agents=False))


@pytest.mark.parametrize("windows", [w for w in matrix(State.SYSPREPPED) if w.is_uefi], ids=by_name)
def test_with_an_answer_file_of_its_own(windows: Windows, store: Path, tmp_path: Path) -> None:
    given = b"<unattend xmlns='urn:schemas-microsoft-com:unattend'/>"
    done = converted(machine(windows, tmp_path), Wanted(drivers=store, unattend=given))
    check(done, Expectation(windows, has_store=True, answers=given))
    assert "answer-file" not in {finding.code for finding in done.first.findings}


# What no installation has, and machines that were upgraded and repaired do.
ODD: hive.Keys = {
    r"ControlSet001\Control\TimeZoneInformation": {"RealTimeIsUniversal": hive.qword(1)},
    r"ControlSet001\Control\Session Manager\Power": {"HiberbootEnabled": hive.dword(1)},
    r"ControlSet001\Services\Tcpip\Parameters\Interfaces\{C0FFEE07-0005-4E1A-8D11-0050569A0005}": {
        "IPAddress": hive.multi_sz("10.0.0.1"),
        "NameServer": hive.sz("10.0.0.2"),
    },
    # Left over of a card that never had an address.
    r"ControlSet001\Services\Tcpip\Parameters\Interfaces\{C0FFEE07-0006-4E1A-8D11-0050569A0006}": {
        "UseZeroBroadcast": hive.dword(0)
    },
    r"ControlSet001\Services\Tcpip6\Parameters\Interfaces\{C0FFEE07-0005-4E1A-8D11-0050569A0005}": {
        "Dhcpv6State": hive.dword(0),
        "NameServer": hive.sz("2001:db8::53"),
    },
    r"ControlSet002\Services\Dhcp": {"Start": hive.dword(4)},
    r"ControlSet002\Services\atapi\StartOverride\Below": {"0": hive.dword(3)},
    # The last start was not by the set that the next one is by.
    "Select": {"Default": hive.dword(2)},
    # Of an update that was undone: next to nothing is in it.
    "ControlSet003": {},
    r"ControlSet003\Services\pciide": {
        "Start": hive.dword(3),
        "ImagePath": hive.expand_sz(r"\SystemRoot\System32\drivers\pciide.sys"),
    },
    # By its name it is a control set, and it is none.
    "ControlSetup": {"Start": hive.dword(3)},
}


@pytest.mark.parametrize(
    "windows", [each for each in matrix(State.STATIC_ADDRESSES) if not each.is_uefi], ids=by_name
)
def test_a_registry_with_a_past(windows: Windows, store: Path, tmp_path: Path) -> None:
    plain = system(windows, plan(windows))
    odd = hive.add(plain, ODD)
    memory = machine(windows, tmp_path, {f"{windows.system32}/config/SYSTEM": odd})
    check(converted(memory, Wanted(drivers=store)), Expectation(windows, has_store=True))


# --- by BIOS, from an MBR -------------------------------------------------------------------------


@pytest.mark.parametrize("windows", TO_MBR, ids=by_name)
def test_a_vhdx_gets_an_mbr(windows: Windows, store: Path, tmp_path: Path) -> None:
    check_mbr(windows, Wanted(drivers=store), DiskFormat.VHDX, tmp_path)


@pytest.mark.parametrize("release", ["2008r2", "2019", "2022"])
def test_an_mbr_is_asked_for(release: str, store: Path, tmp_path: Path) -> None:
    wanted = Wanted(drivers=store, boot_mode=BootMode.LEGACY_BIOS)
    check_mbr(Windows(release, Firmware.UEFI), wanted, DiskFormat.RAW, tmp_path)


@pytest.mark.parametrize(
    ("windows", "mode"),
    [
        (Windows("11", Firmware.UEFI), None),
        (Windows("2022", Firmware.UEFI), BootMode.UEFI),
        (Windows("2022", Firmware.UEFI, frozenset({State.NO_BOOT_CODE})), None),
    ],
    ids=["needs-uefi", "uefi-is-asked-for", "no-boot-code"],
)
def test_a_vhdx_keeps_its_gpt(
    windows: Windows, mode: BootMode | None, store: Path, tmp_path: Path
) -> None:
    memory = machine(windows, tmp_path)
    edges = [memory.disk.read(at, 1 << 20) for at in (0, windows.size - (1 << 20))]
    done = converted(memory, Wanted(drivers=store, boot_mode=mode), DiskFormat.VHDX)
    check(done, Expectation(windows, has_store=True))
    assert edges == [memory.disk.read(at, 1 << 20) for at in (0, windows.size - (1 << 20))]


def check_mbr(windows: Windows, wanted: Wanted, container: DiskFormat, directory: Path) -> None:
    memory = machine(windows, directory)
    records = {part: record(memory, part) for part in memory.parts}
    done = converted(memory, wanted, container)
    write(memory.disk, directory / "after.raw")
    with (directory / "after.raw").open("rb") as file:
        found = tables.read(file)
        assert not tables.has_gpt(file)
    layout = plan(windows)
    kept = [part for part in layout.partitions if part.role not in (Role.ESP, Role.MSR)]
    drive = layout.get(Role.WINDOWS)
    entries = sorted(found.entries, key=lambda entry: entry.start)
    assert [(e.type, e.start, e.size, e.is_active) for e in entries] == [
        ("27" if p.role is Role.RECOVERY else "07", p.start, p.size, p is drive) for p in kept
    ]
    # A GPT has more numbers than an MBR.
    assert all(e.number == p.number for e, p in zip(entries, kept, strict=True) if p.number <= 4)
    assert not found.is_gpt
    assert any(found.code)
    assert int(found.identifier, 16) != 0
    for part, was in records.items():
        assert record(memory, part) == was
    expectation = Expectation(
        windows,
        has_store=True,
        places={str(part.identifier): part.start for part in kept},
        signature=found.identifier,
        drive=str(drive.identifier),
    )
    volume = done.volume(Role.WINDOWS)
    check_drive(expectation, volume)
    for part in done.old:
        assert part == drive or done.new[part] == done.old[part]
    store = done.volume(Role.ESP).before.read("EFI/Microsoft/Boot/BCD")
    check_store(expectation, store, volume.after.read("Boot/BCD"))
    check_security(done)


def record(memory: Memory, part: Partition) -> tuple[bytes, bytes]:
    """Give the first two sectors of a partition and its last."""
    end = part.start + part.size
    return memory.disk.read(part.start, 1024), memory.disk.read(end - 512, 512)


@pytest.mark.parametrize("windows", matrix(State.GROUP_POLICY), ids=by_name)
def test_a_second_disk_is_left_alone(windows: Windows, store: Path, tmp_path: Path) -> None:
    first, second = machine(windows, tmp_path), second_disk()
    memory = Memory(first.disk, first.parts, second=second)
    sectors, data = dict(second.sectors), dict(memory.data)
    done = converted(memory, Wanted(drivers=store))
    check(done, Expectation(windows, has_store=True, has_second=True))
    assert second.sectors == sectors
    assert memory.data == data


# --- what is refused ------------------------------------------------------------------------------

REFUSED = {
    State.BITLOCKER: "encrypted-volume",
    State.BITLOCKER_DATA: "encrypted-volume",
    State.DUAL_BOOT: "several-roots",
    State.DYNAMIC_DISK: "dynamic-disk",
    State.FAST_STARTED: "guest-hibernated",
    State.GERMAN: "windows-language",
    State.HIBERNATED: "guest-hibernated",
    State.HYPER_V: "hyper-v-role",
    State.LOST_HIVE: "registry-dirty",
    State.NANO: "windows-nano",
}


# Every release, the one by BIOS and the next by UEFI.
@pytest.mark.parametrize(
    "windows", [each for n, each in enumerate(matrix()) if n % 4 in (0, 3)], ids=by_name
)
@pytest.mark.parametrize("state", REFUSED)
def test_refusals(state: State, windows: Windows, tmp_path: Path) -> None:
    memory = machine(replace(windows, states=frozenset({state})), tmp_path)
    before = {part: dict(tree) for part, tree in memory.parts.items()}
    (tmp_path / "store").mkdir()
    try:
        found = planned(memory, Wanted(drivers=tmp_path / "store")).findings
    except GuestRefusedError as error:
        found = error.findings
    errors = [finding.code for finding in found if finding.severity is Severity.ERROR]
    # Of a C: that cannot be read nothing more is known.
    unread = ["unknown-os"] if state is State.BITLOCKER else []
    assert errors == [REFUSED[state], *unread]
    memory.unmount()
    assert memory.parts == before


def test_an_mbr_that_cannot_be(store: Path, tmp_path: Path) -> None:
    windows = Windows("2022", Firmware.UEFI, frozenset({State.NO_BOOT_CODE}))
    wanted = Wanted(drivers=store, boot_mode=BootMode.LEGACY_BIOS)
    found = planned(machine(windows, tmp_path), wanted).findings
    errors = [finding.code for finding in found if finding.severity is Severity.ERROR]
    assert errors == ["table-boot-record"]


# --- what is expected -----------------------------------------------------------------------------


def check(done: Converted, expectation: Expectation) -> None:
    """Ask that every volume is as expected."""
    drive, guest = done.volume(Role.WINDOWS), expectation.guest
    system = plan(guest).system.role
    if system is Role.WINDOWS:
        store = "Boot/BCD"
        drive = drive.without({store, kept_as(store)})
    check_drive(expectation, drive)
    for part in done.old:
        if part.role not in (system, Role.WINDOWS):
            assert done.new[part] == done.old[part]
    check_system(expectation, done.volume(system))
    check_security(done)


def check_system(expectation: Expectation, volume: Volume) -> None:
    """Ask that what the firmware starts is as it was, but for what the store has to say."""
    guest = expectation.guest
    path = "EFI/Microsoft/Boot/BCD" if guest.is_uefi else "Boot/BCD"
    new: dict[str, bytes | None] = {}
    if guest.has(State.NO_FALLBACK) and guest.is_uefi:
        manager = volume.before.read("EFI/Microsoft/Boot/bootmgfw.efi")
        new = {"EFI/Boot": None, "EFI/Boot/bootx64.efi": manager}
    if "Windows/System32/config/SYSTEM" not in volume.before.digests:
        volume.check(changed={path}, new=new)
    assert volume.after.read(kept_as(path)) == volume.before.read(path)
    check_store(expectation, volume.before.read(path), volume.after.read(path))


def check_security(done: Converted) -> None:
    """Ask that nobody but SYSTEM and administrators can write what is put in on NTFS."""
    for part, tree in done.new.items():
        for path in tree.keys() - done.old[part].keys():
            found = tree[path].attributes.get("system.ntfs_acl")
            is_copy = path.endswith(".converter-orig") or tree[path] in done.old[part].values()
            assert (found is not None) is not (is_copy or part.role is Role.ESP), path
