"""A guest's SAM, SECURITY, DEFAULT and users' hives: only the accounts have something in them.

The accounts' `V` as documented by those who read it (a table of offsets, lengths and flags, then
the data): with an NT hash, or with what is left of one where there is no password.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from images.windows.guest import State
from images.windows.hive import TIME, Value, binary, dword, make, sz

if TYPE_CHECKING:
    from images.windows.guest import Windows
    from images.windows.hive import Keys

_NAME: Final = 1
_NT_HASH: Final = 14
_FIELDS: Final = 17
_NORMAL: Final = 0x0210
_DISABLED: Final = 0x0001
# A hash's header and nothing more; AES came with Windows 10 1607.
_EMPTY: Final = {
    False: bytes.fromhex("01000100"),
    True: bytes.fromhex("0200020000000000").ljust(24, b"\0"),
}
_AES_SINCE: Final = 14393


def sam(windows: Windows) -> bytes:
    """Make the hive of local accounts."""
    is_aes = windows.about.build >= _AES_SINCE
    base = r"SAM\Domains\Account\Users"
    keys: Keys = {"SAM": {}, base: {}, rf"{base}\Names": {}}
    accounts = [("Administrator", 500, _NORMAL, True), ("Guest", 501, _NORMAL | _DISABLED, False)]
    if windows.has(State.BLANK_PASSWORDS):
        accounts.append(("operator", 1001, _NORMAL, False))
    for name, number, flags, has_password in accounts:
        # The account's number is the type of a value without data.
        keys[rf"{base}\Names\{name}"] = {"": Value(number, b"")}
        keys[rf"{base}\{number:08X}"] = {
            "F": binary(_fixed(number, flags)),
            "V": binary(_variable(name, is_aes=is_aes, has_password=has_password)),
        }
    return make(r"\SystemRoot\System32\Config\SAM", keys)


def _fixed(number: int, flags: int) -> bytes:
    head = struct.pack("<II5Q", 0x00010002, 0, 0, 0, TIME, 0, 0)
    return (head + struct.pack("<IIHHH", number, 0x201, flags, 0, 0)).ljust(80, b"\0")


def _variable(name: str, *, is_aes: bool, has_password: bool) -> bytes:
    secret = _EMPTY[is_aes] + (bytes(range(32 if is_aes else 16)) if has_password else b"")
    data = {_NAME: name.encode("utf-16-le"), _NT_HASH: secret}
    table, body = b"", b""
    for field in range(_FIELDS):
        piece = data.get(field, b"")
        table += struct.pack("<III", len(body), len(piece), 0)
        body += piece + bytes(-len(piece) % 4)
    return table + body


def security() -> bytes:
    """Make the hive of the machine's secrets, which has none."""
    return make(
        r"\SystemRoot\System32\Config\SECURITY",
        {r"Policy\PolRevision": {"": binary(bytes(4))}, "RXACT": {}},
    )


def default(windows: Windows) -> bytes:
    """Make the hive of the system's own profile, and of users' profiles."""
    name = "de-DE" if windows.has(State.GERMAN) else "en-US"
    return make(
        r"\SystemRoot\System32\Config\DEFAULT",
        {
            r"Control Panel\International": {"LocaleName": sz(name)},
            r"Software\Microsoft\Windows\CurrentVersion\RunOnce": {},
            "Environment": {"Flags": dword(0)},
        },
    )
