"""Answer files are well-formed, for the guest's architecture, and hold no secret."""

from __future__ import annotations

import pytest
from defusedxml import ElementTree

from converter.firstboot.unattend import unattend
from converter.formats import FormatError

NAMESPACE = "{urn:schemas-microsoft-com:unattend}"


def pages(version: tuple[int, int], *, is_server: bool) -> dict[str, str]:
    root = ElementTree.fromstring(unattend("x86_64", version, is_server=is_server))
    (welcome,) = root.iter(f"{NAMESPACE}OOBE")
    return {page.tag.removeprefix(NAMESPACE): page.text or "" for page in welcome}


@pytest.mark.parametrize(
    ("architecture", "name"), [("x86_64", "amd64"), ("i686", "x86"), ("aarch64", "arm64")]
)
def test_it_is_for_the_guests_architecture(architecture: str, name: str) -> None:
    root = ElementTree.fromstring(unattend(architecture, (10, 0), is_server=True))
    assert root.tag == f"{NAMESPACE}unattend"
    components = list(root.iter(f"{NAMESPACE}component"))
    assert [component.get("name") for component in components] == [
        "Microsoft-Windows-International-Core",
        "Microsoft-Windows-Shell-Setup",
    ]
    assert {component.get("processorArchitecture") for component in components} == {name}
    assert [setting.get("pass") for setting in root] == ["oobeSystem"]


def test_another_architecture_is_refused() -> None:
    with pytest.raises(FormatError):
        unattend("riscv64", (10, 0), is_server=True)


def test_the_language_is_english_and_the_terms_are_accepted() -> None:
    text = unattend("x86_64", (6, 1), is_server=True)
    root = ElementTree.fromstring(text)
    core = next(root.iter(f"{NAMESPACE}component"))
    assert {setting.text for setting in core} == {"en-US"}
    assert pages((6, 1), is_server=True)["HideEULAPage"] == "true"
    assert b"assword" not in text


def test_pages_are_hidden_that_the_version_has() -> None:
    old, server, client = (
        set(pages(version, is_server=is_server))
        for version, is_server in (((6, 1), True), ((6, 2), True), ((10, 0), False))
    )
    assert old == {
        "HideEULAPage", "NetworkLocation", "ProtectYourPC", "SkipMachineOOBE", "SkipUserOOBE",
    }  # fmt: skip
    assert server - client == {"HideLocalAccountScreen"}
    assert "NetworkLocation" not in server
    assert "HideOnlineAccountScreens" in client
