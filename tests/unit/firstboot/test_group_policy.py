"""gpt.ini and scripts.ini: merged, and taken apart again."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.firstboot import group_policy
from converter.formats import FormatError, windows_ini

OURS = "[{42B5FAAE-6536-11D2-AE5A-0000F87571E3}{40B6664F-4972-11D1-A7CA-0000F87571E3}]"
REGISTRY = "[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}{D02B1F72-3407-48AE-BA88-E8213C6761F1}]"
AUDIT = "[{f3ccc681-b74c-4060-9f26-cd84525dca2a}{0f3f3735-573d-9804-99e4-ab2a69ba5fd4}]"


def gpt(names: str, version: str) -> bytes:
    return (
        f"[General]\r\ngPCMachineExtensionNames={names}\r\nVersion={version}\r\n"
        "gPCUserExtensionNames=[theirs]\r\n"
    ).encode()


def scripts(*startup: str, shutdown: str = "") -> bytes:
    text = "\r\n[Startup]\r\n" + "".join(
        f"{number}CmdLine={line}\r\n{number}Parameters=-x {number}\r\n"
        for number, line in enumerate(startup)
    )
    return codecs.BOM_UTF16_LE + (text + shutdown).encode("utf-16-le")


def values(data: bytes) -> tuple[str | None, str | None]:
    file = windows_ini.parse(data)
    return file.get("General", "gPCMachineExtensionNames"), file.get("General", "Version")


def test_a_machine_without_a_policy() -> None:
    assert (
        group_policy.with_extension(None)
        == (
            f"[General]\r\ngPCFunctionalityVersion=2\r\ngPCMachineExtensionNames={OURS}\r\n"
            "Version=1\r\n"
        ).encode()
    )
    assert group_policy.without_extension(None) == (
        b"[General]\r\ngPCFunctionalityVersion=2\r\nVersion=2\r\n"
    )
    made = group_policy.with_startup_script(None, "ours.cmd")
    assert made == (
        codecs.BOM_UTF16_LE
        + "\r\n[Startup]\r\n0CmdLine=ours.cmd\r\n0Parameters=\r\n".encode("utf-16-le")
    )
    assert group_policy.without_startup_script(None, "ours.cmd") is None


def test_extensions_are_in_order_of_their_names() -> None:
    before = gpt(AUDIT + REGISTRY, "65539")
    assert values(group_policy.with_extension(before)) == (
        REGISTRY + OURS + AUDIT.upper(),
        "65540",
    )
    assert b"gPCUserExtensionNames=[theirs]\r\n" in group_policy.with_extension(before)
    assert group_policy.without_extension(before) == before.replace(b"65539", b"65541")


def test_an_extension_that_is_there_gets_the_tool() -> None:
    other = "{40B66650-4972-11D1-A7CA-0000F87571E3}"
    before = gpt("[{42b5faae-6536-11d2-ae5a-0000f87571e3}" + other + "]", "1")
    assert values(group_policy.with_extension(before)) == (OURS[:-1] + other + "]", "2")
    again = group_policy.with_extension(group_policy.with_extension(before))
    assert values(again)[0] == OURS[:-1] + other + "]"


@pytest.mark.parametrize(
    ("version", "first", "second"),
    [
        ("0", "1", "2"),
        ("65535", "1", "2"),  # the user's part, and a policy without content, are not touched
        ("131071", "65537", "65538"),
        ("65534", "65535", "1"),
        ("4294967295", "4294901761", "4294901762"),
    ],
)
def test_the_computers_version_grows_in_its_sixteen_bits(
    version: str, first: str, second: str
) -> None:
    before = gpt("", version)
    assert values(group_policy.with_extension(before))[1] == first
    assert values(group_policy.without_extension(before))[1] == second


@pytest.mark.parametrize(
    ("names", "version"),
    [
        ("[]", "1"),
        ("{}", "1"),
        (OURS + "x", "1"),
        (OURS, "one"),
        (OURS, "-1"),
        (OURS, "4294967296"),
    ],
)
def test_what_is_not_understood_is_not_edited(names: str, version: str) -> None:
    with pytest.raises(FormatError):
        group_policy.with_extension(gpt(names, version))


@pytest.mark.parametrize(
    ("options", "is_off"), [("", False), ("0", False), ("1", False), ("2", True), ("3", True)]
)
def test_a_policy_whose_computer_part_is_off(options: str, is_off: bool) -> None:  # noqa: FBT001
    data = f"[General]\r\nOptions={options}\r\n".encode()
    assert group_policy.computer_part_is_off(data) is is_off


SHUTDOWN = "[Shutdown]\r\n0CmdLine=ours.cmd\r\n0Parameters=\r\n"


def test_our_script_comes_after_the_others_and_goes() -> None:
    before = scripts("a.cmd", "b.vbs", shutdown=SHUTDOWN)
    after = group_policy.with_startup_script(before, "ours.cmd")
    assert windows_ini.parse(after).items("startup")[4:] == (
        ("2CmdLine", "ours.cmd"),
        ("2Parameters", ""),
    )
    assert windows_ini.parse(after).items("shutdown") == (
        ("0CmdLine", "ours.cmd"),
        ("0Parameters", ""),
    )
    assert group_policy.with_startup_script(after, "OURS.cmd") == after
    assert group_policy.without_startup_script(after, "ours.cmd") == before
    assert group_policy.without_startup_script(before, "ours.cmd") == before


def test_scripts_after_ours_move_up() -> None:
    before = scripts("a.cmd", "ours.cmd", "b.cmd")
    after = group_policy.without_startup_script(before, "ours.cmd")
    assert after is not None
    assert windows_ini.parse(after).items("Startup") == (
        ("0CmdLine", "a.cmd"),
        ("0Parameters", "-x 0"),
        ("1CmdLine", "b.cmd"),
        ("1Parameters", "-x 2"),
    )


@given(st.lists(st.sampled_from(["a.cmd", "b.cmd", "c d.ps1"]), max_size=5))
def test_adding_and_taking_out_changes_nothing(names: list[str]) -> None:
    before = scripts(*names)
    after = group_policy.with_startup_script(before, "ours.cmd")
    assert group_policy.without_startup_script(after, "ours.cmd") == before


@pytest.mark.parametrize(
    "keys", ["1CmdLine=a\r\n", "0Parameters=a\r\n", "0CmdLine=a\r\n2CmdLine=b\r\n"]
)
def test_numbers_with_gaps_are_left_alone(keys: str) -> None:
    with pytest.raises(FormatError):
        group_policy.with_startup_script(f"[Startup]\r\n{keys}".encode(), "ours.cmd")


def test_a_file_of_very_many_scripts_is_left_alone() -> None:
    with pytest.raises(FormatError):
        group_policy.with_startup_script(scripts(*["a"] * 101), "ours.cmd")
