"""A BIOS starts the boot sector of a converted disk, which is told the truth.

In place of Windows' boot code there is a small program of ours that says on the serial line what
it was given; the messages of the MBR's own code come there too.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.disk.windows_conversion import prepare_windows
from converter.disk.windows_mbr import CODE
from converter.disk.writing import mbr
from converter.model import Partition
from tests.unit.disk.cuts import table
from tests.unit.disk.ntfs_samples import ESP, MSR, RECOVERY, part, put, windows_disk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.boot

LAYOUT = (
    part(1, 2048, 2048, ESP),
    part(2, 4096, 1024, MSR),
    part(3, 6145, 4096),
    part(4, 12288, 2048, RECOVERY),
)
IDE = ("pc", "-drive", "file={},format=raw,if=ide")
NVME = ("q35", "-drive", "file={},format=raw,if=none,id=d", "-device", "nvme,drive=d,serial=1")
# Without the extensions of INT 13h.
FLOPPY = ("pc", "-drive", "file={},format=raw,if=floppy", "-boot", "a")

# Where the code of an NTFS boot sector starts.
CODE_AT = 0x54
PROGRAM = """
        bits    16
        org     0x7c00
        jmp     short code
        nop
        times   0x54 - ($ - $$) db 0
code:   mov     bp, dx
        mov     edi, [si + 8]           ; DS:SI: the entry that was started
        mov     bl, [si]
        mov     si, hidden
        mov     eax, [cs:0x7c1c]
        mov     cx, 8
        call    say
        mov     si, drive
        mov     eax, ebp
        shl     eax, 24
        mov     cx, 2
        call    say
        mov     si, flag
        movzx   eax, bl
        shl     eax, 24
        mov     cx, 2
        call    say
        mov     si, entry
        mov     eax, edi
        mov     cx, 8
        call    say
        mov     si, end
        call    text
halt:   hlt
        jmp     halt

say:    push    eax                     ; the text at SI, and CX digits of EAX from the left
        call    text
        pop     eax
.digit: rol     eax, 4
        push    ax
        and     al, 15
        cmp     al, 10
        sbb     al, 0x69                ; a digit in ASCII
        das
        call    put
        pop     ax
        loop    .digit
        ret

text:   lodsb
        test    al, al
        jz      .end
        call    put
        jmp     text
.end:   ret

put:    push    ax
        mov     dx, 0x3fd
.wait:  in      al, dx
        test    al, 0x20
        jz      .wait
        pop     ax
        mov     dx, 0x3f8
        out     dx, al
        ret

hidden: db      "VBR hidden=", 0
drive:  db      " drive=", 0
flag:   db      " flag=", 0
entry:  db      " entry=", 0
end:    db      ".", 13, 10, 0
        times   510 - ($ - $$) db 0
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    source = tmp_path_factory.mktemp("vbr") / "vbr.asm"
    source.write_text(PROGRAM)
    made = source.with_suffix(".bin")
    process.run(["nasm", "-f", "bin", "-o", str(made), str(source)])
    return made.read_bytes()


def install(data: bytearray, partition: Partition, program: bytes) -> None:
    """Put the program into the boot sector of a volume, whose parameters stay."""
    put(data, partition.start, program[:3])
    put(data, partition.start + CODE_AT, program[CODE_AT:])


def converted(program: bytes) -> bytearray:
    data = windows_disk(LAYOUT, sectors=16384)
    install(data, LAYOUT[2], program)
    conversion = prepare_windows(
        lambda at, length: bytes(data[at : at + length]), table(data), system=LAYOUT[2]
    )
    assert conversion is not None
    for offset, piece in conversion.pieces:
        put(data, offset, piece)
    return data


def said(image: Path, bus: tuple[str, ...], *, until: str, within: float = 60) -> str:
    """Start a raw image by SeaBIOS, and give what came on the serial line up to `until`."""
    log = image.with_suffix(".serial")
    machine, *disk = bus
    argv = [
        "qemu-system-x86_64", "-nodefaults", "-machine", f"{machine},graphics=off",
        "-accel", "tcg", "-m", "64", "-display", "none", "-vga", "std", "-no-reboot",
        "-serial", f"file:{log}", "-snapshot", *(word.format(image) for word in disk),
    ]  # fmt: skip
    deadline = time.monotonic() + within
    text = ""
    with process.start(argv) as running:
        try:
            while time.monotonic() < deadline and running.poll() is None:
                text = log.read_text(errors="replace") if log.is_file() else ""
                if re.search(until, text):
                    break
                time.sleep(0.05)
        finally:
            running.kill()
    return text


@pytest.mark.parametrize("bus", [IDE, NVME], ids=["ide", "nvme"])
def test_a_converted_disk_starts(tmp_path: Path, program: bytes, bus: tuple[str, ...]) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(converted(program))
    text = said(image, bus, until=r"VBR .*\.")
    assert "VBR hidden=00001801 drive=80 flag=80 entry=00001801." in text


def test_a_drive_without_extensions(tmp_path: Path, program: bytes) -> None:
    """Cylinder 5, head 1, sector 11 of a floppy disk: 5 x 36 + 18 + 10 = 208."""
    data = bytearray(2880 * 512)
    partition = Partition(2, 208 * 512, 64 * 512, "07", active=True)
    put(data, 0, mbr([partition], signature=1, boot_code=CODE))
    put(data, partition.start, b"\xeb\x52\x90NTFS    ".ljust(510, b"\0") + b"\x55\xaa")
    install(data, partition, program)
    image = tmp_path / "disk.raw"
    image.write_bytes(data)
    text = said(image, FLOPPY, until=r"VBR .*\.")
    assert "VBR hidden=00000000 drive=00 flag=80 entry=000000D0." in text


FIRST = Partition(1, 2048 * 512, 64 * 512, "07", active=True)
SECOND = Partition(2, 4096 * 512, 64 * 512, "07")


@pytest.mark.parametrize(
    ("partitions", "message"),
    [
        ((replace(FIRST, active=False), SECOND), "No single active partition"),
        ((FIRST, replace(SECOND, active=True)), "No single active partition"),
        ((replace(FIRST, start=0),), "No single active partition"),
        ((replace(FIRST, start=1 << 30),), "The active partition cannot be read"),
        ((FIRST,), "The active partition has no boot code"),
    ],
    ids=["none", "two", "itself", "beyond", "empty"],
)
def test_what_cannot_start_says_why(
    tmp_path: Path, partitions: tuple[Partition, ...], message: str
) -> None:
    data = bytearray(8192 * 512)
    put(data, 0, mbr(partitions, signature=1, boot_code=CODE))
    image = tmp_path / "disk.raw"
    image.write_bytes(data)
    assert message in said(image, IDE, until=message)
