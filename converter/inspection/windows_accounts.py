r"""The local accounts of a Windows that can be used without a password, as far as it shows.

`SAM\Domains\Account\Users\RID` has a value F, with the account's flags at 0x38, and V: a table of
offset, length and flags for each field, then the fields. The second field is the name, the
fifteenth the NT hash: with nothing behind its header where there is no password. Sources: the
forensic literature on the SAM hive; ACB flags as in [MS-SAMR], 2.2.1.12.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.formats.registry import Reader

_USERS: Final = r"SAM\Domains\Account\Users"
_FLAGS_AT: Final = 0x38
_DISABLED: Final = 0x0001
_NAME: Final = 1
_HASH: Final = 14
_FIELD: Final = struct.Struct("<II4x")
_TABLE: Final = 17 * _FIELD.size
# What a hash without anything in it has: nothing, or its header; that of AES came with Windows 10.
_EMPTY: Final = frozenset({0, 4, 24})
# More than any machine has local accounts.
_LIMIT: Final = 10_000


def blank_passwords(sam: Reader) -> Iterator[str]:
    """Give the names of the accounts that are enabled and have no password."""
    for key in sam.subkeys(_USERS)[:_LIMIT]:
        fixed, variable = (sam.value(rf"{_USERS}\{key}", name) for name in ("F", "V"))
        if fixed is None or variable is None or len(fixed.data) < _FLAGS_AT + 2:
            continue
        (flags,) = struct.unpack_from("<H", fixed.data, _FLAGS_AT)
        length = _length(variable.data, _HASH)
        if not flags & _DISABLED and length in _EMPTY:
            yield _text(variable.data, _NAME) or key


def _length(data: bytes, field: int) -> int | None:
    if len(data) < _TABLE:
        return None
    return int(_FIELD.unpack_from(data, field * _FIELD.size)[1])


def _text(data: bytes, field: int) -> str:
    start, length = _FIELD.unpack_from(data, field * _FIELD.size)
    return data[_TABLE + start : _TABLE + start + length].decode("utf-16-le", "replace")
