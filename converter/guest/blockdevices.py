"""The disks of libguestfs' appliance: what is on them, and what is mounted.

Calls of guestfs(3) that describe one device at a time; `list_filesystems` would mount every
filesystem to do so.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from converter.errors import GuestError
from converter.guest import sectors, survey
from converter.guest.protocol import Code
from converter.model import Array, Filesystem, Space, Subvolume, Volume, VolumeGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from converter.guest.survey import Survey
    from converter.trimming import Trim

log = logging.getLogger(__name__)

_TOP_LEVEL: Final = 5
# One protocol message holds less than 4 MiB (guestfs(3), GUESTFS_MESSAGE_MAX), headers included.
CHUNK: Final = 2 << 20
_STOPPED_ARRAY: Final = re.compile(r"^(md\w+) : inactive", re.MULTILINE)
_LOOK: Final = "run it again with --log FILE: it has all that the appliance and its kernel said"
# What strerror(3) has for what is the guest's fault.
_CODES: Final = {
    "No such file or directory": Code.MISSING,
    "Not a directory": Code.MISSING,
    "File name too long": Code.MISSING,  # nobody could have made it
    "Too many levels of symbolic links": Code.LINK_LOOP,
    # What filesystems say of themselves: EUCLEAN, EBADMSG, EIO. Where the source could not be read
    # that is found out from the kernel's log.
    "Structure needs cleaning": Code.DAMAGED,
    "Bad message": Code.DAMAGED,
    "Input/output error": Code.DAMAGED,
}


class ApplianceDevices:
    """Implements `BlockDevices` over the handle of a running appliance."""

    _handle: Any
    _directory: Path

    def __init__(self) -> None:
        """Know nothing yet."""
        # By their places: the order in which they were given.
        self._disks: tuple[str, ...] = ()
        # What was seen of the disks since something was last mounted, or written to them.
        self._survey: Survey | None = None
        self._types: dict[str, str] = {}
        self._mount_points: set[str] = set()

    def devices(self) -> tuple[tuple[str, int], ...]:
        """See `BlockDevices`. Looks at the disks anew, and at what is on them."""
        with translated("disks"):
            said: str = self._handle.debug("sh", [survey.script(len(self._disks))])
            self._survey = survey.parse(said, self._disks)
        return self._survey.disks

    def read_device(self, device: str, *, offset: int, length: int) -> bytes:
        """See `BlockDevices`."""
        if self._survey is not None:
            known = self._survey.read(device, offset, length)
            if known is not None:
                return known
        with translated(device):
            data: bytes = self._handle.pread_device(device, length, offset)
        return data

    def rewrite(self, device: str, pieces: Sequence[tuple[int, bytes]], *, size: int) -> bool:
        """See `Disks`. Limit: neither volume groups nor RAID arrays are stopped for it."""
        self._survey = None
        self._types.clear()
        with tempfile.NamedTemporaryFile(dir=self._directory) as staged:
            Path(staged.name).write_bytes(b"".join(data for _, data in pieces))
            with translated(device):
                self._handle.debug_upload(staged.name, sectors.PIECES, 0o600)
                script = sectors.script(self._disks.index(device), pieces, size=size)
                said: str = self._handle.debug("sh", [script])
        log.debug("%s: %s", device, said.strip())
        # What programs complain of comes before it.
        return said.split()[-1:] == [sectors.WRITTEN]

    def partitions(self) -> tuple[str, ...]:
        """See `BlockDevices`."""
        if self._survey is not None:
            return self._survey.partitions
        with translated("partitions"):
            return tuple(self._handle.list_partitions())

    def probe(self, device: str) -> Filesystem:
        """See `BlockDevices`."""
        tags = ("TYPE", "UUID", "LABEL", "UUID_SUB")
        found = self._tags(device)
        kind, uuid, label, member = (_unescaped(found.get(tag, "")) for tag in tags)
        self._types[device] = kind
        return Filesystem(device, kind, uuid, label, member)

    def _tags(self, device: str) -> Mapping[str, str]:
        """Give what blkid(8) says of a device: where there is nothing, or several things, none."""
        if self._survey is not None and device in self._survey.tags:
            return self._survey.tags[device]
        try:
            with translated(device):
                found: dict[str, str] = self._handle.blkid(device)
        except GuestError as error:
            log.debug("%s: %s", device, error.message)
            return {}
        return found

    def arrays(self) -> tuple[Array, ...]:
        """See `BlockDevices`."""
        self._survey = None  # which knows nothing of partitions of arrays
        self._start_arrays()
        with translated("RAID arrays"):
            devices = self._handle.list_md_devices()
        return tuple(array for device in devices if (array := self._array(device)))

    def _start_arrays(self) -> None:
        """Start the arrays that members are missing of: libguestfs starts whole ones only.

        It has no call for that but the one for debugging; without it they stay unread.
        """
        try:
            with translated("RAID arrays"):
                state: str = self._handle.debug("sh", ["cat", "/proc/mdstat"])
                for name in _STOPPED_ARRAY.findall(state):
                    self._handle.debug("sh", ["mdadm", "--run", f"/dev/{name}"])
        except GuestError as error:
            log.debug("%s", error.message)

    def _array(self, device: str) -> Array | None:
        """Describe an array; None for one that did not start, which has a name and no bytes."""
        try:
            with translated(device):
                if self._handle.blockdev_getsize64(device) == 0:
                    return None
                found: dict[str, str] = self._handle.md_detail(device)
        except GuestError as error:
            log.debug("%s", error.message)
            return None
        roles = [value for key, value in found.items() if key.endswith("_role")]
        size, present = found.get("devices", "0"), sum(role.isdecimal() for role in roles)
        level, uuid, name = (found.get(key, "") for key in ("level", "uuid", "name"))
        return Array(
            device,
            level,
            uuid,
            name,
            int(size) if size.isdecimal() else 0,
            present,
            tuple(sorted(value for key, value in found.items() if key.endswith("_dev"))),
        )

    def groups(self) -> tuple[VolumeGroup, ...]:
        """See `BlockDevices`."""
        with translated("volume groups"):
            found = self._handle.vgs_full()
            devices = {row["pv_uuid"]: row["pv_name"] for row in self._handle.pvs_full()}
        # vgs(8): the fourth attribute is `p` where physical volumes are missing.
        return tuple(
            VolumeGroup(
                row["vg_name"],
                row["vg_uuid"],
                is_complete=row["vg_attr"][3:4] != "p",
                members=self._members(row["vg_name"], devices),
            )
            for row in found
        )

    def _members(self, group: str, devices: Mapping[str, str]) -> tuple[str, ...]:
        """Give the physical volumes of `group`: none where another group has the same name."""
        try:
            with translated(group):
                uuids = self._handle.vgpvuuids(group)
        except GuestError as error:
            log.debug("%s", error.message)
            return ()
        known = (devices.get(uuid.replace("-", "")) for uuid in uuids)
        return tuple(device for device in known if device)

    def volumes(self) -> tuple[Volume, ...]:
        """See `BlockDevices`."""
        with translated("logical volumes"):
            rows = self._handle.lvs_full()
            # Groups of the same name have volumes of the same name, too.
            devices = dict.fromkeys(self._handle.lvs())
        return tuple(self._volume(device, rows) for device in devices)

    def _volume(self, device: str, rows: Sequence[Mapping[str, Any]]) -> Volume:
        """Describe a volume. `rows` have no group's name: where that matters, the UUID tells."""
        _, _, group, name = device.split("/", 3)
        found = [row for row in rows if row["lv_name"] == name]
        if len(found) > 1:
            uuid = self._uuid(device)
            found = [row for row in found if row["lv_uuid"] == uuid]
        if not found:
            return Volume(device, group, name, 0, is_active=False)
        # lvs(8): the first attribute is the kind, the fifth the state.
        row, attributes = found[0], found[0]["lv_attr"]
        return Volume(
            device,
            group,
            name,
            row["lv_size"],
            is_active=attributes[4:5] == "a",
            is_snapshot=attributes[:1] in "sS" or (attributes[:1] == "V" and bool(row["origin"])),
            uuid=row["lv_uuid"],
        )

    def _uuid(self, volume: str) -> str:
        """Give the UUID of an active volume, "" of one whose device is not there."""
        try:
            with translated(volume):
                uuid: str = self._handle.lvuuid(volume)
        except GuestError as error:
            log.debug("%s", error.message)
            return ""
        return uuid.replace("-", "")

    def subvolumes(self, device: str) -> tuple[Subvolume, ...]:
        """See `BlockDevices`."""
        with translated(device):
            default = self._handle.btrfs_subvolume_get_default(device)
            rows = self._handle.btrfs_subvolume_list(device)
        found = {row["btrfssubvolume_id"]: row["btrfssubvolume_path"] for row in rows}
        return tuple(
            Subvolume(number, path, is_default=number == default)
            for number, path in {_TOP_LEVEL: "", **found}.items()
        )

    def space(self, path: str) -> Space:
        """See `BlockDevices`."""
        with translated(path):
            found: dict[str, int] = self._handle.statvfs(path)
        unit = found["frsize"]
        inodes = found["ffree"] if found["files"] else None
        return Space(found["blocks"] * unit, found["bfree"] * unit, inodes)

    def make_mount_point(self, path: str) -> None:
        """See `BlockDevices`."""
        if path in self._mount_points:
            return
        with translated(path):
            self._handle.mkmountpoint(path)
        self._mount_points.add(path)

    def mount(self, device: str, path: str, *, options: str) -> None:
        """See `BlockDevices`."""
        self._survey = None
        with translated(f"{device} at {path}"):
            # A device in the guest's filesystem would be one of the appliance.
            self._handle.mount_options(f"{options},nodev", device, path)
            # Some drivers mount what is in use for reading only, and do not say so (ntfs-3g(8)).
            wants_to_write = "rw" in options.split(",")
            is_read_only = wants_to_write and self._handle.statvfs(path)["flag"] & os.ST_RDONLY
        if is_read_only:
            raise GuestError(Code.FAILED, f"{device}: can be read only")

    def mounted(self) -> Mapping[str, str]:
        """Give what is mounted: devices, and where."""
        with translated("mount points"):
            found: dict[str, str] = self._handle.mountpoints()
        return found

    def trim(self, wanted: Sequence[Trim]) -> None:
        """Tell the disks what is free in filesystems: those that can; the others stay as they are.

        What the disks then hold there is zero.
        """
        for trim in wanted:
            part = {} if trim.length is None else {"offset": trim.start, "length": trim.length}
            try:
                with translated(trim.path):
                    self._handle.fstrim(trim.path, **part)
            except GuestError as error:
                log.info("%s: is not trimmed: %s", trim.path, error.message)

    def unmount(self) -> None:
        """See `BlockDevices`."""
        with translated("unmount"):
            self._handle.umount_all()


def _unescaped(value: str) -> str:
    """Give a value of blkid(8)'s `export` format, which writes unusual bytes in hexadecimal."""

    def decode(match: re.Match[str]) -> str:
        hexadecimal = match[0].replace("\\x", "")
        return bytes.fromhex(hexadecimal).decode("utf-8", "surrogateescape")

    return re.sub(r"\\([^x])", r"\1", re.sub(r"(?:\\x[0-9a-f]{2})+", decode, value)).strip()


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the binding's errors into `GuestError`s that name `what` they were about."""
    try:
        yield
    except ValueError as error:  # UnicodeError is one
        raise GuestError(
            Code.FAILED, f"{what!r}: not UTF-8, or with a NUL in it: {error}"
        ) from error
    except OverflowError as error:  # a number of the guest's that no disk can have
        raise GuestError(Code.FAILED, f"{what}: {error}") from error
    except RuntimeError as error:
        said = str(error)
        code = next((code for end, code in _CODES.items() if said.endswith(end)), Code.FAILED)
        raise GuestError(code, f"{what}: {said}", hint=_LOOK) from error
