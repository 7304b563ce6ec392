from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.disk.core_image import block_list, parse
from converter.formats import FormatError
from converter.formats.grub_modules import MODULE, Object
from tests.unit.disk.core_images import KERNEL, core_image
from tests.unit.efi_programs import elf_module


def test_what_is_built_in_is_told() -> None:
    image = parse(core_image("biosdisk", "part_gpt", config="search.fs_uuid 1 root\n"))
    assert image.kernel == KERNEL
    assert image.modules.names == {"biosdisk", "part_gpt"}
    assert image.modules.prefix == "(,gpt2)/boot/grub"
    assert image.modules.config == "search.fs_uuid 1 root\n"
    assert len(image.stub) == 512 + 2848


def test_what_is_built_is_read() -> None:
    image = parse(core_image("biosdisk", "part_gpt"))
    added = Object(MODULE, elf_module("part_msdos", wide=False))
    changed = image.with_objects((added, *image.modules.objects))
    built = changed.build(40)
    assert len(built) % 512 == 0
    assert block_list(built[:512]) == ((41, len(built) // 512 - 1),)
    again = parse(built)
    assert again.modules.names == {"biosdisk", "part_gpt", "part_msdos"}
    assert again.modules.prefix == "(,gpt2)/boot/grub"
    assert again.kernel == KERNEL
    assert again.stub[:500] == image.stub[:500]
    assert again.stub[532:] == image.stub[532:]


def test_an_image_in_pieces() -> None:
    first = bytearray(core_image("biosdisk")[:512])
    struct.pack_into("<QHH", first, 0x1E8, 900, 4, 0x920)
    struct.pack_into("<QHH", first, 0x1DC, 0, 0, 0)
    assert block_list(bytes(first))[1] == (900, 4)


@pytest.mark.parametrize("first", [bytes(512), b"\xff" * 512, b"\x01" * 512])
def test_no_block_list(first: bytes) -> None:
    with pytest.raises(FormatError):
        block_list(first)


@pytest.mark.parametrize("data", [b"", bytes(8192), b"\xff" * 8192, core_image("ext2")[:4000]])
def test_no_core_image(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse(data)


@given(st.binary(min_size=1, max_size=60), st.integers(512, 5000))
def test_damage_is_a_format_error(data: bytes, at: int) -> None:
    whole = core_image("biosdisk", "part_gpt")
    with contextlib.suppress(FormatError):
        parse(whole[:at] + data + whole[at + len(data) :])
