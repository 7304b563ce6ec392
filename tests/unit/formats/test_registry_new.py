"""The empty hive."""

from __future__ import annotations

import struct

import pytest

from converter.formats import registry_new
from converter.formats.registry import Hive
from tests.unit.registry_samples import checksum


@pytest.mark.parametrize("minor", [3, 4, 5, 6])
def test_an_empty_hive(minor: int) -> None:
    data = registry_new.empty(minor=minor)
    hive = Hive(data)
    hive.check()
    assert hive.exists("")
    assert hive.subkeys("") == ()
    assert hive.values("") == {}
    assert data == registry_new.empty(minor=minor)
    assert struct.unpack_from("<I", data, 24) == (minor,)
    assert struct.unpack_from("<I", data, 508) == (checksum(data),)
    assert len(data) == 8192


def test_its_security() -> None:
    data = registry_new.empty(name="SYSTEM")
    at = data.index(b"sk\0\0")
    size = struct.unpack_from("<I", data, at + 16)[0]
    descriptor = data[at + 20 : at + 20 + size]
    revision, _, control, owner, group, sacl, dacl = struct.unpack_from("<BBHIIII", descriptor)
    # Of revision 1, relative to itself, with a list of permissions and none of audits.
    assert (revision, control, sacl) == (1, 0x8004, 0)
    administrators = bytes.fromhex("01 02 000000000005 20000000 20020000")
    system = bytes.fromhex("01 01 000000000005 12000000")
    everyone = bytes.fromhex("01 01 000000000001 00000000")
    assert descriptor[owner:group] == administrators
    assert descriptor[group:] == system
    acl = descriptor[dacl:owner]
    assert struct.unpack_from("<BBHHH", acl) == (2, 0, len(acl), 3, 0)
    assert acl[8:].endswith(everyone)
    assert all(sid in acl for sid in (administrators, system))
