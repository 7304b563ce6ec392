"""The binary module indexes: modules.dep.bin, modules.alias.bin, modules.symbols.bin, and others.

Format: the comment in kmod's libkmod-index.c. After three big-endian 32-bit words (magic, version,
root) there is a trie of keys over 7-bit ASCII. A reference to a node holds its offset in the low
28 bits and tells in the high ones which parts it has: prefix (a string), children (first and last
character, then a reference for each character between), values (a count, then priority and string
of each). Values are in the order of their priorities.

`write` lays nodes out as depmod of kmod 30 does: children, in the order of their characters, before
their parent, and values of one priority in the reverse order in which they were added; so the same
entries give the same bytes. (Newer versions write parents first. Readers follow the references.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, kmod

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MAGIC: Final = 0xB007F457
VERSION: Final = 0x00020001
_MAJOR: Final = VERSION >> 16

_PREFIX: Final = 0x80000000
_VALUES: Final = 0x40000000
_CHILDREN: Final = 0x20000000
_OFFSET: Final = 0x0FFFFFFF
_CHARACTERS: Final = 128

_HEADER: Final = struct.Struct(">III")
_U32: Final = struct.Struct(">I")

# Far more than any kernel has; an index whose nodes refer to each other has no end otherwise.
_NODE_LIMIT: Final = 1 << 20
_TEXT_LIMIT: Final = 64 << 20
_KEY_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Item:
    """A value of a key. Lower priorities come first; depmod numbers modules in their order."""

    key: str
    value: str
    priority: int = 0


# --- reading --------------------------------------------------------------------------------------


class _Cursor:
    """A place in an index from which numbers and strings are read."""

    def __init__(self, data: bytes, offset: int) -> None:
        self.data = data
        self.offset = offset

    def number(self) -> int:
        return int.from_bytes(self.bytes(_U32.size), "big")

    def bytes(self, count: int) -> bytes:
        piece = self.data[self.offset : self.offset + count]
        if len(piece) < count:
            raise FormatError(f"module index: cut off at offset {self.offset}")
        self.offset += count
        return piece

    def string(self) -> str:
        end = self.data.find(b"\0", self.offset)
        if end < 0:
            raise FormatError(f"module index: the string at offset {self.offset} has no end")
        piece = self.bytes(end + 1 - self.offset)[:-1]
        return piece.decode("ascii", "surrogateescape")


def read(data: bytes) -> tuple[Item, ...]:
    """Read all entries of an index, in the order of the trie: by key, then by priority.

    Raises `FormatError` when it is not such an index, is cut off, or never ends.
    """
    if len(data) < _HEADER.size:
        raise FormatError(f"module index: {len(data)} bytes are too few for its header")
    magic, version, root = _HEADER.unpack_from(data)
    if magic != MAGIC or version >> 16 != _MAJOR:
        raise FormatError(f"module index: magic {magic:#x}, version {version:#x} are not known")
    return tuple(_bounded(_walk(data, root)))


def _bounded(items: Iterator[Item]) -> Iterator[Item]:
    """Pass `items` on as long as there is not more text in them than an index could hold."""
    total = 0
    for item in items:
        total += len(item.key) + len(item.value) + 1
        if total > _TEXT_LIMIT:
            raise FormatError(f"module index: more than {_TEXT_LIMIT} characters are in it")
        yield item


def _walk(data: bytes, root: int) -> Iterator[Item]:
    stack = [(root, "")]
    visited: set[int] = set()
    while stack:
        reference, key = stack.pop()
        offset = reference & _OFFSET
        if offset in visited or len(visited) == _NODE_LIMIT or len(key) > _KEY_LIMIT:
            raise FormatError(f"module index: the node at offset {offset} makes it endless")
        visited.add(offset)
        cursor = _Cursor(data, offset)
        if reference & _PREFIX:
            key += cursor.string()
        children = _read_children(cursor, key) if reference & _CHILDREN else []
        if reference & _VALUES:
            yield from _read_values(cursor, key)
        stack += reversed(children)


def _read_children(cursor: _Cursor, key: str) -> list[tuple[int, str]]:
    first, last = cursor.bytes(2)
    if first > last or last >= _CHARACTERS:
        raise FormatError(f"module index: children from {first} to {last} before {cursor.offset}")
    references = [(cursor.number(), key + chr(code)) for code in range(first, last + 1)]
    return [(reference, text) for reference, text in references if reference]


def _read_values(cursor: _Cursor, key: str) -> Iterator[Item]:
    count = cursor.number()
    # Each takes at least five bytes, so a false count ends at the end of the data.
    for _ in range(count):
        priority = cursor.number()
        yield Item(key, cursor.string(), priority)


# --- writing --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Node:
    prefix: str
    values: list[Item] = field(default_factory=list)
    children: dict[int, _Node] = field(default_factory=dict)
    reference: int = 0


def write(items: Iterable[Item]) -> bytes:
    """Give the index of `items` as depmod would write it after adding them in this order.

    Raises `FormatError` for what is not 7-bit ASCII: the format cannot hold it.
    """
    root = _Node("")
    for item in items:
        _check(item)
        _insert(root, item)
    out = bytearray(_HEADER.size)
    _emit_all(root, out)
    if len(out) > _OFFSET:
        raise FormatError(f"module index: {len(out)} bytes are more than it can refer to")
    _HEADER.pack_into(out, 0, MAGIC, VERSION, root.reference)
    return bytes(out)


def _check(item: Item) -> None:
    for text in (item.key, item.value):
        if not text.isascii() or "\0" in text:
            raise FormatError(f"module index: cannot hold {text[:100]!r}")
    if len(item.key) > _KEY_LIMIT or not 0 <= item.priority <= 0xFFFFFFFF:
        raise FormatError(f"module index: cannot hold {item.key[:100]!r} at {item.priority}")


def _insert(node: _Node, item: Item) -> None:
    rest = item.key
    while True:
        common = _common(node.prefix, rest)
        if common < len(node.prefix):
            _split(node, common)
        rest = rest[common:]
        if not rest:
            _add_value(node.values, item)
            return
        code, rest = ord(rest[0]), rest[1:]
        child = node.children.get(code)
        if child is None:
            node.children[code] = _Node(rest, [item])
            return
        node = child


def _common(prefix: str, text: str) -> int:
    """Give how many characters `prefix` and `text` begin with in common."""
    pairs = zip(prefix, text, strict=False)
    longest = min(len(prefix), len(text))
    return next((at for at, (left, right) in enumerate(pairs) if left != right), longest)


def _split(node: _Node, at: int) -> None:
    """Make the end of the node's prefix, from `at`, a child with all that the node had."""
    child = _Node(node.prefix[at + 1 :], node.values, node.children)
    node.children = {ord(node.prefix[at]): child}
    node.prefix, node.values = node.prefix[:at], []


def _add_value(values: list[Item], item: Item) -> None:
    place = next((at for at, v in enumerate(values) if v.priority >= item.priority), len(values))
    values.insert(place, item)


def _emit_all(root: _Node, out: bytearray) -> None:
    """Write all nodes, each after its children; without recursion, as keys decide the depth."""
    stack = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            node.reference = _emit(node, out)
        else:
            stack.append((node, True))
            stack += [(node.children[code], False) for code in sorted(node.children, reverse=True)]


def _emit(node: _Node, out: bytearray) -> int:
    """Write one node, whose children have their references; give the reference to it."""
    reference = len(out)
    if node.prefix:
        reference |= _PREFIX
        out += node.prefix.encode() + b"\0"
    if node.children:
        reference |= _CHILDREN
        first, last = min(node.children), max(node.children)
        out += bytes((first, last))
        for code in range(first, last + 1):
            child = node.children.get(code)
            out += _U32.pack(child.reference if child else 0)
    if node.values:
        reference |= _VALUES
        out += _U32.pack(len(node.values))
        for item in node.values:
            out += _U32.pack(item.priority) + item.value.encode() + b"\0"
    return reference


# --- the indexes of depmod ------------------------------------------------------------------------


def write_dep(dependencies: Mapping[str, Sequence[str]]) -> bytes:
    """Give modules.dep.bin of the same content as modules.dep, in the same order."""
    lines = enumerate(dependencies.items())
    return write(
        Item(kmod.module_name(path), kmod.dep_line(path, needs), place)
        for place, (path, needs) in lines
    )


def read_dep(data: bytes) -> kmod.Dependencies:
    """Give what modules.dep says, from modules.dep.bin."""
    items = sorted(read(data), key=lambda item: item.priority)
    return kmod.parse_dep("\n".join(item.value for item in items))


def write_alias(aliases: Iterable[kmod.Alias], *, order: Iterable[str]) -> bytes:
    """Give modules.alias.bin of the same content as modules.alias.

    `order` is the order of all modules (their names) in modules.dep: the earlier module of two
    with the same alias is loaded first.
    """
    places = {name: place for place, name in enumerate(order)}
    return write(
        Item(pattern, alias.module, places.get(alias.module, len(places)))
        for alias in aliases
        if (pattern := kmod.normalise_alias(alias.pattern)) is not None
    )


def read_alias(data: bytes) -> tuple[kmod.Alias, ...]:
    """Give what modules.alias says, from modules.alias.bin, the first modules' aliases first."""
    items = sorted(read(data), key=lambda item: item.priority)
    return tuple(kmod.Alias(item.key, item.value) for item in items)


def write_builtin(names: Iterable[str]) -> bytes:
    """Give modules.builtin.bin of the names that modules.builtin lists."""
    return write(Item(name, "") for name in names)
