"""What the appliance writes on NTFS has the security asked for, as another reader sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dissect.ntfs import NTFS
from dissect.ntfs.secure import SecurityDescriptor

from converter import process
from converter.accelerator import choose
from converter.errors import GuestError
from converter.formats.security_descriptor import SYSTEM_DIRECTORY, SYSTEM_FILE
from converter.guest.appliance import Appliance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.appliance

EVERYONE = "S-1-1-0"
ADMINISTRATORS = "S-1-5-32-544"
ALLOWED = {"S-1-5-18": 0x1F01FF, ADMINISTRATORS: 0x1F01FF, "S-1-5-32-545": 0x1200A9}
FILE = [("system.ntfs_acl", SYSTEM_FILE)]
DIRECTORY = [("system.ntfs_acl", SYSTEM_DIRECTORY)]


def write(guest: Appliance, path: str, data: bytes) -> None:
    guest.write(path, data, mode=0o644, uid=0, gid=0)


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NTFS]:
    """An NTFS volume that the appliance wrote to, read by a reader of its own."""
    directory: Path = tmp_path_factory.mktemp("ntfs")
    disk, overlay = directory / "disk.raw", directory / "disk.qcow2"
    with disk.open("wb") as file:
        file.truncate(32 << 20)
    process.run(["mkntfs", "--force", "--quick", "--quiet", str(disk)])
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(overlay)]
    )
    settings = choose().libguestfs_settings
    with Appliance([overlay], settings=settings, directory=directory) as machine:
        ((device, _size),) = machine.devices()
        machine.mount(device, "/", options="rw")
        fill(machine)
        machine.unmount()
    process.run(["qemu-img", "commit", "-q", str(overlay)])
    with disk.open("rb") as file:
        yield NTFS(file)


def fill(machine: Appliance) -> None:
    machine.mkdir("/safe")
    names = ("plain", "made", "replaced", "it's $HOME & more", "behind a link")
    for name in names:
        write(machine, f"/safe/{name}.cmd", b"1")
    machine.symlink("/safe", "/link")
    # Of more paths than one command is given for.
    many = [f"/safe/many/{number}.cmd" for number in range(120)]
    machine.mkdir("/safe/many")
    for path in many:
        write(machine, path, b"1")
    machine.set_attributes(
        {
            "/safe": DIRECTORY,
            "/link/behind a link.cmd": FILE,
            **{f"/safe/{name}.cmd": FILE for name in names[1:4]},
            **dict.fromkeys(many, FILE),
        }
    )
    write(machine, "/safe/replaced.cmd", b"2" * 10_000)
    machine.append("/safe/replaced.cmd", b"3")
    machine.copy({"/copied.cmd": "/safe/made.cmd"})
    for path, value in (("/safe/none", SYSTEM_FILE), ("/safe/plain.cmd", b"\xff\x00")):
        with pytest.raises(GuestError):
            machine.set_attributes({path: [("system.ntfs_acl", value)]})
    # A link out of the guest's tree leads nowhere: not into the appliance's.
    machine.symlink("/etc", "/outside")
    with pytest.raises(GuestError):
        machine.set_attributes({"/outside/passwd": FILE})


def security(volume: NTFS, path: str) -> SecurityDescriptor:
    record = volume.mft.get(path)
    identifier = record.attributes.STANDARD_INFORMATION[0].attribute.security_id
    if identifier:
        return volume.secure.lookup(identifier)
    (stream,) = record.attributes[0x50]
    return SecurityDescriptor(stream.open())


def entries(volume: NTFS, path: str) -> list[tuple[str, str, int, int]]:
    found = security(volume, path)
    assert found.owner == ADMINISTRATORS
    return [
        (ace.header.AceType.name, ace.sid, ace.mask, int(ace.header.AceFlags))
        for ace in found.dacl.ace
    ]


@pytest.mark.parametrize(
    "path",
    [
        "safe/made.cmd",
        "safe/replaced.cmd",
        "safe/it's $HOME & more.cmd",
        "safe/behind a link.cmd",
        "copied.cmd",
        "safe/many/0.cmd",
        "safe/many/119.cmd",
    ],
)
def test_a_file_has_what_was_asked_for(volume: NTFS, path: str) -> None:
    assert entries(volume, path) == [
        ("ACCESS_ALLOWED", sid, mask, 0) for sid, mask in ALLOWED.items()
    ]
    assert security(volume, path).header.Control & 0x1000  # inherits nothing


def test_a_directory_hands_it_down_in_windows(volume: NTFS) -> None:
    assert entries(volume, "safe") == [
        ("ACCESS_ALLOWED", sid, mask, 3) for sid, mask in ALLOWED.items()
    ]


def test_a_file_replaced_in_place_has_its_new_content(volume: NTFS) -> None:
    assert volume.mft.get("safe/replaced.cmd").open().read() == b"2" * 10_000 + b"3"


def test_a_file_that_nothing_is_asked_for_is_everyones(volume: NTFS) -> None:
    # Why it must be asked for: the driver inherits nothing, not even below a safe directory.
    assert entries(volume, "safe/plain.cmd") == [("ACCESS_ALLOWED", EVERYONE, 0x1F01FF, 3)]
