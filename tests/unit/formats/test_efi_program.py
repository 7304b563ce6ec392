from __future__ import annotations

import contextlib
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError
from converter.formats.efi_program import Kind, machine, parse
from tests.unit import efi_programs


def test_a_shim_names_what_it_starts() -> None:
    program = parse(efi_programs.shim())
    assert (program.machine, program.kind) == ("x86_64", Kind.SHIM)
    assert program.second_stage == "grubx64.efi"
    assert program.fallback == "fbx64.efi"
    assert program.key_manager == "mmx64.efi"


def test_the_shim_of_suse_has_other_names() -> None:
    program = parse(efi_programs.shim("grub.efi", "MokManager.efi", "fallback.efi"))
    assert program.kind is Kind.SHIM
    assert (program.second_stage, program.fallback) == ("grub.efi", "fallback.efi")
    assert program.key_manager == "MokManager.efi"


def test_a_grub_tells_prefix_configuration_and_modules() -> None:
    program = parse(efi_programs.grub("/EFI/fedora", config="search x\n", modules=("fat", "xfs")))
    assert program.kind is Kind.GRUB
    assert program.modules.prefix == "/EFI/fedora"
    assert program.modules.config == "search x\n"
    assert program.modules.names == {"fat", "xfs"}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (efi_programs.systemd_boot(), Kind.SYSTEMD_BOOT),
        (efi_programs.unified_kernel(), Kind.UKI),
        (efi_programs.pe((b".text", b"\x90")), Kind.OTHER),
        # The key manager's own names are not enough to be a shim.
        (efi_programs.pe((b".data", efi_programs.ucs2("\\mmx64.efi"))), Kind.OTHER),
    ],
)
def test_others_are_told_apart(data: bytes, kind: Kind) -> None:
    assert parse(data).kind is kind


def test_sections_that_are_all_the_whole_file_are_not_held() -> None:
    data = bytearray(efi_programs.pe(*((b"s%d" % number, b"") for number in range(96))))
    data += bytes(1 << 20)
    for section in range(96):
        struct.pack_into("<I4xI", data, 0x40 + 24 + 240 + 40 * section + 16, len(data) - 1, 1)
    whole = bytes(data)
    tracemalloc.start()
    try:
        assert parse(whole).kind is Kind.OTHER
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_the_machine_is_told() -> None:
    assert parse(efi_programs.shim(machine=0xAA64)).machine == "aarch64"
    assert parse(efi_programs.shim(machine=0x5064)).machine == "0x5064"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ",
        bytes(4096),
        b"\x7fELF" + bytes(4096),
        efi_programs.grub()[:-1],
        efi_programs.pe((b".text", b"\x90"), subsystem=3),
        efi_programs.pe(),
        efi_programs.pe((b"mods", b"gmim" + bytes(40))),
    ],
)
def test_what_firmware_would_not_start(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse(data)


@given(st.binary(max_size=600), st.integers(0, 700))
def test_damage_is_a_format_error(data: bytes, at: int) -> None:
    whole = efi_programs.grub()
    for damaged in (data, whole[:at] + data + whole[at + len(data) :]):
        with contextlib.suppress(FormatError):
            parse(damaged)


@pytest.mark.parametrize(
    ("number", "name"),
    [(0x8664, "x86_64"), (0xAA64, "aarch64"), (0x14C, "i386"), (0x200, "0x200")],
)
def test_the_machine_of_any_program_by_its_header(number: int, name: str) -> None:
    """That of a Windows program is told as well, whatever it runs under."""
    data = efi_programs.pe((b".text", b"\x90" * 4096), machine=number, subsystem=3)
    assert machine(data) == machine(data[:4096]) == machine(data[:70]) == name


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MZ",
        b"MZ".ljust(64, b"\0"),
        b"MZ".ljust(60, b"\0") + b"\xff" * 4,
        b"ZM" + efi_programs.pe()[2:],
        b"\x7fELF".ljust(200, b"\0"),
        efi_programs.pe()[:68],
        efi_programs.pe()[:69],
    ],
)
def test_what_is_no_program_has_no_machine(data: bytes) -> None:
    with pytest.raises(FormatError):
        machine(data)


@given(st.binary(max_size=200))
def test_any_header_is_read(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        assert machine(b"MZ" + data)
