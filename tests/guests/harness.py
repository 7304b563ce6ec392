"""Fixtures: what a release installs, as a file; and what is expected of it.

A fixture is a TOML file in this directory. It may name a `base` or several (files in `bases`, which
may have some themselves): its tables are laid over the base's, its lists replace the base's, but
those with a name that ends in `+` are added to them. `@name@` stands for a value of `[vars]`, and
`@uuid:/boot@`, `@partuuid:/boot@` for the UUIDs of the filesystem that is mounted there.

    [vars]            values for the templates; `architecture`, if it is not x86_64
    [[disks]]         table ("mbr", "gpt", ""), size, boot ("grub2", "grub", ""), partitions
                      (size, type, fs, mount, label, active; or subvolumes = { name = mount };
                      mkfs: its options where the guest is written onto a real disk)
    [[volumes]]       logical volumes: group, name, size, fs, mount
    [kernels.NAME]    see `kernels.Kernel`
    [files] [links]   content (false: none after all) and targets by path; UTF-16 for .CSV;
                      `programs` and `directories` are lists
    [dpkg]            versions of packages in /var/lib/dpkg/status
    units             systemd units that are there and enabled; `unit_directory`
    [scripts]         System V scripts that are enabled, with their places in the order;
                      `script_style` ("redhat", "debian", "suse"); `jobs`: those of Upstart
    [grubenv] [efi]   lines of environment blocks, and programs (`_efi_program`), by path
    [expect]          see `Expected`

UUIDs are made from the mount points: they are the same in every run, and no two are the same.
"""

from __future__ import annotations

import re
import tomllib
import uuid
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from converter.guest import paths
from converter.guest.memory import Node
from converter.model import FileKind, Filesystem, Volume
from tests.guests.disks import MIB, TYPES, Part, SparseDisk, make_disk, size_of
from tests.guests.kernels import Kernel
from tests.guests.machine import Device, Machine
from tests.unit import efi_programs

HERE = Path(__file__).parent
_NAMESPACE = uuid.UUID("c0ffee00-0000-4000-8000-000000000000")
_TEMPLATE = re.compile(r"@(?:(uuid|partuuid):([^@\s]+)|([a-z][a-z0-9_]*))@")
# Of the ELF header of programs: its class, and the machine; and of EFI programs.
_MACHINES = {
    "x86_64": (2, 62, efi_programs.X86_64),
    "aarch64": (2, 183, 0xAA64),
    "i386": (1, 3, 0x14C),
}
_DIRECTORIES = ("bin", "boot", "dev", "etc", "lib", "mnt", "proc", "run", "sbin", "sys", "usr/bin")
_LABELS = {
    "/": b"system_u:object_r:root_t:s0",
    "/boot/": b"system_u:object_r:boot_t:s0",
    "/etc/": b"system_u:object_r:etc_t:s0",
    "/usr/": b"system_u:object_r:usr_t:s0",
    "/var/": b"system_u:object_r:var_t:s0",
}
# Where System V scripts are, and where the links that start them.
_SCRIPTS = {
    "redhat": ("/etc/rc.d/init.d", tuple(f"/etc/rc.d/rc{level}.d" for level in "2345")),
    "debian": ("/etc/init.d", tuple(f"/etc/rc{level}.d" for level in "2345")),
    "suse": ("/etc/init.d", tuple(f"/etc/init.d/rc{level}.d" for level in "35")),
}


@dataclass(frozen=True)
class Expected:
    """What inspection, judgement and planning must find.

    `facts`: values by name, as `facts_of` has them. `findings`: "severity code" under the policy
    open, sorted, each once. `aws`: the codes that refuse under the policy aws. `plan`: codes by
    path, in order. `text`: lines that a file has after the conversion; with `!` before it, has
    not.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    aws: tuple[str, ...] = ()
    plan: dict[str, list[str]] = field(default_factory=dict)
    text: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fixture:
    name: str
    data: dict[str, Any]

    @property
    def expected(self) -> Expected:
        return Expected(**{k: frozen(v) for k, v in self.data.get("expect", {}).items()})

    @property
    def is_labelled(self) -> bool:
        """Whether the guest has SELinux."""
        return "/etc/selinux/config" in self.data["files"]

    def machine(self) -> Machine:
        """Make the machine anew: what is done to one does not show in another."""
        return _Builder(self.data).machine()


def names() -> list[str]:
    """Give the names of all fixtures."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


@cache
def load(name: str) -> Fixture:
    """Load a fixture, its bases merged and its templates filled in."""
    data = _merged(HERE / f"{name}.toml")
    variables = dict(data.get("vars", {}))
    for _ in range(3):  # values may have values in them
        variables = {key: _filled(value, variables) for key, value in variables.items()}
    return Fixture(name, _filled(data, variables))


def _merged(path: Path) -> dict[str, Any]:
    own = tomllib.loads(path.read_text("utf-8"))
    bases = own.pop("base", [])
    below: dict[str, Any] = {}
    for base in [bases] if isinstance(bases, str) else bases:
        below = _over(below, _merged(HERE / "bases" / f"{base}.toml"))
    return _over(below, own)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        if key.endswith("+"):
            result[key[:-1]] = [*result.get(key[:-1], []), *value]
        elif isinstance(value, dict):
            result[key] = _over(result.get(key) or {}, value)
        else:
            result[key] = value
    return result


def _filled(value: Any, variables: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {_filled(key, variables): _filled(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, variables) for item in value]
    if isinstance(value, str):
        return _TEMPLATE.sub(lambda match: _value(match, variables), value)
    return value


def _value(match: re.Match[str], variables: dict[str, str]) -> str:
    kind, place, name = match.groups()
    if kind:
        return fs_uuid(place) if kind == "uuid" else part_uuid(place)
    # Ubuntu has a Btrfs subvolume called `@home`: what is no name stays.
    return str(variables.get(name, match[0]))


def frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def fs_uuid(place: str) -> str:
    """Give the UUID of the filesystem at `place`, in the form of FAT for an ESP."""
    made = str(uuid.uuid5(_NAMESPACE, place))
    return f"{made[:4]}-{made[4:8]}".upper() if place in ("/boot/efi", "/efi") else made


def part_uuid(place: str) -> str:
    """Give the UUID of the GPT partition for `place`."""
    return str(uuid.uuid5(_NAMESPACE, f"partition {place}"))


class _Builder:
    """Makes the machine of a fixture."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.devices: list[Device] = []
        # Where each filesystem is mounted: its device, and the path in its tree.
        self.places: dict[str, tuple[Device, str]] = {}

    def machine(self) -> Machine:
        disks = {
            f"/dev/sd{chr(ord('a') + number)}": self._disk(f"/dev/sd{chr(ord('a') + number)}", row)
            for number, row in enumerate(self.data["disks"])
        }
        volumes = [self._volume(row) for row in self.data.get("volumes", ())]
        machine = Machine(disks, self.devices, volumes)
        self._mount_all(machine)
        self._fill(machine)
        machine.unmount()
        return machine

    def _disk(self, device: str, row: dict[str, Any]) -> SparseDisk:
        table, signature = row.get("table", "mbr"), int(row.get("signature", "c0ffee12"), 16)
        size, parts, start, number = size_of(row["size"]), [], MIB, 0
        for item in row.get("partitions", ()):
            number = item.get("number", number + 1)
            start += MIB if number > 4 and table == "mbr" else 0
            length = size_of(item["size"]) if "size" in item else size - start - MIB
            place = item.get("mount") or item.get("place") or f"{device}{number}"
            kind = TYPES.get(item["type"], (item["type"],) * 2)[table == "gpt"]
            flags = {"active": item.get("active", False), "name": item.get("name", "")}
            parts.append(Part(number, start, length, kind, part_uuid(place), **flags))
            self._device(f"{device}{number}", place, item)
            start += 0 if item["type"] == "extended" else length
        if not table and row.get("fs"):
            self._device(device, row.get("mount", device), row)
        return make_disk(
            table=table,
            size=size,
            signature=signature,
            parts=parts,
            boot=row.get("boot", ""),
        )

    def _volume(self, row: dict[str, Any]) -> Volume:
        device = f"/dev/{row['group']}/{row['name']}"
        self._device(device, row.get("mount", device), row)
        return Volume(device, row["group"], row["name"], size_of(row.get("size", "1G")))

    def _device(self, name: str, place: str, row: dict[str, Any]) -> None:
        """Note a filesystem, and where it is mounted."""
        kind = row.get("fs", "")
        uuid_ = (row.get("uuid") or fs_uuid(place)) if kind else ""
        subvolumes: dict[str, str] = row.get("subvolumes", {})
        ids = {subvolume: number for number, subvolume in enumerate(subvolumes, start=256)}
        device = Device(
            Filesystem(name, kind, uuid_, row.get("label", "")),
            subvolumes=ids,
            default=row.get("default", ""),
            mkfs=row.get("mkfs", ()),
        )
        for subvolume, mount in subvolumes.items():
            self._make_directory(device, f"/{subvolume}")
            if mount:
                self.places[mount] = (device, subvolume)
        if place.startswith("/") and not place.startswith("/dev/") and not subvolumes:
            self.places[place] = (device, "")
        self.devices.append(device)

    @staticmethod
    def _make_directory(device: Device, path: str) -> None:
        parts = path.split("/")
        for number in range(2, len(parts) + 1):
            device.tree["/".join(parts[:number])] = Node(FileKind.DIRECTORY, mode=0o755)

    def _mount_all(self, machine: Machine) -> None:
        for place in sorted(self.places):
            device, subvolume = self.places[place]
            if place != "/":
                machine.mkdir(place)
            options = f"subvol=/{subvolume}" if subvolume else "subvolid=5"
            machine.mount(device.found.device, place, options=options)

    def _make_directories(self, machine: Machine) -> None:
        if self.data.get("usrmerge"):
            for name in ("bin", "lib", "lib64", "sbin"):
                machine.mkdir(f"/usr/{name}")
                machine.symlink(f"usr/{name}", f"/{name}")
        for path in (*_DIRECTORIES, *self.data.get("directories", ())):
            machine.mkdir(f"/{path.lstrip('/')}")
        for path, target in self.data.get("links", {}).items():
            self._link(machine, path, target)

    def _start_services(self, machine: Machine) -> None:
        """Make units, scripts and jobs, and the links that start them."""
        directory = self.data.get("unit_directory", "/usr/lib/systemd/system")
        for unit in self.data.get("units", ()):
            self._put(machine, f"{directory}/{unit}", b"[Install]\nWantedBy=multi-user.target\n")
            link = f"/etc/systemd/system/multi-user.target.wants/{unit}"
            self._link(machine, link, f"{directory}/{unit}")
        scripts, levels = _SCRIPTS[self.data.get("script_style", "debian")]
        for name, place in self.data.get("scripts", {}).items():
            self._put(machine, f"{scripts}/{name}", b"#!/bin/sh\n", mode=0o755)
            for level in levels if place != "S" else ("/etc/rcS.d",):
                number = place if place != "S" else "12"
                target = f"../{name}" if level.startswith("/etc/init.d/") else f"../init.d/{name}"
                self._link(machine, f"{level}/S{number}{name}", target)
        for job in self.data.get("jobs", ()):
            self._put(machine, f"/etc/init/{job}.conf", b"start on runlevel [2345]\n")

    @staticmethod
    def _link(machine: Machine, path: str, target: str) -> None:
        machine.mkdir(path.rpartition("/")[0] or "/")
        machine.symlink(target, path)

    def _fill(self, machine: Machine) -> None:
        data = self.data
        self._make_directories(machine)
        for row in filter(None, data.get("kernels", {}).values()):
            kernel = Kernel(**{key: frozen(value) for key, value in row.items()})
            for path, content in kernel.installed().items():
                self._put(machine, path, content)
        size, elf, efi = _MACHINES[data.get("architecture", "x86_64")]
        for path in ("/bin/sh", *data.get("programs", ())):
            self._put(machine, path, _elf_header(size, elf), mode=0o755)
        if "dpkg" in data:
            self._put(machine, "/var/lib/dpkg/status", _dpkg_status(data["dpkg"]).encode())
        modes = {path: int(mode, 8) for path, mode in data.get("modes", {}).items()}
        for path, text in data.get("files", {}).items():
            if text is not False:
                self._put(machine, path, _encoded(path, text), mode=modes.get(path, 0o644))
        for path, lines in data.get("grubenv", {}).items():
            self._put(machine, path, _environment(lines))
        for path, program in data.get("efi", {}).items():
            self._put(machine, path, _efi_program(program, machine=efi))
        self._start_services(machine)
        if "/etc/selinux/config" in data["files"]:
            machine.label(_LABELS, unlabelled=["/boot/efi"])

    @staticmethod
    def _put(machine: Machine, path: str, content: bytes, *, mode: int = 0o644) -> None:
        place = paths.resolve(machine, path)
        machine.mkdir(place.rpartition("/")[0] or "/")
        machine.write(place, content, mode=mode, uid=0, gid=0)


def _elf_header(size: int, machine: int) -> bytes:
    return bytes((*b"\x7fELF", size, 1, 1)) + bytes(9) + b"\x02\0" + machine.to_bytes(2, "little")


def _dpkg_status(packages: dict[str, str]) -> str:
    stanza = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n"
    there = ((name, version) for name, version in packages.items() if version)
    return "".join(stanza.format(*row) for row in there)


def _encoded(path: str, text: str) -> bytes:
    return text.encode("utf-16-le" if path.upper().endswith(".CSV") else "utf-8")


def _environment(lines: list[str]) -> bytes:
    """Give a GRUB environment block of 1024 bytes."""
    text = "".join(f"{line}\n" for line in ("# GRUB Environment Block", *lines))
    return text.encode().ljust(1024, b"#")


def _efi_program(text: str, *, machine: int) -> bytes:
    """Give an EFI program: "shim" and what it starts, "grub" and its prefix, or another one."""
    kind, _, prefix = text.partition(" ")
    match kind:
        case "shim":
            return efi_programs.shim(*prefix.split(), machine=machine)
        case "grub":
            return efi_programs.grub(prefix, machine=machine)
        case _:
            return efi_programs.pe((b".text", b"\x90" * 16), machine=machine)
