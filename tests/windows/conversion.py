"""A Windows guest converted by the command, and its disk read by dissect and others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from converter import process
from images.windows.build import build
from images.windows.guest import Firmware, State, Windows
from images.windows.layout import Role, plan
from tests.command import converter
from tests.windows import comparison, payloads
from tests.windows.comparison import Side, check_drive, check_store, file_digest, kept_as
from tests.windows.expected import WARNED, Expectation
from tests.windows.machine import says
from tests.windows.reader import Access, Reader, Security

if TYPE_CHECKING:
    from pathlib import Path

    from tests.windows.reader import Volume

SYSTEM, ADMINISTRATORS, USERS = "S-1-5-18", "S-1-5-32-544", "S-1-5-32-545"
FULL, READ = 0x1F01FF, 0x1200A9
ALLOWED = ((SYSTEM, FULL), (ADMINISTRATORS, FULL), (USERS, READ))


@dataclass(frozen=True)
class Case:
    """A guest, how it is given, and how it is asked for.

    `has_mbr`: it gets one instead of a GPT. `is_repeated`: it is looked at whether it is done; the
    conversion itself ends with that question, but within one run of it.
    """

    guest: Windows
    container: str = "raw"
    options: tuple[str, ...] = ()
    has_store: bool = True
    has_mbr: bool = False
    is_repeated: bool = False


def check_conversion(case: Case, directory: Path) -> None:
    """Convert the guest of `case`, and compare what it became with what is expected of it."""
    disk = build(case.guest, directory)
    source = given(disk, case.container)
    digest = file_digest(source)
    options = [*case.options, "--drivers", str(store(case, directory)), "--json"]
    log = directory / "convert.log"
    arguments = ["-o", str(directory / "out"), "--name", "guest", "--log", str(log)]
    done = converter("convert", source, *arguments, *options).good()
    assert log.read_text("utf-8").count("appliance: starting with") == 1
    assert file_digest(source) == digest
    manifest = done.document
    is_bios = case.has_mbr or not case.guest.is_uefi
    assert manifest["boot_mode"] == ("legacy-bios" if is_bios else "uefi")
    result = directory / "out" / "guest.raw"
    with Reader(disk) as before, Reader(result) as after:
        said = {finding["code"] for finding in manifest["findings"]}
        assert said & {*WARNED.values()} == expected(case, after).warnings()
        check_disk(case, before, after)
    if case.is_repeated:
        assert converter("plan", result, *options).good().document["changes"] == []
    check_starts(case, result)


def given(disk: Path, container: str) -> Path:
    """Give the disk in a container."""
    if container == "raw":
        return disk
    target = disk.with_suffix(f".{container}")
    process.run(["qemu-img", "convert", "-f", "raw", "-O", container, str(disk), str(target)])
    return target


def store(case: Case, directory: Path) -> Path:
    """Make a driver store, an empty one where the guest is to get nothing."""
    if case.has_store:
        return payloads.make_store(directory)
    empty = directory / "empty"
    empty.mkdir()
    return empty


# --- what is on the disk --------------------------------------------------------------------------


def check_disk(case: Case, before: Reader, after: Reader) -> None:
    expectation = expected(case, after)
    check_table(case, before, after)
    layout = plan(case.guest)
    old = {volume.entry.start: volume for volume in before.volumes}
    new = {volume.entry.start: volume for volume in after.volumes}
    for part in layout.partitions:
        if part.start not in new or part.role is Role.MSR:
            continue
        was, found = old[part.start], new[part.start]
        compared = comparison.Volume(side(was), side(found))
        if part.role is Role.RECOVERY:
            compared.check(changed=set(), new={})
        elif part.role is Role.WINDOWS:
            check_windows(expectation, compared, before, is_system=part == layout.system)
        else:
            check_system(expectation, compared)
        if found.kind == "ntfs":
            assert found.links() == was.links()
            check_security(was, found)
            sectors = found.entry.start // 512
            assert found.hidden_sectors == (sectors, sectors)
            assert found.has_boot_code
            assert found.sector(0) == was.sector(0)
            assert found.sector(-1) == was.sector(-1)
            assert found.is_dirty is was.is_dirty


def side(volume: Volume) -> Side:
    return Side(volume.digests(), volume.read)


def expected(case: Case, after: Reader) -> Expectation:
    if not case.has_mbr:
        return Expectation(case.guest, has_store=case.has_store)
    layout = plan(case.guest)
    kept = [part for part in layout.partitions if part.role not in (Role.ESP, Role.MSR)]
    return Expectation(
        case.guest,
        has_store=case.has_store,
        places={str(part.identifier): part.start for part in kept},
        signature=after.table.identifier,
        drive=str(layout.get(Role.WINDOWS).identifier),
    )


def check_table(case: Case, before: Reader, after: Reader) -> None:
    if not case.has_mbr:
        # With what the first sector starts.
        assert after.table == before.table
        return
    assert not after.has_gpt
    assert any(after.table.code)
    kinds = {Role.WINDOWS: "07", Role.RECOVERY: "27"}
    found = sorted(after.table.entries, key=lambda entry: entry.start)
    assert [(entry.type, entry.start, entry.size, entry.is_active) for entry in found] == [
        (kinds[part.role], part.start, part.size, part.role is Role.WINDOWS)
        for part in plan(case.guest).partitions
        if part.role in kinds
    ]


def check_windows(
    expectation: Expectation, drive: comparison.Volume, before: Reader, *, is_system: bool
) -> None:
    """Check C:, where what starts it may be, too."""
    if is_system:
        store = {"Boot/BCD", kept_as("Boot/BCD")}
        check_drive(expectation, drive.without(store))
        check_store(expectation, drive.before.read("Boot/BCD"), drive.after.read("Boot/BCD"))
    else:
        check_drive(expectation, drive)
    if expectation.places:
        path = "EFI/Microsoft/Boot/BCD"
        old = before.having(path).read(path)
        check_store(expectation, old, drive.after.read("Boot/BCD"))


def check_system(expectation: Expectation, volume: comparison.Volume) -> None:
    """Check the ESP, or the active partition before C:."""
    path = "EFI/Microsoft/Boot/BCD" if expectation.guest.is_uefi else "Boot/BCD"
    new: dict[str, bytes | None] = {}
    if expectation.guest.has(State.NO_FALLBACK) and expectation.guest.is_uefi:
        manager = volume.before.read("EFI/Microsoft/Boot/bootmgfw.efi")
        new = {"EFI/Boot": None, "EFI/Boot/bootx64.efi": manager}
    volume.check(changed={path}, new=new)
    check_store(expectation, volume.before.read(path), volume.after.read(path))


def check_security(before: Volume, after: Volume) -> None:
    """Ask that only SYSTEM and administrators write what is new; a copy has the security it had."""
    old = before.paths()
    originals = {kept_as(path): path for path in old}
    copies = {"bootmgr": "bootmgr", "BOOTNXT": "bootnxt", "Boot/memtest.exe": "memtest.exe"}
    digests = after.digests()
    for path in after.paths():
        found = after.security(path)
        if path in old:
            assert found == before.security(path), path
        elif path in originals:
            assert found == before.security(originals[path]), path
        elif path in copies:
            assert found == before.security(f"Windows/Boot/PCAT/{copies[path]}"), path
        else:
            assert found == secure(is_directory=not digests[path]), path


def secure(*, is_directory: bool) -> Security:
    flags = 3 if is_directory else 0
    access = tuple(Access(0, flags, mask, sid) for sid, mask in ALLOWED)
    return Security(ADMINISTRATORS, ADMINISTRATORS, access)


# --- what starts it -------------------------------------------------------------------------------


def check_starts(case: Case, disk: Path) -> None:
    """Start what firmware starts, with nothing that it remembers.

    A disk that BIOS started has the boot code that it had.
    """
    if case.has_mbr:
        sectors = plan(case.guest).get(Role.WINDOWS).start // 512
        for bus in ("ide", "nvme"):
            said = says(disk, Firmware.BIOS, bus, until=b"\n")
            assert f"VBR hidden={sectors:08x} drive=80\r\n".encode() in said
    elif case.guest.is_uefi:
        said = says(disk, Firmware.UEFI, "nvme", until=b"bootmgfw reached")
        assert b"bootmgfw reached" in said
