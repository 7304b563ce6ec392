"""Security descriptors of Windows, as NTFS keeps them: who owns a file, and who may do what to it.

The self-relative form of [MS-DTYP] 2.4.6, with an owner, a group and a discretionary list of
entries that allow or deny; no auditing list, no object entries. Other entries are refused.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from converter.formats import FormatError

SYSTEM: Final = "S-1-5-18"
ADMINISTRATORS: Final = "S-1-5-32-544"
USERS: Final = "S-1-5-32-545"

FULL_CONTROL: Final = 0x1F01FF
READ_AND_EXECUTE: Final = 0x1200A9

_REVISION: Final = 1
_ACL_REVISION: Final = 2
_DACL_PRESENT: Final = 0x0004
_DACL_PROTECTED: Final = 0x1000
_SELF_RELATIVE: Final = 0x8000
_HEADER: Final = struct.Struct("<BBHIIII")
_ACL: Final = struct.Struct("<BBHHH")
_ACE: Final = struct.Struct("<BBHI")
_SID_HEADER: Final = 8
_SUB_AUTHORITIES: Final = 15
_SID: Final = re.compile(r"S-1-(\d{1,15})((?:-\d{1,10}){1,15})", re.ASCII)


class AceType(IntEnum):
    """What an entry does."""

    ALLOW = 0
    DENY = 1


class AceFlags(IntFlag):
    """What inherits an entry of a directory."""

    NONE = 0
    OBJECT_INHERIT = 1
    CONTAINER_INHERIT = 2
    NO_PROPAGATE = 4
    INHERIT_ONLY = 8
    INHERITED = 16


_TO_ALL_BELOW: Final = AceFlags.OBJECT_INHERIT | AceFlags.CONTAINER_INHERIT


@dataclass(frozen=True, slots=True)
class Ace:
    """An entry: the account `sid` is allowed or denied the rights in `mask`."""

    sid: str
    mask: int
    flags: AceFlags = AceFlags.NONE
    type: AceType = AceType.ALLOW

    def __bytes__(self) -> bytes:
        sid = _sid_bytes(self.sid)
        return _ACE.pack(self.type, self.flags, _ACE.size + len(sid), self.mask) + sid


@dataclass(frozen=True, slots=True)
class SecurityDescriptor:
    """A file's security; a protected one inherits nothing from the directory above."""

    owner: str
    group: str
    aces: tuple[Ace, ...]
    is_protected: bool

    def __bytes__(self) -> bytes:
        entries = b"".join(bytes(ace) for ace in self.aces)
        acl = _ACL.pack(_ACL_REVISION, 0, _ACL.size + len(entries), len(self.aces), 0) + entries
        owner, group = _sid_bytes(self.owner), _sid_bytes(self.group)
        control = _SELF_RELATIVE | _DACL_PRESENT | (_DACL_PROTECTED if self.is_protected else 0)
        at = _HEADER.size + len(acl)
        header = _HEADER.pack(_REVISION, 0, control, at, at + len(owner), 0, _HEADER.size)
        return header + acl + owner + group


def parse(data: bytes) -> SecurityDescriptor:
    """Read a descriptor. Raises `FormatError`."""
    _, _, control, owner, group, _, dacl = _unpack(_HEADER, data, 0)
    if data[0] != _REVISION or not control & _SELF_RELATIVE:
        raise FormatError("is no self-relative security descriptor")
    if not control & _DACL_PRESENT or not dacl or not owner or not group:
        raise FormatError("the security descriptor has no owner, group or list of entries")
    return SecurityDescriptor(
        _read_sid(data, owner),
        _read_sid(data, group),
        _read_acl(data, dacl),
        is_protected=bool(control & _DACL_PROTECTED),
    )


def _read_acl(data: bytes, at: int) -> tuple[Ace, ...]:
    _, _, size, count, _ = _unpack(_ACL, data, at)
    end, at = at + size, at + _ACL.size
    if end > len(data):
        raise FormatError("the security descriptor's list of entries goes past its end")
    found = []
    for _ in range(count):  # at most 65535, and each is 8 bytes at least of at most 65535
        kind, flags, length, mask = _unpack(_ACE, data[:end], at)
        if kind not in tuple(AceType) or length < _ACE.size + _SID_HEADER or at + length > end:
            raise FormatError(
                f"the security descriptor has an entry of type {kind} that is not known"
            )
        sid = _read_sid(data[: at + length], at + _ACE.size)
        found.append(Ace(sid, mask, AceFlags(flags), AceType(kind)))
        at += length
    return tuple(found)


def _read_sid(data: bytes, at: int) -> str:
    if at + _SID_HEADER > len(data) or data[at] != 1 or not 1 <= data[at + 1] <= _SUB_AUTHORITIES:
        raise FormatError(f"the security descriptor has no account at {at:#x}")
    parts = _unpack(struct.Struct(f"<{data[at + 1]}I"), data, at + _SID_HEADER)
    authority = int.from_bytes(data[at + 2 : at + _SID_HEADER], "big")
    return "-".join(map(str, ("S", 1, authority, *parts)))


def _sid_bytes(sid: str) -> bytes:
    found = _SID.fullmatch(sid)
    if found is None:
        raise FormatError(f"{sid!r} is no security identifier")
    authority, parts = int(found[1]), [int(part) for part in found[2][1:].split("-")]
    if authority >= 1 << 48 or any(part >= 1 << 32 for part in parts):
        raise FormatError(f"{sid!r} is no security identifier")
    return (
        bytes((1, len(parts)))
        + authority.to_bytes(6, "big")
        + struct.pack(f"<{len(parts)}I", *parts)
    )


def _unpack(form: struct.Struct, data: bytes, at: int) -> tuple[int, ...]:
    try:
        return form.unpack_from(data, at)
    except struct.error as error:
        raise FormatError("the security descriptor ends early") from error


def _for_system(flags: AceFlags) -> bytes:
    return bytes(
        SecurityDescriptor(
            ADMINISTRATORS,
            ADMINISTRATORS,
            (
                Ace(SYSTEM, FULL_CONTROL, flags),
                Ace(ADMINISTRATORS, FULL_CONTROL, flags),
                Ace(USERS, READ_AND_EXECUTE, flags),
            ),
            is_protected=True,
        )
    )


# For what SYSTEM runs: nobody but it and administrators may change it, whatever is above.
SYSTEM_FILE: Final = _for_system(AceFlags.NONE)
SYSTEM_DIRECTORY: Final = _for_system(_TO_ALL_BELOW)
