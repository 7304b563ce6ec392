"""What is refused, and why: small rules over facts, each giving findings; all of them are asked.

`aws` refuses what VM Import/Export refuses, with its text; `open` refuses only what cannot be
converted correctly (SPEC, "Two policies").
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from converter import policy_storage, support
from converter.data import load
from converter.inspection.health import no_bootable_partition
from converter.inspection.roots import UNKNOWN_MESSAGE
from converter.model import (
    BootMode,
    ContainerFormat,
    DiskFormat,
    Finding,
    Licence,
    Policy,
    ProductType,
    Severity,
    WindowsFacts,
)
from converter.policy_windows import judge_windows_guest
from converter.source import machine, vmdk
from converter.source.probe import FORMAT_UNSUPPORTED
from converter.support import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from converter.model import Facts, Source, Wanted

# Beyond the service, with the drivers named: all instances of that architecture are Nitro.
_NEEDED: Final = {"aarch64": ("nvme", "ena")}
# FMT-8, ImportImage: disks in a machine, and bytes that each must stay below. Under `open`: as many
# as have a name in EC2, and the largest size of an EBS volume.
_MOST_DISKS: Final = {Policy.AWS: 21, Policy.OPEN: 74}
_LIMIT: Final = {Policy.AWS: 8 << 40, Policy.OPEN: (64 << 40) + 1}
# What only we read: containers, and disks in others.
_BEYOND: Final = frozenset(
    {
        ContainerFormat.OVF,
        ContainerFormat.QCOW2,
        ContainerFormat.VDI,
        ContainerFormat.COMPRESSED_RAW,
        DiskFormat.QCOW2,
        DiskFormat.VDI,
    }
)
# What inspection tells, and the service refuses with the text that goes with it.
REFUSED_BY_SERVICE: Final = frozenset({"several-grub-configs", "default-entry-missing"})


def judge_source(
    source: Source, policy: Policy, *, disks: int | None = None
) -> tuple[Finding, ...]:
    """Give what is to be said of the container, before anything in it is read.

    `disks` is how many the machine has, where some could not be opened.
    """
    found = [*source.findings]
    for rule in _SOURCE_RULES:
        found += rule(source, policy)
    found += _too_many(len(source.disks) if disks is None else disks, policy)
    return tuple(found)


def judge_guest(
    facts: Facts, policy: Policy, *, boot_mode: BootMode | None = None
) -> tuple[Finding, ...]:
    """Give what is to be said of the guest, before anything is changed."""
    if isinstance(facts.os, WindowsFacts):
        return judge_windows_guest(facts, policy, boot_mode=boot_mode)
    found = [finding for rule in _SYSTEM_RULES for finding in rule(facts, policy)]
    found += [finding for rule in _BOOT_RULES for finding in rule(facts, boot_mode)]
    return tuple(found)


def choose_licence(facts: Facts, wanted: Licence | None) -> Licence:
    """Give whose licence the guest has (WIN-7): what is wanted, else AWS's for a Windows Server."""
    return wanted or (Licence.AWS if _is_windows_server(facts) else Licence.BYOL)


def judge_licence(facts: Facts, wanted: Licence | None) -> tuple[Finding, ...]:
    """WIN-7: AWS has licences for Windows Server only, and RegisterImage cannot ask for one."""
    if choose_licence(facts, wanted) is Licence.BYOL:
        return ()
    if _is_windows_server(facts):
        return (
            Finding(
                Severity.INFO,
                "licence-from-aws",
                "it is to use a licence of AWS, which only an import gives it: an image that is"
                " registered from a snapshot counts as your own licence (BYOL)",
                "aws ec2 import-image --license-type AWS, of the snapshot; or give --license-type"
                " BYOL here, and nothing is set up for AWS's activation service",
            ),
        )
    what = facts.os.product if isinstance(facts.os, WindowsFacts) else "Linux"
    return (
        Finding(
            Severity.ERROR,
            "licence-impossible",
            f"AWS gives licences for Windows Server only; this is {what}",
            "give --license-type BYOL, or leave it out",
        ),
    )


def _is_windows_server(facts: Facts) -> bool:
    found = facts.os
    return isinstance(found, WindowsFacts) and found.product_type is not ProductType.WORKSTATION


def under(policy: Policy, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Give what inspection and planning found as `policy` sees it: the service refuses some."""
    return tuple(
        replace(finding, severity=Severity.ERROR)
        if policy is Policy.AWS and finding.code in REFUSED_BY_SERVICE
        else finding
        for finding in findings
    )


def tolerated(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Give findings for a guest that is handed off as it is: it is told what speaks against it."""
    return tuple(
        replace(finding, severity=Severity.WARNING)
        if finding.severity is Severity.ERROR
        else finding
        for finding in findings
    )


def judge_as_is(
    facts: Facts, wanted: Wanted, starts_by: Collection[BootMode]
) -> tuple[Finding, ...]:
    """Give what a guest cannot be handed off as without a change, and is asked to be."""
    found = [
        finding
        for finding in judge_licence(facts, wanted.licence)
        if finding.severity is Severity.ERROR
    ]
    mode, possible = wanted.boot_mode, ", ".join(sorted(starts_by))
    if mode is not None and mode not in starts_by:
        found.append(
            Finding(
                Severity.ERROR,
                "boot-mode-impossible",
                f"the guest does not start by {mode.value} as it is",
                f"leave --boot-mode out{f': it starts by {possible}' if possible else ''}; or leave"
                " --no-changes out: a conversion may make it possible",
            )
        )
    return tuple(found)


def is_refused(findings: Iterable[Finding]) -> bool:
    """Tell whether any finding is an error."""
    return any(finding.severity is Severity.ERROR for finding in findings)


def choose_boot_mode(facts: Facts, wanted: BootMode | None) -> BootMode:
    """Give the mode the image is made for; `judge_guest` has said whether that is possible."""
    if wanted is not None:
        return wanted
    return BootMode.UEFI if facts.boot_modes == {BootMode.UEFI} else BootMode.LEGACY_BIOS


def _vmdk_subformat(source: Source, policy: Policy) -> Iterator[Finding]:
    """FMT-2: the service reads stream-optimized VMDKs only."""
    for disk in source.disks:
        if disk.format is not DiskFormat.VMDK or disk.subformat == "streamOptimized":
            continue
        yield Finding(
            Severity.ERROR if policy is Policy.AWS else Severity.INFO,
            "vmdk-subformat",
            f"{disk.label}: the service reads only streamOptimized VMDKs, this is {disk.subformat}",
            "export the machine with ovftool, which makes those, or use --policy open"
            if policy is Policy.AWS
            else "",
            vmdk.UNSUPPORTED,
        )


def _chunked(source: Source, policy: Policy) -> Iterator[Finding]:
    """FMT-4: the service reads no disks that are cut into several files."""
    for name in source.chunked:
        yield Finding(
            Severity.ERROR if policy is Policy.AWS else Severity.INFO,
            "ova-chunked-disk",
            f"the disk {name!r} is cut into several files, which the service does not read",
            "export it with ovftool without --chunkSize, or use --policy open"
            if policy is Policy.AWS
            else "",
            machine.CHUNKED,
        )


def _service_format(source: Source, policy: Policy) -> Iterator[Finding]:
    """FMT-1, FMT-6: containers that only we read."""
    compressed = ContainerFormat.COMPRESSED_RAW
    kinds = [
        source.format,
        *(compressed if disk.was_compressed else disk.format for disk in source.disks),
    ]
    for kind in dict.fromkeys(kind.value for kind in kinds if kind in _BEYOND):
        yield Finding(
            Severity.ERROR if policy is Policy.AWS else Severity.INFO,
            "container-not-in-service",
            f"the service does not read {kind} containers",
            "export it as OVA, or use --policy open" if policy is Policy.AWS else "",
            FORMAT_UNSUPPORTED,
        )


def _too_many(count: int, policy: Policy) -> Iterator[Finding]:
    """FMT-8: machines too large for where they are to go."""
    most = _MOST_DISKS[policy]
    if count > most:
        yield Finding(
            Severity.ERROR,
            "too-many-disks",
            f"the machine has {count} disks, at most {most} are converted",
            "detach disks that it does not need to start, and bring them over by themselves",
        )


def _limits(source: Source, policy: Policy) -> Iterator[Finding]:
    """FMT-8: disks too large for where they are to go."""
    for disk in source.disks:
        if disk.virtual_size >= _LIMIT[policy]:
            yield Finding(
                Severity.ERROR,
                "disk-too-large",
                f"{disk.label}: has {disk.virtual_size / (1 << 40):.4g} TiB;"
                f" {'less than 8' if policy is Policy.AWS else 'at most 64'} TiB are possible",
                "make the disk smaller and export it again",
            )


def _architecture(facts: Facts, policy: Policy) -> Iterator[Finding]:
    """OS-3: 32-bit guests never; ARM64 only beyond the service, with the drivers it needs."""
    found = facts.linux.architecture
    if found == "x86_64":
        return
    missing = [name for name in _NEEDED.get(found, ()) if not _has_module(facts, name)]
    if policy is Policy.OPEN and found in _NEEDED and not missing:
        yield Finding(
            Severity.INFO,
            "architecture-not-in-service",
            f"the guest is {found}; the service takes x86_64 only",
        )
        return
    why = f" without a driver for {', '.join(missing)}" if missing else ""
    yield Finding(
        Severity.ERROR,
        "architecture-unsupported",
        f"the guest is {found or 'of an unknown architecture'}{why}; only 64-bit guests for x86"
        f" are converted{'' if policy is Policy.AWS else ', and those for ARM with all drivers'}",
        "install a 64-bit system for x86 and move the data to it",
    )


def _has_module(facts: Facts, driver: str) -> bool:
    """Tell whether the default kernel has a driver at all, in the initramfs or not yet."""
    kernel = facts.linux.default_kernel
    known = kernel.modules | kernel.builtin if kernel else frozenset()
    return not known.isdisjoint(load("linux")["drivers"][driver]["modules"])


def _system(facts: Facts, policy: Policy) -> Iterator[Finding]:
    """OS-2: what the support table says of the distribution and its version."""
    linux = facts.linux
    name = linux.pretty_name or f"{linux.distribution} {linux.version}".rstrip()
    match support.judge(linux.distribution, linux.version):
        case Verdict.END_OF_LIFE:
            yield Finding(
                Severity.WARNING,
                "os-end-of-life",
                f"{name} has reached its end of life; it gets no more security updates",
                "plan to move what runs on it to a newer version",
            )
        case Verdict.UNTABLED:
            yield _outside(
                policy,
                "os-untabled",
                f"{name}: the service does not list this version of"
                f" {support.family_name(linux.distribution)}",
                f"Unsupported kernel version {_release(facts) or 'unknown'}",
            )
        case Verdict.UNKNOWN:
            yield _outside(
                policy,
                "os-unknown",
                f"{name}: neither the service nor converter knows this distribution",
                UNKNOWN_MESSAGE,
            )


def _outside(policy: Policy, code: str, message: str, service_message: str) -> Finding:
    if policy is Policy.AWS:
        hint = "use --policy open to convert it nonetheless"
        return Finding(Severity.ERROR, code, message, hint, service_message)
    hint = "it is converted by the programs it uses; test the result before you rely on it"
    return Finding(Severity.WARNING, code, message, hint, service_message)


def _kernel(facts: Facts, policy: Policy) -> Iterator[Finding]:
    """OS-3, OS-4: kernels that the service does not take, and those that are not the system's."""
    linux, release = facts.linux, _release(facts)
    if not release:
        return
    if not support.is_own_kernel(linux.distribution, release):
        yield Finding(
            Severity.WARNING,
            "kernel-custom",
            f"the default kernel {release} is not named like one of"
            f" {support.family_name(linux.distribution)}",
            "if the result does not start, make a kernel of the distribution the default",
        )
        return
    row = support.find_row(linux.distribution, linux.version)
    if row is not None and not row.takes_kernel(release):
        yield Finding(
            Severity.ERROR if policy is Policy.AWS else Severity.INFO,
            "kernel-not-in-service",
            f"Kernel version not supported by the service: {release}"
            f" (it takes {', '.join(row.kernel_names)})",
            "make one of these kernels the default, or use --policy open"
            if policy is Policy.AWS
            else "",
            f"Unsupported kernel version {release}",
        )


def _point_release(facts: Facts, _policy: Policy) -> Iterator[Finding]:
    """OS-2: the same version with other updates in than the service names."""
    row = support.find_row(facts.linux.distribution, facts.linux.version)
    if row is not None and not row.names_point(facts.linux.point_release):
        yield Finding(
            Severity.INFO,
            "os-point-release",
            f"this is {facts.linux.point_release}; of that version the service names {row.points}",
        )


def _release(facts: Facts) -> str:
    kernel = facts.linux.default_kernel
    return kernel.release if kernel else ""


def _boot_modes(facts: Facts, wanted: BootMode | None) -> Iterator[Finding]:
    """BOOT-1, BOOT-7: firmware must find something to start."""
    possible = facts.boot_modes
    loader = facts.linux.bootloader
    if loader is not None and loader.kind in load("linux")["other_bootloaders"]:
        return  # something starts it, and is refused by its name
    if not possible:
        yield no_bootable_partition()
    elif wanted is not None and wanted not in possible:
        missing = {
            BootMode.UEFI: "there is no boot loader of its architecture on an EFI system partition"
            " that finds all it needs",
            BootMode.LEGACY_BIOS: "the first sector of the boot disk holds no boot code that"
            " leads to a boot loader",
        }[wanted]
        yield Finding(
            Severity.ERROR,
            "boot-mode-impossible",
            f"the guest cannot boot by {wanted.value}: {missing}",
            f"leave --boot-mode out: {', '.join(sorted(possible))} is possible",
        )


def _root_elsewhere(facts: Facts, _mode: BootMode | None) -> Iterator[Finding]:
    """BOOT-7: firmware starts from the first disk, and the system is on another."""
    first = facts.disks[0].device
    for mount in facts.mounts:
        others = policy_storage.needed_disks(facts, mount.device) - {first}
        if mount.path in ("/", "/boot") and others:
            yield Finding(
                Severity.WARNING,
                "root-on-other-disk",
                f"{mount.path} is on {', '.join(sorted(others))}, the machine starts from {first}",
                "start the result only with all its disks attached; a root volume alone is not"
                " enough",
            )


def _default_kernel(facts: Facts, _mode: BootMode | None) -> Iterator[Finding]:
    """LNX-5: without the kernel that is started by default nothing can be prepared."""
    bootloader = facts.linux.bootloader
    if bootloader is None or bootloader.default is None or facts.linux.default_kernel is not None:
        return
    yield Finding(
        Severity.ERROR,
        "default-kernel-missing",
        f"the default entry starts {bootloader.default.kernel}, which is not an installed kernel"
        f" (installed: {', '.join(kernel.release for kernel in facts.linux.kernels) or 'none'})",
        "set the default entry to an installed kernel, run update-grub, export again",
        "Unable to determine kernel version.",
    )


_SOURCE_RULES: Final[tuple[Callable[[Source, Policy], Iterator[Finding]], ...]] = (
    _service_format,
    _chunked,
    _vmdk_subformat,
    _limits,
)
_SYSTEM_RULES: Final[tuple[Callable[[Facts, Policy], Iterator[Finding]], ...]] = (
    _architecture,
    _system,
    _kernel,
    _point_release,
    policy_storage.subvolumes,
    policy_storage.other_systems,
    policy_storage.room,
)
_BOOT_RULES: Final[tuple[Callable[[Facts, BootMode | None], Iterator[Finding]], ...]] = (
    _boot_modes,
    _root_elsewhere,
    _default_kernel,
)
