"""What is said of a Windows: each rule, what it keeps quiet about, and how loud it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from converter.model import (
    BootMode,
    Finding,
    Licence,
    Policy,
    ProductType,
    Severity,
    Space,
)
from converter.policy import choose_licence, is_refused, judge_guest, judge_licence
from converter.policy_windows import needs_uefi
from tests.unit.samples import FACTS
from tests.unit.windows_samples import facts

if TYPE_CHECKING:
    from converter.model import Facts

BIOS, UEFI = BootMode.LEGACY_BIOS, BootMode.UEFI
WORKSTATION = ProductType.WORKSTATION


def loudness(found: Facts, code: str, *, boot_mode: BootMode | None = None) -> tuple[str, str]:
    """Give how loud a code is under `aws` and `open`, "" where it is not said; nothing else is."""
    told = []
    for policy in (Policy.AWS, Policy.OPEN):
        findings = judge_guest(found, policy, boot_mode=boot_mode)
        assert {item.code for item in findings} <= {code}
        assert all(item.message and item.hint for item in findings)
        told.append("".join(item.severity.value for item in findings))
    return told[0], told[1]


def ten(**changed: Any) -> Facts:
    values: dict[str, Any] = {"release": "10", "build": 19045, "product_type": WORKSTATION}
    return facts(**{**values, "edition": "Professional", **changed})


@pytest.mark.parametrize("found", [facts(), facts(uefi=False), ten(), ten(release="11")])
def test_nothing_to_be_said(found: Facts) -> None:
    assert loudness(found, "") == ("", "")


ERROR, WARNING = ("error", "error"), ("warning", "warning")
BEYOND = ("error", "warning")
QUIET = ("", "")


@pytest.mark.parametrize(
    ("found", "code", "expected"),
    [
        (facts(architecture="i386"), "architecture-unsupported", ERROR),
        (facts(architecture="aarch64"), "architecture-unsupported", ERROR),
        (facts(architecture=""), "architecture-unsupported", ERROR),
        (facts(build=3790, release="", product=""), "os-unsupported", ERROR),
        (facts(build=0, release=""), "os-unsupported", ERROR),
        (facts(build=7601, release="2008r2"), "os-end-of-life", WARNING),
        (facts(release="23h2"), "os-untabled", BEYOND),
        (facts(edition="ServerSolution"), "os-untabled", BEYOND),
        (facts(edition=""), "os-untabled", BEYOND),
        (facts(edition="ServerStandardEval"), "evaluation-edition", WARNING),
        (facts(edition="ServerDatacenterCor"), "", QUIET),
        (facts(installation_type="Nano Server"), "windows-nano", ERROR),
        (facts(installation_type="Server Core"), "", QUIET),
        (facts(roles=("hyper-v",)), "hyper-v-role", ERROR),
        (facts(roles=("active-directory",)), "", QUIET),
        (facts(language="0407"), "windows-language", ERROR),
        (facts(language="0809"), "", QUIET),
        (facts(language=""), "windows-language", ERROR),
        (facts(language="xyz"), "windows-language", ERROR),
        (facts(languages=("de-DE", "en-US")), "windows-language", ERROR),
        (facts(languages=("EN-gb", "en-US")), "", QUIET),
        (facts(languages=()), "", QUIET),
        (ten(language="0809"), "windows-language", ("error", "")),
        (facts(remote_desktop="it is off"), "remote-desktop", WARNING),
        (facts(antivirus=("ESET",)), "antivirus", WARNING),
        (facts(is_installation_restricted=True), "device-installation-restricted", WARNING),
        (facts(physical=("PlateSpin",)), "physical-machine", BEYOND),
        (facts(blank_passwords=("Guest",)), "blank-password", BEYOND),
        (facts(is_restart_pending=True), "restart-pending", WARNING),
        (facts(page_files=(r"?:\pagefile.sys",)), "page-file", WARNING),
        (facts(page_files=(r"D:\pagefile.sys 0 0",)), "page-file", WARNING),
        (facts(page_files=(r"c:\pagefile.sys", r" e:\x 1 1")), "page-file", WARNING),
        (facts(page_files=(r"C:\pagefile.sys 0 0", "")), "page-file", WARNING),
        (facts(page_files=(r"C:\pagefile.sys 1024 4096", "")), "", QUIET),
        (facts(page_files=()), "", QUIET),
        (facts(product_type=ProductType.DOMAIN_CONTROLLER), "domain-controller", WARNING),
    ],
)
def test_systems(found: Facts, code: str, expected: tuple[str, str]) -> None:
    assert loudness(found, code) == expected


def with_space(free: int) -> Facts:
    found = facts()
    mounts = tuple(replace(mount, space=Space(60 << 30, free)) for mount in found.mounts)
    return replace(found, mounts=mounts)


@pytest.mark.parametrize(
    ("free", "expected"), [((6 << 30) - 1, ERROR), (6 << 30, QUIET), (40 << 30, QUIET)]
)
def test_room(free: int, expected: tuple[str, str]) -> None:
    assert loudness(with_space(free), "space-too-little") == expected


def test_room_that_is_unknown() -> None:
    found = facts()
    mounts = tuple(replace(mount, space=None) for mount in found.mounts)
    assert loudness(replace(found, mounts=mounts), "") == QUIET


def starting(*modes: BootMode, uefi: bool = True, **changed: Any) -> Facts:
    return replace(facts(uefi=uefi, **changed), boot_modes=frozenset(modes))


def eleven(*modes: BootMode, uefi: bool = True) -> Facts:
    return replace(
        starting(*modes, uefi=uefi),
        os=replace(ten(release="11").windows, build=22631),
    )


@pytest.mark.parametrize(
    ("found", "wanted", "code"),
    [
        (starting(), None, "no-bootable-partition"),
        (starting(), UEFI, "no-bootable-partition"),
        (starting(), BIOS, "no-bootable-partition"),
        (starting(UEFI), None, ""),
        (starting(UEFI), UEFI, ""),
        # Its GPT becomes an MBR; `windows_table` says whether that is possible.
        (starting(UEFI), BIOS, ""),
        # An MBR with an EFI system partition: nothing makes a BIOS start it.
        (starting(UEFI, uefi=False), BIOS, "boot-mode-impossible"),
        (starting(BIOS, uefi=False), None, ""),
        (starting(BIOS, uefi=False), BIOS, ""),
        (starting(BIOS, uefi=False), UEFI, "boot-mode-impossible"),
        (starting(BIOS, UEFI, uefi=False), UEFI, ""),
        (starting(BIOS, UEFI, uefi=False), BIOS, ""),
        (eleven(UEFI), None, ""),
        (eleven(UEFI), UEFI, ""),
        (eleven(UEFI), BIOS, "boot-mode-impossible"),
        (eleven(BIOS, uefi=False), None, "boot-mode-impossible"),
        (eleven(), None, "no-bootable-partition"),
    ],
)
def test_firmware(found: Facts, wanted: BootMode | None, code: str) -> None:
    expected = ERROR if code else QUIET
    assert loudness(found, code, boot_mode=wanted) == expected


def test_the_service_s_text_is_given() -> None:
    (finding,) = judge_guest(starting(), Policy.OPEN)
    assert finding.service_message == "Client.Unsupported: No bootable partition found"


@pytest.mark.parametrize(
    ("device", "code"),
    [("/dev/sda3", ""), ("/dev/sdb1", "root-on-other-disk"), ("/dev/sdaa1", "root-on-other-disk")],
)
def test_a_windows_on_another_disk_is_told(device: str, code: str) -> None:
    found = facts()
    others = tuple(replace(found.disks[0], device=f"/dev/sd{x}") for x in ("b", "aa"))
    mounts = tuple(replace(mount, device=device) for mount in found.mounts)
    changed = replace(found, mounts=mounts, disks=(*found.disks, *others))
    assert loudness(changed, code) == (WARNING if code else QUIET)


class TestLicence:
    @pytest.mark.parametrize(
        ("found", "wanted", "expected"),
        [
            (facts(), None, Licence.AWS),
            (facts(product_type=ProductType.DOMAIN_CONTROLLER), None, Licence.AWS),
            (facts(), Licence.BYOL, Licence.BYOL),
            (ten(), None, Licence.BYOL),
            (FACTS, None, Licence.BYOL),
            (FACTS, Licence.BYOL, Licence.BYOL),
        ],
    )
    def test_default(self, found: Facts, wanted: Licence | None, expected: Licence) -> None:
        assert choose_licence(found, wanted) is expected
        told = [item.code for item in judge_licence(found, wanted)]
        assert told == (["licence-from-aws"] if expected is Licence.AWS else [])

    @pytest.mark.parametrize(("found", "name"), [(ten(product="X"), "X"), (FACTS, "Linux")])
    def test_aws_has_those_of_servers_only(self, found: Facts, name: str) -> None:
        (finding,) = judge_licence(found, Licence.AWS)
        assert (finding.severity, finding.code) == (Severity.ERROR, "licence-impossible")
        assert name in finding.message
        assert finding.hint

    def test_of_a_server(self) -> None:
        (finding,) = judge_licence(facts(), Licence.AWS)
        assert (finding.severity, finding.code) == (Severity.INFO, "licence-from-aws")


def test_only_the_newest_client_needs_uefi() -> None:
    assert needs_uefi(eleven(UEFI).windows)
    assert not needs_uefi(facts().windows)
    assert not needs_uefi(facts(release="").windows)


def test_many_things_are_told_at_once() -> None:
    found = judge_guest(facts(architecture="i386", roles=("hyper-v",)), Policy.OPEN)
    assert is_refused(found)
    assert [item.code for item in found] == ["architecture-unsupported", "hyper-v-role"]
    assert all(isinstance(item, Finding) for item in found)
