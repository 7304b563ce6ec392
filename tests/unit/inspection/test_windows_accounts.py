from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats.registry import Hive, Value, binary, dword
from converter.formats.registry_new import empty
from converter.inspection.windows_accounts import blank_passwords
from tests.unit.windows_samples import DISABLED, ENABLED, USERS, account, put


def found(**accounts: dict[str, Value]) -> list[str]:
    hive = Hive(empty())
    put(hive, {rf"{USERS}\{key}": values for key, values in accounts.items()})
    return list(blank_passwords(hive))


@pytest.mark.parametrize(
    ("length", "flags", "is_blank"),
    [
        (4, ENABLED, True),
        (0, ENABLED, True),
        (24, ENABLED, True),
        (20, ENABLED, False),
        (56, ENABLED, False),
        (4, DISABLED, False),
        (24, DISABLED, False),
    ],
)
def test_an_account(length: int, flags: int, *, is_blank: bool) -> None:
    made = account("Jane Doe", flags=flags, length=length)
    assert found(F3E9=made) == (["Jane Doe"] if is_blank else [])


def test_no_accounts() -> None:
    assert list(blank_passwords(Hive(empty()))) == []
    assert found() == []


def cut(name: str, length: int) -> dict[str, Value]:
    made = account("Jane", length=4)
    return {**made, name: binary(made[name].data[:length])}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"F": dword(1)},
        {"V": account("x", length=4)["V"]},
        {"F": account("x", length=4)["F"]},
        cut("F", 0x39),
        cut("V", 203),
    ],
)
def test_one_that_is_none(values: dict[str, Value]) -> None:
    assert found(X=values) == []


@pytest.mark.parametrize(("at", "size"), [(0xFFFFFFFF, 8), (0, 0), (0, 0xFFFFFFFF), (4, 3)])
def test_a_name_that_is_not_there(at: int, size: int) -> None:
    made = account("Jane", length=4)
    data = bytearray(made["V"].data)
    struct.pack_into("<II", data, 12, at, size)
    (name,) = found(F3E9={**made, "V": binary(bytes(data))})
    assert name


@given(st.binary(max_size=400), st.binary(max_size=100))
def test_any_bytes_are_read(variable: bytes, fixed: bytes) -> None:
    found(X={"F": binary(fixed), "V": binary(variable)})
