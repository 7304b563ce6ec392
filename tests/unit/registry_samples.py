"""Registry hives laid out by hand after the format's description, without the code under test.

Cells are added one after the other to one bin. What they refer to is added before them; `patch`
is for what refers back.
"""

from __future__ import annotations

import struct
from functools import reduce

NONE = 0xFFFFFFFF
INLINE = 0x80000000


def checksum(block: bytes) -> int:
    return reduce(lambda total, word: total ^ word[0], struct.iter_unpack("<I", block[:508]), 0)


def base_block(
    *, length: int, root: int, minor: int = 5, sequences: tuple[int, int] = (7, 7), kind: int = 0
) -> bytes:
    """A base block whose time is 0x1122334455667788."""
    head = struct.pack("<4sII", b"regf", *sequences)
    head += struct.pack("<QIIIIIII", 0x1122334455667788, 1, minor, kind, 1, root, length, 1)
    head = head.ljust(508, b"\0")
    return (head + struct.pack("<I", checksum(head))).ljust(4096, b"\0")


def hbin(offset: int, cells: bytes) -> bytes:
    size = (32 + len(cells) + 4095) // 4096 * 4096
    rest = size - 32 - len(cells)
    free = struct.pack("<i", rest).ljust(rest, b"\0") if rest else b""
    return struct.pack("<4sIIQQI", b"hbin", offset, size, 0, 0x1122334455667788, 0) + cells + free


class Layout:
    def __init__(self, *, minor: int = 5) -> None:
        self.minor = minor
        self.cells = bytearray()

    def add(self, content: bytes) -> int:
        offset = 32 + len(self.cells)
        size = (len(content) + 4 + 7) // 8 * 8
        self.cells += struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
        return offset

    def patch(self, offset: int, at: int, number: int) -> None:
        """Set four bytes of the content of a cell."""
        struct.pack_into("<I", self.cells, offset - 32 + 4 + at, number)

    def hive(self, root: int) -> bytes:
        page = hbin(0, bytes(self.cells))
        return base_block(length=len(page), root=root, minor=self.minor) + page

    # --- records ----------------------------------------------------------------------------------

    def security(self, *, count: int, descriptor: bytes = b"D" * 20) -> int:
        """A record that is its own neighbour."""
        offset = self.add(
            struct.pack("<2sHIIII", b"sk", 0, 0, 0, count, len(descriptor)) + descriptor
        )
        self.patch(offset, 4, offset)
        self.patch(offset, 8, offset)
        return offset

    def key(
        self,
        name: bytes,
        *,
        security: int,
        flags: int = 0x20,
        subkeys: tuple[int, int] = (0, NONE),
        values: tuple[int, int] = (0, NONE),
        class_name: tuple[int, int] = (0, NONE),
        time: int = 5,
    ) -> int:
        """A key; `subkeys`, `values` and `class_name` are a size and an offset."""
        record = struct.pack("<2sHQII", b"nk", flags, time, 0, NONE)
        record += struct.pack("<IIII", subkeys[0], 0, subkeys[1], NONE)
        record += struct.pack("<IIII", *values, security, class_name[1])
        record += struct.pack("<IIIII", 0, 0, 0, 0, 0)
        return self.add(record + struct.pack("<HH", len(name), class_name[0]) + name)

    def value(self, name: bytes, kind: int, size: int, place: int, *, flags: int = 1) -> int:
        record = struct.pack("<2sHIIIHH", b"vk", len(name), size, place, kind, flags, 0)
        return self.add(record + name)

    def offsets(self, *offsets: int) -> int:
        return self.add(struct.pack(f"<{len(offsets)}I", *offsets))

    def plain_list(self, kind: bytes, *offsets: int) -> int:
        """An `li` or `ri` list."""
        return self.add(
            struct.pack("<2sH", kind, len(offsets)) + struct.pack(f"<{len(offsets)}I", *offsets)
        )

    def hint_list(self, kind: bytes, *entries: tuple[int, int]) -> int:
        """An `lf` or `lh` list."""
        packed = b"".join(struct.pack("<II", *entry) for entry in entries)
        return self.add(struct.pack("<2sH", kind, len(entries)) + packed)


BIG = bytes(range(251)) * 140
"""35140 bytes: two whole segments and a bit."""


def sample(*, minor: int = 5) -> bytes:
    """A hive with every kind of record.

    Below the root, through an index of two lists: `Apple` (a list without hints, with `Seed`; a
    class name, and security of its own), `Number` (values of all shapes), `Perf` (predefined), and
    `Жук` (in UTF-16, its hash wrong).
    """
    layout = Layout(minor=minor)
    common, own = layout.security(count=5), layout.security(count=1, descriptor=b"O" * 40)
    for one, other in ((common, own), (own, common)):
        layout.patch(one, 4, other)
        layout.patch(one, 8, other)
    seed = layout.key(b"Seed", security=common)
    apple = layout.key(
        b"Apple",
        security=own,
        subkeys=(1, layout.plain_list(b"li", seed)),
        class_name=(10, layout.add("Klass".encode("utf-16-le"))),
        time=6,
    )
    layout.patch(seed, 16, apple)
    values = _values(layout, is_cut=minor > 3)
    number = layout.key(b"Number", security=common, values=(len(values), layout.offsets(*values)))
    perf = layout.key(b"Perf", security=common, flags=0x60, values=(INLINE | 0x50, NONE))
    beetle = layout.key("Жук".encode("utf-16-le"), security=common, flags=0)
    first = layout.hint_list(b"lf", (apple, int.from_bytes(b"Appl", "little")), (number, 0))
    second = layout.hint_list(b"lh", (perf, _hash("PERF")), (beetle, 1))
    index = layout.plain_list(b"ri", first, second)
    root = layout.key(b"ROOT", security=common, flags=0x2C, subkeys=(4, index), time=9)
    for child in (apple, number, perf, beetle):
        layout.patch(child, 16, root)
    return layout.hive(root)


def _values(layout: Layout, *, is_cut: bool) -> tuple[int, ...]:
    text = layout.add("System32".encode("utf-16-le") + b"\0\0")
    if is_cut:
        pieces = [layout.add(BIG[at : at + 16344]) for at in range(0, len(BIG), 16344)]
        big = layout.add(struct.pack("<2sHI", b"db", 3, layout.offsets(*pieces)))
    else:
        big = layout.add(BIG)
    return (
        layout.value(b"", 1, 18, text, flags=0),
        layout.value(b"Start", 4, INLINE | 4, 3),
        layout.value("Größe→".encode("utf-16-le"), 3, INLINE | 2, 0x4241, flags=0),
        layout.value(b"Big", 3, len(BIG), big),
        layout.value(b"Nothing", 0, 0, NONE),
        layout.value(b"Gr\xf6\xdfe", 0xFFFF0012, INLINE, 0),
    )


def _hash(name: str) -> int:
    result = 0
    for character in name:
        result = (result * 37 + ord(character)) % (1 << 32)
    return result
