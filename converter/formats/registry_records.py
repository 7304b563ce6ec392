"""The records in the cells of a registry hive: keys (nk), values (vk), names and lists of subkeys.

Specification: Maxim Suhanov, "Windows registry file format specification". Bytes in, values out;
every size is checked against its cell. Names are kept in one byte for each character where that is
enough ("compressed"), else in UTF-16LE, and compared after upper-casing each character by itself.

Limits: Windows' own table for upper-casing is not public in a usable form. Python's is used, less
the few characters that it would turn into ASCII or into several; differences remain in scripts that
were added to Unicode later.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError
from converter.formats.registry_cells import NONE, damaged

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_COMPRESSED: Final = 0x20
KEY_PREDEFINED: Final = 0x40
VALUE_COMPRESSED: Final = 1

KEY_LIMIT: Final = 76 + 2 * 256
VALUE_LIMIT: Final = 20 + 2 * 16383
LIST_LIMIT: Final = 4 + 8 * 0xFFFF
"""What records are long at most; names have no more characters than that."""

INLINE: Final = 0x80000000
"""Set in a size of data: the data is where its offset would be."""

_KEY: Final = struct.Struct("<2sHQ15IHH")
_VALUE: Final = struct.Struct("<2sHIIIHH")
_LIST: Final = struct.Struct("<2sH")
_U32: Final = struct.Struct("<I")
_ENTRY: Final = struct.Struct("<II")


def fold(name: str) -> str:
    """Give the form of a name in which names are compared."""
    if name.isascii():
        return name.upper()
    return "".join(map(_upper, name))


def _upper(character: str) -> str:
    upper = character.upper()
    is_one = len(upper) == 1 and (upper > "\x7f") == (character > "\x7f")
    # The micro sign is no letter to Windows, and what is not in the first plane has no case.
    return upper if is_one and "\xb5" != character <= "\uffff" else character


def sort_key(name: str) -> bytes:
    """Give what names are sorted by: their characters of 16 bits, upper-cased."""
    return fold(name).encode("utf-16-be", "surrogatepass")


def units(text: str) -> int:
    """Give how many characters of 16 bits a text has."""
    return len(encode_wide(text)) // 2


def encode_wide(text: str) -> bytes:
    """Give a text in UTF-16LE."""
    return text.encode("utf-16-le", "surrogatepass")


def encode_name(name: str) -> tuple[bytes, bool]:
    """Give the bytes of a name, and whether they are compressed."""
    try:
        return name.encode("latin-1"), True
    except UnicodeEncodeError:
        return encode_wide(name), False


def decode_name(data: bytes, *, compressed: bool) -> str:
    """Give the name that `data` holds."""
    if compressed:
        return data.decode("latin-1")
    if len(data) % 2:
        raise damaged(f"a name has {len(data)} bytes, and is said to be in UTF-16")
    return data.decode("utf-16-le", "surrogatepass")


# --- keys and values ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """A key: its name and the fields of its nk record; `NONE` is where there is nothing."""

    name: str
    flags: int
    timestamp: int
    access: int
    parent: int
    subkey_count: int
    volatile_count: int
    subkey_list: int
    volatile_list: int
    value_count: int
    value_list: int
    security: int
    class_name: int
    largest_subkey: int
    """In the low 16 bits; the others are flags."""
    largest_class: int
    largest_value_name: int
    largest_value: int
    spare: int
    name_size: int
    class_size: int

    @property
    def has_values(self) -> bool:
        """Whether there is a list of values; a predefined key has a handle instead."""
        return bool(self.value_count) and not self.flags & KEY_PREDEFINED

    def header(self) -> bytes:
        """Give the record up to the name."""
        return _KEY.pack(b"nk", *_KEY_FIELDS(self))


_KEY_FIELDS: Final = attrgetter(*Key.__slots__[1:])


@dataclass(frozen=True, slots=True)
class ValueRecord:
    """A value: its name and the fields of its vk record."""

    name: str
    name_size: int
    size: int
    """Of the data; with `INLINE` the data is in the bytes of `place`."""
    place: int
    type: int
    flags: int
    spare: int

    @property
    def stored_size(self) -> int:
        """How much data is in other cells."""
        return 0 if self.size & INLINE else self.size

    def header(self) -> bytes:
        """Give the record up to the name."""
        return _VALUE.pack(b"vk", *_VALUE_FIELDS(self))


def new_key(name: str, name_size: int, **fields: int) -> Key:
    """Give a key that has nothing but a name of `name_size` bytes, and what `fields` say."""
    nothing = dict.fromkeys(Key.__slots__[1:], 0)
    lists = dict.fromkeys(("subkey_list", "volatile_list", "value_list", "class_name"), NONE)
    return Key(name, **{**nothing, **lists, "name_size": name_size, **fields})


_VALUE_FIELDS: Final = attrgetter(*ValueRecord.__slots__[1:])


def _fields(record: struct.Struct, magic: bytes, content: bytes, offset: int) -> tuple[int, ...]:
    if not content.startswith(magic) or len(content) < record.size:
        raise damaged(f"no {magic.decode()} record is at {offset:#x}")
    return record.unpack_from(content)[1:]


def _name(content: bytes, at: int, size: int, *, compressed: bool) -> str:
    if size > len(content) - at:
        raise damaged(f"a name of {size} bytes is longer than its cell")
    return decode_name(content[at : at + size], compressed=compressed)


def read_key(content: bytes, offset: int) -> Key:
    """Read the nk record of the cell at `offset`."""
    fields = _fields(_KEY, b"nk", content, offset)
    compressed = bool(fields[0] & KEY_COMPRESSED)
    return Key(_name(content, _KEY.size, fields[-2], compressed=compressed), *fields)


def read_value(content: bytes, offset: int) -> ValueRecord:
    """Read the vk record of the cell at `offset`."""
    fields = _fields(_VALUE, b"vk", content, offset)
    compressed = bool(fields[4] & VALUE_COMPRESSED)
    return ValueRecord(_name(content, _VALUE.size, fields[0], compressed=compressed), *fields)


# --- lists ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leaf:
    """A list of subkeys: their offsets, and for each a hint at its name if the kind has hints.

    Kinds: `li` has none, the hint of `lf` is the beginning of the name, that of `lh` a hash of it.
    An index (`ri`) is read as a leaf too: of the offsets of leaves.
    """

    kind: bytes
    offsets: tuple[int, ...]
    hints: tuple[int, ...] = ()

    def pack(self) -> bytes:
        """Give the record."""
        if len(self.offsets) > 0xFFFF:
            raise FormatError("registry hive: a key cannot have that many subkeys")
        head = _LIST.pack(self.kind, len(self.offsets))
        if self.kind in WITH_HINTS:
            pairs = zip(self.offsets, self.hints, strict=True)
            return head + b"".join(_ENTRY.pack(*pair) for pair in pairs)
        return head + pack_offsets(self.offsets)


WITH_HINTS: Final = (b"lf", b"lh")
_KINDS: Final = (b"li", b"lf", b"lh", b"ri")


def read_leaf(content: bytes, offset: int) -> Leaf:
    """Read the list of subkeys, or of such lists, in the cell at `offset`."""
    kind, count = _LIST.unpack_from(content)
    if kind not in _KINDS:
        raise damaged(f"no list of subkeys is at {offset:#x}")
    has_hints = kind in WITH_HINTS
    words = read_offsets(content, 2 * count if has_hints else count, at=_LIST.size)
    return Leaf(kind, words[::2], words[1::2]) if has_hints else Leaf(kind, words)


def read_offsets(content: bytes, count: int, *, at: int = 0) -> tuple[int, ...]:
    """Read a plain list of offsets, the one of a key's values or of the segments of big data."""
    if count * 4 > len(content) - at:
        raise damaged(f"a list of {count} entries is longer than its cell")
    return struct.unpack_from(f"<{count}I", content, at)


def pack_offsets(offsets: Sequence[int]) -> bytes:
    """Give the record of a plain list of offsets."""
    return struct.pack(f"<{len(offsets)}I", *offsets)


def name_hash(name: str) -> int:
    """Give the hint of an `lh` leaf: a hash of the upper-cased name."""
    result = 0
    for (unit,) in struct.iter_unpack("<H", encode_wide(fold(name))):
        result = (result * 37 + unit) & 0xFFFFFFFF
    return result


def name_beginning(name: str) -> int:
    """Give the hint of an `lf` leaf: its first four characters if they are ASCII."""
    start = name[:4]
    return int.from_bytes(start.encode() if start.isascii() else b"", "little")


def hint(kind: bytes, name: str) -> int:
    """Give the hint at `name` in a leaf of this kind."""
    return name_hash(name) if kind == b"lh" else name_beginning(name)


# --- big data -------------------------------------------------------------------------------------

SEGMENT: Final = 16344
"""The most data that one cell holds (from version 1.4 on); more is cut into segments."""

_BIG: Final = struct.Struct("<2sHI")
BIG_SIZE: Final = _BIG.size


def read_big(content: bytes, offset: int) -> tuple[int, int]:
    """Read the record of big data: how many segments it has, and where the list of them is."""
    count, place = _fields(_BIG, b"db", content, offset)
    return count, place
