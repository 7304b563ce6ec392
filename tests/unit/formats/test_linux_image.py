from __future__ import annotations

import contextlib
import gzip
import lzma
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, linux_image


def note(owner: bytes, kind: int, data: bytes) -> bytes:
    name = owner + bytes(-len(owner) % 4)
    return struct.pack("<III", len(owner), len(data), kind) + name + data + bytes(-len(data) % 4)


def elf(*notes: bytes) -> bytes:
    """Give an ELF file with two program headers, of which the second one is for notes."""
    content = b"".join(notes)
    header = b"\x7fELF\2\1\1".ljust(32, b"\0") + struct.pack("<Q14xHH4x", 64, 56, 2)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 0, 0, 4096)
    return header.ljust(64, b"\0") + load + struct.pack(
        "<IIQQQQQQ", 4, 4, 176, 0, 0, len(content), len(content), 4
    ) + content  # fmt: skip


KERNEL = elf(note(b"GNU\0", 3, b"12345"), note(b"Xen\0", 18, bytes(8)))


def bzimage(payload: bytes, *, version: int = 0x020F) -> bytes:
    head = bytearray(5 * 512)
    head[0x1F1] = 3
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, version)
    struct.pack_into("<II", head, 0x248, 512, len(payload))
    return bytes(head) + payload + b"trailer"


@pytest.mark.parametrize("packed", [lzma.compress(KERNEL), gzip.compress(KERNEL, mtime=0)])
def test_the_kernel_is_unpacked(packed: bytes) -> None:
    # The kernel's build puts its length after it.
    assert linux_image.kernel(bzimage(packed + struct.pack("<I", len(KERNEL)))) == KERNEL


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (b"", "no bzImage"),
        (bytes(4096), "no bzImage"),
        (bzimage(gzip.compress(KERNEL, mtime=0), version=0x0207), "does not tell"),
        (bzimage(b"\x7fELF"), "magic"),
        (bzimage(gzip.compress(b"text", mtime=0)), "no 64-bit ELF"),
        (bzimage(gzip.compress(KERNEL, mtime=0)[:-9]), "gzip stream"),
    ],
)
def test_what_is_no_kernel(image: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        linux_image.kernel(image)


@pytest.mark.parametrize(
    ("kernel", "wanted"),
    [
        (KERNEL, True),
        (elf(note(b"Xen\0", 18, bytes(4))), True),
        (elf(note(b"Xen\0", 1, bytes(8)), note(b"GNU\0", 18, b"")), False),
        (elf(), False),
    ],
)
def test_a_note_tells_whether_it_starts_by_itself(kernel: bytes, *, wanted: bool) -> None:
    assert linux_image.starts_by_itself(kernel) is wanted


@given(st.data())
def test_damage_is_a_format_error(data: st.DataObject) -> None:
    spoiled = bytearray(KERNEL)
    for at in data.draw(st.lists(st.integers(0, len(KERNEL) - 1), max_size=8)):
        spoiled[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FormatError):
        linux_image.starts_by_itself(bytes(spoiled[: data.draw(st.integers(0, len(KERNEL)))]))
