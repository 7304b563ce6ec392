"""A guest's volumes before and after a conversion, held against what is expected of them.

Whatever they are on: a disk, or memory. `Side` is one of both, as an independent reader gives it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import defusedxml.ElementTree

from images.windows.guest import State
from tests.windows import hives, payloads, stores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.windows.expected import Expectation
    from tests.windows.hives import Keys

_EXTENSION: Final = "[{42B5FAAE-6536-11D2-AE5A-0000F87571E3}{40B6664F-4972-11D1-A7CA-0000F87571E3}]"
_LAUNCHER: Final = "converter-first-boot.cmd"
_NAMESPACE: Final = "{urn:schemas-microsoft-com:unattend}"

# Bytes that are looked at together: a disk is mostly holes.
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Side:
    """A volume: a digest of each file by its path ("" for a directory), and what reads one."""

    digests: Mapping[str, str]
    read: Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume before and after."""

    before: Side
    after: Side

    @property
    def new(self) -> set[str]:
        """What was not there."""
        return {*self.after.digests} - {*self.before.digests}

    @property
    def changed(self) -> set[str]:
        """What is other than it was."""
        both = self.before.digests.keys() & self.after.digests.keys()
        return {path for path in both if self.before.digests[path] != self.after.digests[path]}

    def without(self, paths: set[str]) -> Volume:
        """Leave out what is looked at elsewhere."""
        sides = (
            Side({p: d for p, d in each.digests.items() if p not in paths}, each.read)
            for each in (self.before, self.after)
        )
        return Volume(*sides)

    def check(self, *, changed: set[str], new: Mapping[str, bytes | None]) -> None:
        """Ask that exactly this was done; originals are kept. None is content that is free."""
        kept = {kept_as(path): path for path in changed}
        assert self.changed == changed
        assert self.before.digests.keys() <= self.after.digests.keys()
        assert self.new == {*new, *kept}
        for path, original in kept.items():
            assert self.after.digests[path] == self.before.digests[original], path
        for path, data in new.items():
            if data is not None:
                assert self.after.digests[path] == hashlib.sha256(data).hexdigest(), path


def file_digest(path: Path) -> str:
    """Give a digest of all bytes that are not zero, and where they are.

    What is a hole may change while a file is only read (lseek(2), SEEK_DATA of unwritten extents).
    """
    digest, at, size = hashlib.sha256(), 0, path.stat().st_size
    empty = bytes(_PIECE)
    with path.open("rb", buffering=0) as file:
        while at < size:
            try:
                at = max(at, os.lseek(file.fileno(), at, os.SEEK_DATA) // _PIECE * _PIECE)
            except OSError as error:
                assert error.errno == errno.ENXIO  # noqa: PT017 - there is no more
                break
            data = os.pread(file.fileno(), _PIECE, at)
            if data != empty:
                digest.update(b"%d\n" % at + data)
            at += _PIECE
    return f"{size} {digest.hexdigest()}"


def kept_as(path: str) -> str:
    """Give where the original of a file is kept."""
    directory, _, name = path.rpartition("/")
    return f"{directory}/.{name}.converter-orig".lstrip("/")


# --- C: -------------------------------------------------------------------------------------------


def check_drive(expectation: Expectation, drive: Volume) -> None:
    """Ask that C: is as expected: the registry's keys, files, and nothing else."""
    guest = expectation.guest
    config = f"{guest.system32}/config"
    changed = {f"{config}/SYSTEM"}
    changed |= {f"{config}/SOFTWARE"} if guest.has(State.AUTO_LOGON) else set()
    new: dict[str, bytes | None] = {}
    if expectation.trigger:
        new |= _staged(expectation)
        trigger = _trigger(expectation)
        changed |= trigger & drive.before.digests.keys()
        new |= dict.fromkeys(trigger - drive.before.digests.keys())
    if expectation.has_stand_in:
        driver = payloads.system_file("AWSNVMe", expectation.nvme)
        new[f"{guest.system32}/drivers/AWSNVMe.sys"] = driver
    if guest.has(State.SYSPREPPED):
        new[f"{guest.windows}/Panther/unattend.xml"] = None
    if expectation.places:
        new |= _bios_files(expectation, drive.before)
    drive.check(changed=changed, new=with_directories(new, drive.before))
    check_registry(expectation, drive)
    if expectation.trigger:
        _check_first_boot(expectation, drive)
    if guest.has(State.SYSPREPPED):
        answers = drive.after.read(f"{guest.windows}/Panther/unattend.xml")
        if expectation.answers is None:
            _check_answers(answers)
        else:
            assert answers == expectation.answers


def with_directories(new: Mapping[str, bytes | None], there: Side) -> dict[str, bytes | None]:
    """Give `new` with the directories that it needs and that are not there."""
    found = dict(new)
    for path in new:
        parent = path.rpartition("/")[0]
        while parent and parent not in there.digests:
            found[parent] = None
            parent = parent.rpartition("/")[0]
    return found


def _bios_files(expectation: Expectation, before: Side) -> dict[str, bytes | None]:
    """Give what BIOS starts Windows by, at the root of C:."""
    source = f"{expectation.guest.windows}/Boot/PCAT"
    found: dict[str, bytes | None] = {
        "bootmgr": before.read(f"{source}/bootmgr"),
        "Boot/memtest.exe": before.read(f"{source}/memtest.exe"),
        "Boot/BCD": None,
    }
    if expectation.guest.about.has_driver_database:
        found["BOOTNXT"] = before.read(f"{source}/bootnxt")
    return found


# --- the registry ---------------------------------------------------------------------------------


def check_registry(expectation: Expectation, drive: Volume) -> None:
    """Ask that every key and value is as expected, in every control set."""
    config = f"{expectation.guest.system32}/config"
    system, after = _hive(drive.before, f"{config}/SYSTEM"), drive.after.read(f"{config}/SYSTEM")
    found = hives.read(after)
    assert hives.is_clean(after)
    _compare(found, expectation.system(system, found))
    software = hives.read(drive.after.read(f"{config}/SOFTWARE"))
    _compare(software, expectation.software(_hive(drive.before, f"{config}/SOFTWARE")))


def _hive(side: Side, path: str) -> Keys:
    """Read a hive, with its logs replayed when it has to be."""
    data = side.read(path)
    if not hives.is_clean(data):
        data = hives.replayed(data, *(side.read(f"{path}.LOG{number}") for number in (1, 2)))
    return hives.read(data)


def _compare(found: Keys, wanted: Keys) -> None:
    assert {*found} - {*wanted} == set()
    assert {*wanted} - {*found} == set()
    for path, values in wanted.items():
        assert found[path] == values, path


# --- boot configuration data ----------------------------------------------------------------------


def check_store(expectation: Expectation, before: bytes, after: bytes) -> None:
    """Ask that a store has the objects that are expected, and no other keys and values."""
    old, new = hives.read(before), hives.read(after)
    assert hives.is_clean(after)
    wanted = expectation.store(stores.read(old))
    assert stores.read(new) == wanted
    assert {path for path in new if path.startswith("Objects\\")} == set(_store_keys(wanted, new))
    for path, values in new.items():
        if path.endswith("\\Description"):
            assert values == old[path]
        elif "\\Elements\\" in path:
            assert [*values] == ["Element"]
    description = dict(old["Description"])
    if expectation.places:
        description.pop("FirmwareVariable")
    assert new["Description"] == description


def _store_keys(objects: Mapping[str, stores.Object], keys: Keys) -> Iterator[str]:
    names = {name.split("\\")[1] for name in keys if name.startswith("Objects\\")}
    for name in names:
        base = rf"Objects\{name}"
        yield from (base, rf"{base}\Description", rf"{base}\Elements")
        for number in objects[name.lower()].elements:
            yield rf"{base}\Elements\{number:08x}"


# --- the first boot -------------------------------------------------------------------------------


def _staged(expectation: Expectation) -> dict[str, bytes | None]:
    """Give the script's directory; what is restored is counted, and compared below."""
    top = f"{expectation.guest.windows}/Converter"
    found: dict[str, bytes | None] = {f"{top}/first-boot.cmd": None}
    has_scripts = expectation.guest.has(State.GROUP_POLICY)
    match expectation.trigger:
        case "policy":
            found |= dict.fromkeys(f"{top}/restore/{number}.now" for number in (1, 2, 3))
            # Of gpt.ini there is always one afterwards, of scripts.ini where there was one.
            found |= dict.fromkeys(
                f"{top}/restore/{n}.after" for n in ((1, 2) if has_scripts else (2,))
            )
        case "setup":
            found[f"{top}/restore/1.now"] = None
    given = expectation.payloads
    return {**found, **{f"{top}/payloads/{path}": data for path, data in given.items()}}


def _trigger(expectation: Expectation) -> set[str]:
    """Give the files that make Windows start the script."""
    policy = f"{expectation.guest.system32}/GroupPolicy"
    match expectation.trigger:
        case "policy":
            scripts = f"{policy}/Machine/Scripts"
            return {
                f"{policy}/gpt.ini",
                f"{scripts}/scripts.ini",
                f"{scripts}/Startup/{_LAUNCHER}",
            }
        case "setup":
            return {f"{expectation.guest.windows}/Setup/Scripts/SetupComplete.cmd"}
        case _:
            return set()


def _check_first_boot(expectation: Expectation, drive: Volume) -> None:
    """Ask that the script does what is to be done, and puts back what it was started by."""
    top = f"{expectation.guest.windows}/Converter"
    script = drive.after.read(f"{top}/first-boot.cmd").decode("ascii")
    assert script.count("\n") == script.count("\r\n")
    items = re.findall(r"^call :log item \d+: (.+?)\r$", script, re.MULTILINE)
    assert sorted(items) == sorted(expectation.items())
    named = re.findall(r'"%SystemRoot%\\Converter\\payloads\\([^"]+)"', script)
    started = [path for path in expectation.payloads if path.endswith((".inf", ".msi", ".exe"))]
    assert sorted(path.replace("\\", "/") for path in named) == sorted(started)
    restored = dict(re.findall(r'^call :restore "([^"]+)" (\d)\r$', script, re.MULTILINE))
    by_name = {path.lower(): path for path in _trigger(expectation)}
    places = {
        by_name[f"{expectation.guest.windows}/{path}".replace("\\", "/").lower()]: number
        for path, number in restored.items()
    }
    assert places.keys() == _trigger(expectation)
    for path, number in places.items():
        assert drive.after.read(f"{top}/restore/{number}.now") == drive.after.read(path)
    if expectation.trigger == "policy":
        _check_policy(expectation, drive, places)
    elif expectation.trigger == "setup":
        (path,) = places
        assert b"config ConverterFirstBoot start= auto" in drive.after.read(path)


def _check_policy(expectation: Expectation, drive: Volume, numbers: Mapping[str, str]) -> None:
    """Ask that the script is one more of those that the local policy starts."""
    restore = f"{expectation.guest.windows}/Converter/restore"
    policy = f"{expectation.guest.system32}/GroupPolicy"
    gpt, scripts = f"{policy}/gpt.ini", f"{policy}/Machine/Scripts/scripts.ini"
    now = _ini(drive.after.read(gpt).decode("ascii"))
    after = _ini(drive.after.read(f"{restore}/{numbers[gpt]}.after").decode("ascii"))
    started = _ini(drive.after.read(scripts).decode("utf-16"))
    own: dict[str, str] = {}
    if gpt in drive.before.digests:
        was = _ini(drive.before.read(gpt).decode("ascii"))
        assert (
            now["gPCMachineExtensionNames"].replace(_EXTENSION, "")
            == (after["gPCMachineExtensionNames"])
        )
        assert after["gPCMachineExtensionNames"] == was["gPCMachineExtensionNames"]
        assert int(was["Version"]) < int(now["Version"]) < int(after["Version"])
        original = drive.before.read(scripts)
        own = _ini(original.decode("utf-16"))
        assert drive.after.read(f"{restore}/{numbers[scripts]}.after") == original
    assert _EXTENSION in now["gPCMachineExtensionNames"]
    assert 0 < int(now["Version"]) < int(after["Version"])
    count = len(own) // 2
    assert started == {**own, f"{count}CmdLine": _LAUNCHER, f"{count}Parameters": ""}


def _ini(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name: value for name, _, value in lines}


def _check_answers(data: bytes) -> None:
    """WIN-5: nobody is asked for a language or for consent."""
    root = defusedxml.ElementTree.fromstring(data)
    assert root.tag == f"{_NAMESPACE}unattend"
    components = {item.get("name"): item for item in root.iter(f"{_NAMESPACE}component")}
    assert {item.get("processorArchitecture") for item in components.values()} == {"amd64"}
    said = {item.tag.removeprefix(_NAMESPACE): item.text for item in root.iter()}
    assert said["HideEULAPage"] == "true"
    locales = ("InputLocale", "SystemLocale", "UILanguage", "UserLocale")
    assert {said[name] for name in locales} == {"en-US"}
