r"""Values of SYSTEM\MountedDevices, byte by byte."""

from __future__ import annotations

import uuid

import pytest

from converter.formats.mounted_devices import MbrPlace, changed
from converter.formats.registry import Value, ValueType, binary

C = uuid.UUID("01020304-0506-0708-090a-0b0c0d0e0f10")
ESP = uuid.UUID("ffffffff-0506-0708-090a-0b0c0d0e0f10")
PLACES = {C: MbrPlace(0xA1B2C3D4, 0x1234500000)}
IN_GPT = b"DMIO:ID:\x04\x03\x02\x01\x06\x05\x08\x07\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
IN_MBR = b"\xd4\xc3\xb2\xa1\x00\x00\x50\x34\x12\x00\x00\x00"


def test_every_name_of_a_partition_follows_it() -> None:
    values = {
        "\\DosDevices\\C:": binary(IN_GPT),
        "\\??\\Volume{01020304-0000-0000-0000-100000000000}": binary(IN_GPT),
    }
    assert changed(values, places=PLACES) == dict.fromkeys(values, binary(IN_MBR))


@pytest.mark.parametrize(
    "value",
    [
        binary(b"DMIO:ID:" + ESP.bytes_le),
        binary(IN_MBR),
        binary("\\??\\SCSI#CdRom&Ven_Msft".encode("utf-16-le")),
        binary(IN_GPT[:-1]),
        binary(IN_GPT + b"\0"),
        binary(b"DMIO:ID;" + IN_GPT[8:]),
        binary(b""),
        Value(ValueType.SZ, IN_GPT),
    ],
)
def test_what_names_no_partition_that_stays_is_left(value: Value) -> None:
    assert changed({"\\DosDevices\\D:": value}, places=PLACES) == {}
