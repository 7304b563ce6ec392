"""Items that could break out of a line of cmd.exe are refused."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.firstboot import items
from converter.firstboot.items import Item, Kind
from converter.formats import FormatError

SPECIAL = "%!^\"<>|\r\n\0\t'`\u00e9"


@given(st.text(alphabet=string.printable + SPECIAL, max_size=12), st.sampled_from(Kind))
def test_what_is_taken_means_nothing_to_cmd(text: str, kind: Kind) -> None:
    for arguments in ((text, kind, "a.exe"), ("a", kind, text), ("a", kind, "a.exe", (text,))):
        try:
            item = Item(*arguments)
        except FormatError:
            continue
        for part in (item.name, item.target, *item.arguments):
            assert part
            assert not set(part) & set(SPECIAL)
        assert "&" not in item.name + "".join(item.arguments)
        assert kind in {Kind.KEY_REMOVAL} or "\\" not in item.target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/a",
        "a//b",
        "../a",
        "a/../b",
        "./a",
        "a/.",
        "a. /b",
        "a./b",
        "C:/a",
        "a\\b",
        "a;b",
        "a,b",
    ],
)
def test_a_payload_is_a_path_below_the_payloads(target: str) -> None:
    with pytest.raises(FormatError):
        Item("driver", Kind.DRIVER, target)


@pytest.mark.parametrize(
    "target", ["awsnvme.inf", "ENA driver (2.6)/ena~1.inf", "_a/b-c.d+e.inf", "R&D/x.inf"]
)
def test_names_that_vendors_give_are_taken(target: str) -> None:
    assert Item("driver", Kind.DRIVER, target).target == target


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (Kind.MSI_REMOVAL, "product"),
        (Kind.MSI_REMOVAL, "{4A1CF9A4-8F5B-4D33-9C22-2B0F53E1D6A7} /x"),
        (Kind.COMMAND, "../a.exe"),
        (Kind.COMMAND, "a.cmd"),
        (Kind.KEY_REMOVAL, "HKCU\\Software"),
        (Kind.KEY_REMOVAL, "HKLM\\"),
        (Kind.KEY_REMOVAL, "HKLM\\SYSTEM\\"),
    ],
)
def test_a_target_is_of_its_kind(kind: Kind, target: str) -> None:
    with pytest.raises(FormatError):
        Item("item", kind, target)


def test_the_items_that_are_known() -> None:
    made = (
        items.dotnet("a.exe"),
        items.ssm_agent("a.exe"),
        items.ec2config("a.exe"),
        items.vmware_tools_removal("{4A1CF9A4-8F5B-4D33-9C22-2B0F53E1D6A7}"),
        *items.activation(),
    )
    assert not any(item.is_required for item in made)
    assert [item.arguments[-1] for item in items.activation()] == ["169.254.169.250:1688", "/ato"]
