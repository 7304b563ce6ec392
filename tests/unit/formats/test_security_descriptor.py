"""[MS-DTYP] 2.4: descriptors that Windows would read, and hostile ones."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, security_descriptor
from converter.formats.security_descriptor import (
    Ace,
    AceFlags,
    AceType,
    SecurityDescriptor,
)

sids = st.builds(
    lambda authority, parts: "-".join(map(str, ("S", 1, authority, *parts))),
    st.integers(0, (1 << 48) - 1),
    st.lists(st.integers(0, (1 << 32) - 1), min_size=1, max_size=15),
)
aces = st.builds(
    Ace,
    sids,
    st.integers(0, (1 << 32) - 1),
    st.integers(0, 31).map(AceFlags),
    st.sampled_from(AceType),
)
descriptors = st.builds(
    SecurityDescriptor,
    sids,
    sids,
    st.lists(aces, max_size=8).map(tuple),
    is_protected=st.booleans(),
)


@given(descriptors)
def test_what_is_written_is_read(descriptor: SecurityDescriptor) -> None:
    assert security_descriptor.parse(bytes(descriptor)) == descriptor


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        security_descriptor.parse(data)


@given(descriptors, st.data())
def test_a_damaged_one_is_read_or_refused(
    descriptor: SecurityDescriptor, data: st.DataObject
) -> None:
    whole = bytearray(bytes(descriptor))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    del whole[data.draw(st.integers(0, len(whole))) :]
    with contextlib.suppress(FormatError):
        security_descriptor.parse(bytes(whole))


def test_the_bytes_of_a_known_descriptor() -> None:
    # O:BAG:BAD:P(A;;FA;;;SY), put together by hand.
    expected = bytes.fromhex(
        "01000490 30000000 40000000 00000000 14000000"
        "02001c00 01000000 00001400 ff011f00 01010000 00000005 12000000"
        "01020000 00000005 20000000 20020000"
        "01020000 00000005 20000000 20020000"
    )
    administrators = "S-1-5-32-544"
    made = SecurityDescriptor(
        administrators, administrators, (Ace("S-1-5-18", 0x1F01FF),), is_protected=True
    )
    assert bytes(made) == expected


@pytest.mark.parametrize(
    ("data", "flags"),
    [
        (security_descriptor.SYSTEM_FILE, AceFlags.NONE),
        (
            security_descriptor.SYSTEM_DIRECTORY,
            AceFlags.OBJECT_INHERIT | AceFlags.CONTAINER_INHERIT,
        ),
    ],
    ids=["file", "directory"],
)
def test_only_system_and_administrators_change_what_system_runs(
    data: bytes, flags: AceFlags
) -> None:
    found = security_descriptor.parse(data)
    assert found.owner == "S-1-5-32-544"
    assert found.is_protected
    assert [(ace.sid, ace.mask, ace.flags, ace.type) for ace in found.aces] == [
        ("S-1-5-18", 0x1F01FF, flags, AceType.ALLOW),
        ("S-1-5-32-544", 0x1F01FF, flags, AceType.ALLOW),
        ("S-1-5-32-545", 0x1200A9, flags, AceType.ALLOW),
    ]


@pytest.mark.parametrize(
    "sid", ["", "S-1-5", "S-2-5-18", "S-1-5-4294967296", "S-1-5-18-", "S-1-x-1"]
)
def test_what_is_no_account_is_refused(sid: str) -> None:
    with pytest.raises(FormatError):
        bytes(Ace(sid, 0))
