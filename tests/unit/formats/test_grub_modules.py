from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError
from converter.formats.grub_modules import (
    CONFIG,
    MODULE,
    PREFIX,
    Object,
    build32,
    module_dependencies,
    module_name,
    parse32,
)
from tests.unit.efi_programs import elf_module


@pytest.mark.parametrize("wide", [True, False])
def test_a_module_tells_its_name_and_needs(*, wide: bool) -> None:
    elf = elf_module("part_gpt", "disk", "crc", wide=wide)
    assert module_name(elf) == "part_gpt"
    assert module_dependencies(elf) == ("disk", "crc")
    assert module_dependencies(elf_module("fat", wide=wide)) == ()


@given(st.lists(st.tuples(st.integers(0, 6), st.binary(max_size=40)), max_size=8))
def test_what_is_built_is_read(items: list[tuple[int, bytes]]) -> None:
    built = build32(Object(kind, data) for kind, data in items)
    found = parse32(built)
    assert [item.type for item in found.objects] == [kind for kind, _ in items]
    for item, (_, data) in zip(found.objects, items, strict=True):
        assert item.data == data + bytes(-len(data) % 4)
    assert build32(found.objects) == built


def test_texts_end_at_their_nul() -> None:
    made = [
        Object(MODULE, elf_module("fat", wide=False)),
        Object(CONFIG, b"search.fs_uuid 1 root\n\0"),
        Object(PREFIX, b"(,gpt3)/boot/grub\0"),
    ]
    found = parse32(build32(made))
    assert found.names == {"fat"}
    assert found.config == "search.fs_uuid 1 root\n"
    assert found.prefix == "(,gpt3)/boot/grub"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"mimg",
        struct.pack("<4sII", b"gmim", 12, 12),
        struct.pack("<4sII", b"mimg", 12, 1 << 30),
        struct.pack("<4sIIII", b"mimg", 12, 20, 0, 4),
        struct.pack("<4sIIII", b"mimg", 12, 20, 0, 400),
        struct.pack("<4sII", b"mimg", 12, 12 + 8 * 2000) + struct.pack("<II", 0, 8) * 2000,
    ],
)
def test_nonsense_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse32(data)


@given(st.binary(max_size=300))
def test_any_bytes_have_a_name_or_none(data: bytes) -> None:
    module_name(data)
    module_name(b"\x7fELF\x01\x01" + data)
    module_name(b"\x7fELF\x02\x01" + data)
