r"""An empty registry hive, made in code: for tests, and for guests that tests make up.

Specification: Maxim Suhanov, "Windows registry file format specification". The hive has a root
without values and the security that Windows gives to HKEY_LOCAL_MACHINE\SOFTWARE: full control for
the system and administrators, reading for everybody. Its time is 2000-01-01, always.
"""

from __future__ import annotations

import struct
from typing import Final

from converter.formats.registry_cells import BASE_SIZE, NONE, seal
from converter.formats.registry_records import KEY_COMPRESSED, new_key

_PAGE: Final = 4096
_BIN_HEADER: Final = 32
_KEY_SIZE: Final = 76
_TIME: Final = 125_911_584_000_000_000
_ROOT_KEY: Final = 0x0C
"""The root of a hive, which cannot be deleted."""

_ALL: Final = 0xF003F
_READ: Final = 0x20019
_INHERITED_BY_SUBKEYS: Final = 2


def empty(*, minor: int = 5, name: str = "ROOT") -> bytes:
    """Give an empty hive of version 1.`minor` whose root has this name."""
    root = _BIN_HEADER
    security = root + _cell_size(_KEY_SIZE + len(name))
    page = _page(_cell(_root(name, security)) + _cell(_security_record(security)))
    base = struct.pack("<4sIIQIIIIIII", b"regf", 1, 1, _TIME, 1, minor, 0, 1, root, _PAGE, 1)
    data = bytearray(base.ljust(BASE_SIZE, b"\0") + page)
    seal(data, sequence=1)
    return bytes(data)


def _cell_size(content: int) -> int:
    return (content + 4 + 7) & ~7


def _cell(content: bytes) -> bytes:
    size = _cell_size(len(content))
    return struct.pack("<i", -size) + content.ljust(size - 4, b"\0")


def _page(cells: bytes) -> bytes:
    header = struct.pack("<4sIIQQI", b"hbin", 0, _PAGE, 0, _TIME, 0)
    rest = _PAGE - len(header) - len(cells)
    return (header + cells + struct.pack("<i", rest)).ljust(_PAGE, b"\0")


def _root(name: str, security: int) -> bytes:
    key = new_key(
        name,
        len(name),
        flags=_ROOT_KEY | KEY_COMPRESSED,
        timestamp=_TIME,
        parent=NONE,
        security=security,
    )
    return key.header() + name.encode("ascii")


def _security_record(own: int) -> bytes:
    """Give the only record, whose neighbours are itself; one key uses it."""
    descriptor = _descriptor()
    return struct.pack("<2sHIIII", b"sk", 0, own, own, 1, len(descriptor)) + descriptor


def _descriptor() -> bytes:
    system, administrators, everyone = _sid(5, 18), _sid(5, 32, 544), _sid(1, 0)
    entries = _allow(system, _ALL) + _allow(administrators, _ALL) + _allow(everyone, _READ)
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(entries), 3, 0) + entries
    owner = 20 + len(acl)
    group = owner + len(administrators)
    # Relative to itself, with a list of permissions.
    head = struct.pack("<BBHIIII", 1, 0, 0x8004, owner, group, 0, 20)
    return head + acl + administrators + system


def _sid(authority: int, *parts: int) -> bytes:
    head = struct.pack(">BBHI", 1, len(parts), 0, authority)
    return head + struct.pack(f"<{len(parts)}I", *parts)


def _allow(sid: bytes, mask: int) -> bytes:
    return struct.pack("<BBHI", 0, _INHERITED_BY_SUBKEYS, 8 + len(sid), mask) + sid
