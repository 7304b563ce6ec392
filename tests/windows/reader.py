"""A raw disk of a Windows guest, read without the converter."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from dissect.fat import FATFS
from dissect.ntfs import NTFS
from dissect.ntfs.c_ntfs import ATTRIBUTE_TYPE_CODE
from dissect.ntfs.secure import SecurityDescriptor
from dissect.util.stream import RangeStream

from tests.windows import hives, stores, tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from tests.windows.hives import Keys
    from tests.windows.stores import Object
    from tests.windows.tables import Entry, Table

_SECTOR = 512
_VOLUME = 3
_HIVES = ("SYSTEM", "SOFTWARE", "SAM", "SECURITY", "DEFAULT")


@dataclass(frozen=True, slots=True)
class Access:
    """An entry of an access list: its kind and flags, the rights, and whom it is about."""

    type: int
    flags: int
    mask: int
    sid: str


@dataclass(frozen=True, slots=True)
class Security:
    """A file's security descriptor."""

    owner: str
    group: str
    access: tuple[Access, ...]


class Volume:
    """A filesystem on a disk: NTFS or FAT. Paths have slashes, none at the beginning."""

    def __init__(self, disk: BinaryIO, entry: Entry) -> None:
        self.entry = entry
        self._stream = RangeStream(disk, entry.start, entry.size)

    def sector(self, number: int) -> bytes:
        """Give a sector, counted from the end when negative."""
        self._stream.seek(number * _SECTOR if number >= 0 else self.entry.size + number * _SECTOR)
        return bytes(self._stream.read(_SECTOR))

    @property
    def kind(self) -> str:
        """ "ntfs", "fat", "bitlocker" or ""."""
        first = self.sector(0)
        if first[3:11] == b"-FVE-FS-":
            return "bitlocker"
        if first[3:7] == b"NTFS":
            return "ntfs"
        return "fat" if first[0x52:0x57] == b"FAT32" else ""

    @property
    def hidden_sectors(self) -> tuple[int, int]:
        """The sectors before it, as its boot sector says, and the boot sector's copy."""
        first, copy = (struct.unpack_from("<I", self.sector(at), 0x1C)[0] for at in (0, -1))
        return first, copy

    @property
    def has_boot_code(self) -> bool:
        """Whether its second sector begins as that of a volume which Windows made."""
        return self.sector(1)[:16] == struct.pack("<H", 7) + "BOOTMGR".encode("utf-16-le")

    @property
    def is_dirty(self) -> bool:
        """Whether an NTFS asks to be checked."""
        record = self._ntfs.mft.get(_VOLUME)
        data = record.attributes[ATTRIBUTE_TYPE_CODE.VOLUME_INFORMATION].data()
        return bool(struct.unpack_from("<H", data, 10)[0] & 1)

    @cached_property
    def _ntfs(self) -> Any:
        return NTFS(self._stream)

    @cached_property
    def _fat(self) -> Any:
        return FATFS(self._stream)

    @cached_property
    def _entries(self) -> dict[str, Any]:
        """Everything on it, by its path."""
        walk = self._walk_ntfs if self.kind == "ntfs" else self._walk_fat
        return dict(walk())

    def _walk_ntfs(self) -> Iterator[tuple[str, Any]]:
        waiting = [("", self._ntfs.mft.root)]
        while waiting:
            path, record = waiting.pop()
            for name, child in record.listdir(dereference=True, ignore_dos=True).items():
                where = f"{path}/{name}".lstrip("/")
                # The root names itself, and the files that NTFS is made of.
                if child.segment < 16:
                    continue
                yield where, child
                if child.is_dir() and not child.is_reparse_point():
                    waiting.append((where, child))

    def _walk_fat(self) -> Iterator[tuple[str, Any]]:
        waiting = [("", self._fat.root)]
        while waiting:
            path, directory = waiting.pop()
            for child in directory.iterdir():
                if child.name in (".", "..") or child.is_volume_id():
                    continue
                where = f"{path}/{child.name}".lstrip("/")
                yield where, child
                if child.is_directory():
                    waiting.append((where, child))

    def _is_directory(self, entry: Any) -> bool:
        return bool(entry.is_dir() if self.kind == "ntfs" else entry.is_directory())

    def paths(self) -> set[str]:
        """Give the paths of all files and directories, spelled as they are stored."""
        return set(self._entries)

    def digests(self) -> dict[str, str]:
        """Give a digest of the content of each file; "" for a directory."""
        return {
            path: "" if self._is_directory(entry) else hashlib.sha256(self._data(entry)).hexdigest()
            for path, entry in self._entries.items()
        }

    def links(self) -> dict[str, str]:
        """Give where the reparse points of an NTFS lead to."""
        return {
            path: str(record.reparse_point_name)
            for path, record in self._entries.items()
            if record.is_symlink() or record.is_mount_point()
        }

    def find(self, path: str) -> str | None:
        """Give `path` as it is spelled here, None when it is not there."""
        return next((each for each in self._entries if each.lower() == path.lower()), None)

    def read(self, path: str) -> bytes:
        """Give the content of a file, in whatever case its name is given."""
        found = self.find(path)
        assert found is not None, path
        return self._data(self._entries[found])

    def _data(self, entry: Any) -> bytes:
        if self.kind == "ntfs" and not entry.has_stream():
            return b""
        return bytes(entry.open().read())

    def is_compressed(self, path: str) -> bool:
        """Tell whether an NTFS has compressed a file: a boot manager cannot read that."""
        record = self._entries[self.find(path) or path]
        attributes = record.attributes[ATTRIBUTE_TYPE_CODE.DATA]
        return any(bool(each.header.flags & 0x00FF) for each in attributes)

    def security(self, path: str) -> Security | None:
        """Give the security descriptor of a file on NTFS, None when it has none."""
        record = self._entries[self.find(path) or path]
        own = record.attributes.get(ATTRIBUTE_TYPE_CODE.SECURITY_DESCRIPTOR)
        if own:
            return _security(SecurityDescriptor(own[0].open()))
        information = record.attributes[ATTRIBUTE_TYPE_CODE.STANDARD_INFORMATION][0]
        # Shorter before NTFS 3.0, and where nobody gave the file a descriptor.
        if len(information.data()) < 0x48 or not information.security_id:
            return None
        return _security(self._ntfs.secure.lookup(information.security_id))


def _security(found: SecurityDescriptor) -> Security:
    entries = () if found.dacl is None else found.dacl.ace
    access = tuple(
        Access(int(e.header.AceType), int(e.header.AceFlags), int(e.mask), str(e.sid))
        for e in entries
    )
    return Security(str(found.owner), str(found.group), access)


class Reader:
    """A raw disk; for `with`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.table: Table = tables.read(self._file)
        self._hives: dict[str, Keys] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def has_gpt(self) -> bool:
        """Whether anything of a GPT is left on it."""
        return tables.has_gpt(self._file)

    @cached_property
    def volumes(self) -> tuple[Volume, ...]:
        """What is in each partition, in the table's order."""
        return tuple(Volume(self._file, entry) for entry in self.table.entries)

    def having(self, path: str) -> Volume:
        """Give the first volume that has a file or directory."""
        for volume in self.volumes:
            if volume.kind in ("ntfs", "fat") and volume.find(path):
                return volume
        raise LookupError(path)

    @cached_property
    def windows(self) -> Volume:
        """The volume with Windows on it."""
        return self.having("Windows/System32/config/SYSTEM")

    def hive(self, name: str) -> Keys:
        """Give all keys of a hive of Windows' own."""
        if name not in self._hives:
            data = self.windows.read(f"Windows/System32/config/{name}")
            self._hives[name] = hives.read(data)
        return self._hives[name]

    def hives(self) -> dict[str, Keys]:
        """Give all of Windows' own hives by their names."""
        return {name: self.hive(name) for name in _HIVES}

    def store(self, path: str) -> dict[str, Object]:
        """Give the boot configuration data in a file on any volume."""
        return stores.read(hives.read(self.having(path).read(path)))
