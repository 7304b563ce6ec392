from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from converter.capabilities import capabilities, has_driver
from converter.data import load
from converter.model import (
    Array,
    Bootloader,
    BootMode,
    ContainerFormat,
    DiskFormat,
    Facts,
    Finding,
    Initramfs,
    Licence,
    Mount,
    Policy,
    Severity,
    Source,
    Volume,
    VolumeGroup,
    Wanted,
)
from converter.policy import (
    choose_boot_mode,
    is_refused,
    judge_as_is,
    judge_guest,
    judge_source,
    tolerated,
    under,
)
from tests.unit.samples import ERROR, FACTS, KERNEL, LINUX, WARNING, linux, source
from tests.unit.windows_samples import facts as windows

BIOS, UEFI = BootMode.LEGACY_BIOS, BootMode.UEFI
BOTH = frozenset({BIOS, UEFI})
TIB = 1 << 40


def qcow2() -> Source:
    return source(form=ContainerFormat.QCOW2, disk_format=DiskFormat.QCOW2, subformat="")


@pytest.mark.parametrize(
    ("given", "code", "aws", "everywhere"),
    [
        (source(), "", False, False),
        (source(subformat="monolithicSparse"), "vmdk-subformat", True, False),
        (qcow2(), "container-not-in-service", True, False),
        (replace(source(), chunked=("a.vmdk",)), "ova-chunked-disk", True, False),
        (source(21), "", False, False),
        (source(22), "too-many-disks", True, False),
        (source(75), "too-many-disks", True, True),
        (source(size=8 * TIB - 512), "", False, False),
        (source(size=8 * TIB), "disk-too-large", True, False),
        (source(size=64 * TIB), "disk-too-large", True, False),
        (source(size=64 * TIB + 512), "disk-too-large", True, True),
    ],
)
def test_containers(given: Source, code: str, *, aws: bool, everywhere: bool) -> None:
    for policy, refused in ((Policy.AWS, aws), (Policy.OPEN, everywhere)):
        found = judge_source(given, policy)
        assert is_refused(found) is refused
        errors = {finding.code for finding in found if finding.severity is Severity.ERROR}
        assert errors == ({code} if refused else set())
        assert all(finding.hint for finding in found if finding.severity is Severity.ERROR)


def test_disks_in_other_containers_are_judged_each() -> None:
    """What the service does not read, it does not read as a second disk, or in an OVA, either."""
    first, second = source(2).disks
    for other in (replace(second, format=DiskFormat.VDI), replace(second, was_compressed=True)):
        given = replace(source(), disks=(first, other))
        errors = [item.code for item in judge_source(given, Policy.AWS)]
        assert errors == ["container-not-in-service"]
        assert not is_refused(judge_source(given, Policy.OPEN))
    assert judge_source(qcow2(), Policy.AWS)[1:] == ()


def test_what_was_found_when_opening_is_kept() -> None:
    assert WARNING in judge_source(replace(source(), findings=(WARNING,)), Policy.OPEN)


@pytest.mark.parametrize(
    ("facts", "mode", "codes"),
    [
        (FACTS, None, []),
        (FACTS, BIOS, []),
        (FACTS, UEFI, ["boot-mode-impossible"]),
        (replace(FACTS, boot_modes=frozenset({UEFI})), BIOS, ["boot-mode-impossible"]),
        (replace(FACTS, boot_modes=frozenset()), None, ["no-bootable-partition"]),
        (replace(FACTS, boot_modes=frozenset()), UEFI, ["no-bootable-partition"]),
        (linux(architecture="i386"), None, ["architecture-unsupported"]),
        (linux(architecture=""), None, ["architecture-unsupported"]),
        (linux(default_kernel=None), None, ["default-kernel-missing"]),
        (linux(default_kernel=None, kernels=()), None, ["default-kernel-missing"]),
        (
            replace(linux(architecture="i386"), boot_modes=frozenset()),
            None,
            ["architecture-unsupported", "no-bootable-partition"],
        ),
    ],
)
def test_guests(facts: Facts, mode: BootMode | None, codes: list[str]) -> None:
    found = judge_guest(facts, Policy.OPEN, boot_mode=mode)
    assert [finding.code for finding in found] == codes
    assert all(finding.message and finding.hint for finding in found)


@pytest.mark.parametrize("kind", ["lilo", "extlinux"])
def test_a_boot_loader_that_is_refused_by_its_name_is_none_that_is_missing(kind: str) -> None:
    loader = Bootloader(kind, f"/etc/{kind}.conf", frozenset(), None)
    facts = replace(linux(bootloader=loader), boot_modes=frozenset())
    assert judge_guest(facts, Policy.OPEN) == ()


def system(distribution: str, version: str, release: str = KERNEL.release, **changed: Any) -> Facts:
    kernel = replace(KERNEL, release=release, **changed)
    return linux(distribution=distribution, version=version, default_kernel=kernel)


# What is said of a system, then how loud under `aws` and under `open`; "" is not at all.
SYSTEMS = [
    (system("debian", "12"), "", "", ""),
    (system("debian", "10", "4.19.0-27-amd64"), "os-end-of-life", "warning", "warning"),
    (system("debian", "13", "6.12.41+deb13-amd64"), "os-untabled", "error", "warning"),
    (system("arch", "", "6.9.7-arch1-1"), "os-untabled", "error", "warning"),
    (system("alpine", "3.20", "6.6.31-0-lts"), "os-unknown", "error", "warning"),
    (system("debian", "12", "6.10.11+bpo-amd64"), "kernel-not-in-service", "error", "info"),
    (system("rhel", "6.0", "2.6.32-71.el6.x86_64"), "kernel-not-in-service", "error", "info"),
    (system("debian", "12", "6.1.55-mine"), "kernel-custom", "warning", "warning"),
    (system("debian", "12", "6.12.1"), "kernel-custom", "warning", "warning"),
    (
        replace(linux(), os=replace(LINUX, point_release="12.5")),
        "os-point-release",
        "info",
        "info",
    ),
    (linux(architecture="i386"), "architecture-unsupported", "error", "error"),
    (linux(architecture="ppc64le"), "architecture-unsupported", "error", "error"),
]


@pytest.mark.parametrize(("facts", "code", "aws", "everywhere"), SYSTEMS)
def test_systems(facts: Facts, code: str, aws: str, everywhere: str) -> None:
    for policy, severity in ((Policy.AWS, aws), (Policy.OPEN, everywhere)):
        findings = judge_guest(facts, policy)
        found = {item.code: item.severity.value for item in findings}
        assert found.get(code, "") == severity
        assert is_refused(findings) is (severity == "error")
        assert all(item.hint for item in findings if item.severity is not Severity.INFO)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (system("debian", "13", "6.12.41+deb13-amd64"), "Unsupported kernel version 6.12.41+deb13"),
        (system("debian", "12", "6.10.11+bpo-amd64"), "Unsupported kernel version 6.10.11+bpo"),
        (system("alpine", "3.20"), "Unknown OS / Missing OS files."),
    ],
)
def test_the_service_s_text_is_given(facts: Facts, text: str) -> None:
    for policy in Policy:
        assert any(item.service_message.startswith(text) for item in judge_guest(facts, policy))


class TestArm:
    def facts(self, *modules: str) -> Facts:
        kernel = replace(KERNEL, release="6.1.0-13-arm64", modules=frozenset(modules))
        return linux(architecture="aarch64", default_kernel=kernel)

    def test_is_refused_as_the_service_does(self) -> None:
        assert is_refused(judge_guest(self.facts("nvme", "ena"), Policy.AWS))

    def test_is_converted_beyond_it_with_the_drivers(self) -> None:
        found = judge_guest(self.facts("nvme", "ena"), Policy.OPEN)
        assert [item.code for item in found] == ["architecture-not-in-service"]

    @pytest.mark.parametrize("modules", [(), ("nvme",), ("ena", "xen_netfront")])
    def test_but_not_without(self, modules: tuple[str, ...]) -> None:
        found = judge_guest(self.facts(*modules), Policy.OPEN)
        assert [item.code for item in found] == ["architecture-unsupported"]


@pytest.mark.parametrize(
    ("possible", "wanted", "chosen"),
    [
        (BOTH, None, BIOS),
        (BOTH, UEFI, UEFI),
        (frozenset({UEFI}), None, UEFI),
        (frozenset({BIOS}), None, BIOS),
    ],
)
def test_boot_modes(
    possible: frozenset[BootMode], wanted: BootMode | None, chosen: BootMode
) -> None:
    assert choose_boot_mode(replace(FACTS, boot_modes=possible), wanted) is chosen


@pytest.mark.parametrize(
    ("root", "boot", "expected"),
    [
        ("/dev/sda1", "", []),
        ("/dev/vg/root", "", []),
        ("/dev/sdb1", "", ["root-on-other-disk"]),
        ("/dev/sdb", "/dev/sda1", ["root-on-other-disk"]),
        ("/dev/sdb2", "/dev/sdb1", ["root-on-other-disk", "root-on-other-disk"]),
        ("/dev/both/root", "/dev/sda1", ["root-on-other-disk"]),
        ("/dev/far/root", "", ["root-on-other-disk"]),
        ("/dev/near/root", "", []),
        ("/dev/md127", "/dev/md127p1", []),
        ("/dev/md126", "", ["root-on-other-disk"]),
        ("/dev/mirrored/root", "", []),
    ],
)
def test_a_root_on_another_disk_is_told(root: str, boot: str, expected: list[str]) -> None:
    second = replace(FACTS.disks[0], device="/dev/sdb")
    mounts = [Mount("/", root, "ext4"), *([Mount("/boot", boot, "ext4")] if boot else [])]
    members = {
        "both": ("/dev/sda2", "/dev/sdb2"),
        "far": ("/dev/sdb",),
        "near": ("/dev/sda2",),
        "mirrored": ("/dev/md127",),
    }
    facts = replace(
        FACTS,
        disks=(*FACTS.disks, second),
        mounts=tuple(mounts),
        groups=tuple(VolumeGroup(name, name, members=held) for name, held in members.items()),
        volumes=tuple(Volume(f"/dev/{name}/root", name, "root", 1) for name in members),
        arrays=(
            Array("/dev/md127", "raid1", "a", "", 2, 2, ("/dev/sdb1", "/dev/sda1")),
            Array("/dev/md126", "raid0", "b", "", 2, 2, ("/dev/sda1", "/dev/sdb1")),
        ),
    )
    findings = judge_guest(facts, Policy.OPEN)
    assert [item.code for item in findings if item.code == "root-on-other-disk"] == expected
    assert not is_refused(findings)


def test_only_errors_refuse() -> None:
    assert not is_refused([WARNING])
    assert is_refused([WARNING, ERROR])


class TestCapabilities:
    def test_are_what_is_there_when_it_is_needed(self) -> None:
        found = capabilities(LINUX)
        assert (found.nvme, found.xen_blk, found.ena, found.xen_net) == (True, True, True, True)
        assert not found.ixgbevf

    @pytest.mark.parametrize("initramfs", [None, Initramfs("/i", (), 1, "x", frozenset({"ext4"}))])
    def test_a_disk_driver_has_to_be_in_the_initramfs(self, initramfs: Initramfs | None) -> None:
        found = capabilities(replace(LINUX, initramfs=initramfs))
        assert (found.nvme, found.xen_blk, found.ena) == (False, True, True)

    def test_none_without_a_kernel(self) -> None:
        facts = replace(LINUX, default_kernel=None)
        assert not any(has_driver(facts, name) for name in load("linux")["drivers"])

    def test_an_older_name_will_do(self) -> None:
        kernel = replace(KERNEL, modules=frozenset({"xennet"}), builtin=frozenset({"xenblk"}))
        found = capabilities(replace(LINUX, default_kernel=kernel))
        assert (found.xen_net, found.xen_blk) == (True, True)


class TestCapabilitiesOfAWindows:
    """A driver of disks counts when it starts with the machine, another when it starts at all."""

    def found(self, boot: tuple[str, ...], others: tuple[str, ...]) -> set[str]:
        drivers = frozenset((*boot, *others))
        changed = windows(boot_drivers=frozenset(boot), drivers=drivers)
        made = capabilities(changed.os)
        return {name for name in load("windows")["drivers"] if getattr(made, name)}

    @pytest.mark.parametrize(
        ("boot", "others", "expected"),
        [
            ((), (), set()),
            (("stornvme",), (), {"nvme"}),
            (("AWSNVMe",), (), {"nvme"}),
            (("xenvbd", "atapi"), (), {"xen_blk"}),
            ((), ("stornvme", "xenvbd"), set()),
            ((), ("ena",), {"ena"}),
            ((), ("vxn", "xenvif"), {"ixgbevf", "xen_net"}),
        ],
    )
    def test_are_its_drivers(
        self, boot: tuple[str, ...], others: tuple[str, ...], expected: set[str]
    ) -> None:
        assert self.found(boot, others) == expected


@pytest.mark.parametrize("code", ["several-grub-configs", "default-entry-missing"])
@pytest.mark.parametrize(
    ("policy", "severity"), [(Policy.AWS, Severity.ERROR), (Policy.OPEN, Severity.INFO)]
)
def test_the_service_refuses_some_of_what_inspection_tells(
    code: str, policy: Policy, severity: Severity
) -> None:
    found = [Finding(Severity.INFO, code, "x"), Finding(Severity.INFO, "other", "x")]
    assert [item.severity for item in under(policy, found)] == [severity, Severity.INFO]


@pytest.mark.parametrize("facts", [FACTS, windows()])
def test_what_is_asked_for_of_a_guest_as_it_is(facts: Facts) -> None:
    for possible in (frozenset({BIOS}), frozenset({UEFI})):
        assert judge_as_is(facts, Wanted(as_is=True), possible) == ()
        for mode in (BIOS, UEFI):
            wanted = Wanted(as_is=True, boot_mode=mode)
            codes = [finding.code for finding in judge_as_is(facts, wanted, possible)]
            assert codes == ([] if mode in possible else ["boot-mode-impossible"])


def test_a_licence_of_aws_for_a_linux_as_it_is() -> None:
    wanted = Wanted(as_is=True, licence=Licence.AWS)
    assert [finding.code for finding in judge_as_is(FACTS, wanted, BOTH)] == ["licence-impossible"]


def test_a_guest_that_is_handed_off_as_it_is_is_not_refused() -> None:
    assert tolerated([ERROR, WARNING]) == (replace(ERROR, severity=Severity.WARNING), WARNING)
