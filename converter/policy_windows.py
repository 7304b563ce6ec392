"""What is refused and what is warned of in a Windows guest (OS-2, OS-3, WIN-6, FS-4, BOOT-7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from converter.data import load
from converter.inspection.windows_volumes import DRIVE
from converter.model import (
    GENERALIZED,
    BootMode,
    Finding,
    Policy,
    ProductType,
    Severity,
    TableType,
)
from converter.policy_storage import needed_disks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from converter.model import Facts, WindowsFacts

_GIB: Final = 1 << 30
# SPEC, FS-4: for drivers, agents, and the updates of the first boot.
_LEAST_FREE: Final = 6 * _GIB
_ENGLISH: Final = "0409"
# LANG_ENGLISH in the low ten bits of a language's number ([MS-LCID]).
_PRIMARY: Final = 0x3FF
_LANG_ENGLISH: Final = 0x09
_NANO: Final = "Nano Server"
_EVALUATION: Final = "Eval"
# How Setup leaves a system that starts by itself; older ones may not say.
_SETTLED: Final = frozenset({"", "IMAGE_STATE_COMPLETE", GENERALIZED})
# Older ones start by NTLDR and boot.ini.
_FIRST_BUILD: Final = 6000


def judge_windows_guest(
    facts: Facts, policy: Policy, *, boot_mode: BootMode | None
) -> tuple[Finding, ...]:
    """Give what is to be said of a Windows, before anything is changed."""
    found = [finding for rule in _RULES for finding in rule(facts.windows, policy)]
    return (*found, *_room(facts), *_boot(facts, boot_mode), *_root_elsewhere(facts))


def release(windows: WindowsFacts) -> dict[str, Any] | None:
    """Give the row of data/windows.toml that the guest is."""
    rows: list[dict[str, Any]] = load("windows")["releases"]
    return next((row for row in rows if row["name"] == windows.release), None)


def needs_uefi(windows: WindowsFacts) -> bool:
    """Tell whether the release starts by UEFI only."""
    row = release(windows)
    return row is not None and row.get("firmware") == "uefi"


def _architecture(windows: WindowsFacts, _policy: Policy) -> Iterator[Finding]:
    """OS-3: 64-bit x86 only; AWS has no drivers of Windows for anything else."""
    if windows.architecture != "x86_64":
        yield Finding(
            Severity.ERROR,
            "architecture-unsupported",
            f"the Windows is {windows.architecture or 'of an unknown architecture'}; only 64-bit"
            " ones for x86 are converted",
            "install a 64-bit Windows and move the programs and data to it",
        )


def _system(windows: WindowsFacts, policy: Policy) -> Iterator[Finding]:
    """OS-2: what the support table says of the release."""
    row = release(windows)
    name = windows.product or f"Windows {windows.version}"
    if windows.build < _FIRST_BUILD or row is None:
        yield Finding(
            Severity.ERROR,
            "os-unsupported",
            f"{name} (build {windows.build or 'unknown'}) is older than Windows Vista and Server"
            " 2008, and starts by other means",
            "upgrade it, or move what runs on it to a newer Windows",
        )
        return
    if row.get("end_of_life"):
        yield Finding(
            Severity.WARNING,
            "os-end-of-life",
            f"{name} has reached its end of life; it gets no more security updates",
            "plan to move what runs on it to a newer version",
        )
    editions = tuple(row.get("editions", ()))
    listed = row.get("service", True) and (not editions or windows.edition.startswith(editions))
    if not listed:
        refused = policy is Policy.AWS
        yield Finding(
            Severity.ERROR if refused else Severity.WARNING,
            "os-untabled",
            f"{name} ({windows.edition or 'no edition'}): the service does not list it",
            "use --policy open to convert it nonetheless"
            if refused
            else "it is converted as its build asks for; test the result before you rely on it",
        )


def _nano(windows: WindowsFacts, _policy: Policy) -> Iterator[Finding]:
    """WIN-6."""
    if windows.installation_type == _NANO:
        yield Finding(
            Severity.ERROR,
            "windows-nano",
            "this is a Nano Server: it has no Group Policy, no installer, and no logon",
            "use Server Core of the same version",
        )


def _hyper_v(windows: WindowsFacts, _policy: Policy) -> Iterator[Finding]:
    if "hyper-v" in windows.roles:
        yield Finding(
            Severity.ERROR,
            "hyper-v-role",
            "the Hyper-V role is installed; its hypervisor does not start on EC2's",
            "remove the role in the machine (Uninstall-WindowsFeature Hyper-V), restart it, shut it"
            " down, and export it again",
        )


def _language(windows: WindowsFacts, policy: Policy) -> Iterator[Finding]:
    """WIN-6: only English ones, and client Windows only in US English."""
    wrong = not _is_english(windows.language) or any(
        not name.lower().startswith("en") for name in windows.languages
    )
    is_client = windows.product_type is ProductType.WORKSTATION
    if is_client and policy is Policy.AWS:
        wrong = wrong or windows.language != _ENGLISH
    if wrong:
        installed = ", ".join(windows.languages) or windows.language or "unknown"
        yield Finding(
            Severity.ERROR,
            "windows-language",
            f"this Windows is not English (installed: {windows.language or 'unknown'}; languages:"
            f" {installed})",
            "install an English Windows and move the programs and data to it; where English is the"
            " installed one, remove the other language packs (lpksetup /u)",
        )


def _is_english(language: str) -> bool:
    try:
        return int(language, 16) & _PRIMARY == _LANG_ENGLISH
    except ValueError:
        return False


def _remote_desktop(windows: WindowsFacts, _policy: Policy) -> Iterator[Finding]:
    if windows.remote_desktop:
        yield Finding(
            Severity.WARNING,
            "remote-desktop",
            f"nobody can log in to the result: {windows.remote_desktop}",
            "allow Remote Desktop in the machine and in its firewall, or use the Systems Manager"
            " agent",
        )


def _antivirus(windows: WindowsFacts, _policy: Policy) -> Iterator[Finding]:
    if windows.antivirus:
        yield Finding(
            Severity.WARNING,
            "antivirus",
            f"{', '.join(windows.antivirus)}: may keep drivers and services of EC2 from being"
            " installed",
            "if the first start fails, remove it in the machine before the export, and install it"
            " anew afterwards",
        )


def _restricted(windows: WindowsFacts, _policy: Policy) -> Iterator[Finding]:
    if windows.is_installation_restricted:
        yield Finding(
            Severity.WARNING,
            "device-installation-restricted",
            "a policy keeps drivers from being installed for EC2's disks or network cards",
            "allow them in the machine (Group Policy, Device Installation Restrictions) before the"
            " export",
        )


def _physical(windows: WindowsFacts, policy: Policy) -> Iterator[Finding]:
    """WIN-6: what the service refuses, and drivers of real hardware may make slow to start."""
    if windows.physical:
        yield Finding(
            Severity.ERROR if policy is Policy.AWS else Severity.WARNING,
            "physical-machine",
            f"this was a physical machine, made a virtual one by {', '.join(windows.physical)}; the"
            " service takes only what was installed in a virtual machine",
            "install Windows in a virtual machine, and move the programs and data to it",
        )


def _passwords(windows: WindowsFacts, policy: Policy) -> Iterator[Finding]:
    if windows.blank_passwords:
        yield Finding(
            Severity.ERROR if policy is Policy.AWS else Severity.WARNING,
            "blank-password",
            f"accounts without a password: {', '.join(windows.blank_passwords)}; nobody can log in"
            " with them over a network",
            "give them passwords, or disable them",
        )


def _restart_pending(windows: WindowsFacts, _policy: Policy) -> Iterator[Finding]:
    if windows.is_restart_pending:
        yield Finding(
            Severity.WARNING,
            "restart-pending",
            "updates wait for a restart: they are finished at the first start, which takes longer",
            "restart the machine before it is exported, to be sure",
        )


def _evaluation(windows: WindowsFacts, _policy: Policy) -> Iterator[Finding]:
    if windows.edition.endswith(_EVALUATION):
        yield Finding(
            Severity.WARNING,
            "evaluation-edition",
            f"{windows.product} is an evaluation edition ({windows.edition}): no licence activates"
            " it, and when its time is over it shuts itself down every hour",
            "make it a full edition in the machine (DISM /Online /Set-Edition) and export it again",
        )


def _setup(windows: WindowsFacts, _policy: Policy) -> Iterator[Finding]:
    if windows.image_state not in _SETTLED:
        yield Finding(
            Severity.WARNING,
            "setup-unfinished",
            f"Windows Setup is not over ({windows.image_state[:80]}): the first start may wait for"
            " somebody at the console",
            "finish it in the machine, or run sysprep /generalize /oobe /shutdown there",
        )


def _page_file(windows: WindowsFacts, _policy: Policy) -> Iterator[Finding]:
    """WIN-6: a page file that Windows places itself, or on a drive that may not come along."""
    places = [line.strip() for line in windows.page_files if line.strip()]
    managed = [line for line in places if line.startswith("?:") or line.endswith(" 0 0")]
    elsewhere = [line for line in places if not line.upper().startswith(("?:", "C:", "%SYSTEM"))]
    if managed or elsewhere:
        what = "is placed and sized by Windows" if managed else f"is elsewhere: {elsewhere[0]}"
        yield Finding(
            Severity.WARNING,
            "page-file",
            f"the page file {what}",
            "if the first start is slow or short of room, give C: a page file of a fixed size",
        )


def _domain_controller(windows: WindowsFacts, _policy: Policy) -> Iterator[Finding]:
    if windows.product_type is ProductType.DOMAIN_CONTROLLER:
        yield Finding(
            Severity.WARNING,
            "domain-controller",
            "this is a domain controller: it starts on another network, perhaps without the others",
            "make sure that no other machine runs with the same identity; all of its databases must"
            " be on the disks that were given",
        )


def _room(facts: Facts) -> Iterator[Finding]:
    """FS-4."""
    mount = next(mount for mount in facts.mounts if mount.path == DRIVE)
    if mount.space is not None and mount.space.free < _LEAST_FREE:
        yield Finding(
            Severity.ERROR,
            "space-too-little",
            f"C: ({mount.device}): {mount.space.free / _GIB:.1f} GiB are free, "
            f"{_LEAST_FREE / _GIB:.0f} GiB are needed",
            "make room in the machine (Disk Cleanup), or make the volume larger; export it again",
        )


def _boot(facts: Facts, wanted: BootMode | None) -> Iterator[Finding]:
    """BOOT-1, BOOT-7: firmware must find something to start."""
    if not facts.boot_modes:
        yield Finding(
            Severity.ERROR,
            "no-bootable-partition",
            "nothing on the boot disk starts Windows: no boot manager with its settings (BCD) was"
            " found on an active partition or an EFI system partition",
            "give the boot disk first; repair it in the machine (bcdboot C:\\Windows)",
            "Client.Unsupported: No bootable partition found",
        )
    elif needs_uefi(facts.windows) and (
        wanted is BootMode.LEGACY_BIOS or BootMode.UEFI not in facts.boot_modes
    ):
        yield Finding(
            Severity.ERROR,
            "boot-mode-impossible",
            f"{facts.windows.product} needs UEFI",
            "give --boot-mode uefi; a disk that was set up for BIOS must be converted in the"
            " machine first (mbr2gpt)",
        )
    elif wanted is BootMode.UEFI and BootMode.UEFI not in facts.boot_modes:
        yield Finding(
            Severity.ERROR,
            "boot-mode-impossible",
            "the guest cannot boot by uefi: no boot manager with its settings (BCD) is on an EFI"
            " system partition",
            "leave --boot-mode out, or convert the disk in the machine first (mbr2gpt)",
        )
    elif wanted is not None and wanted not in facts.boot_modes and not _has_gpt(facts):
        # That of a GPT gets an MBR, and what a BIOS starts with it (`windows_table`).
        yield Finding(
            Severity.ERROR,
            "boot-mode-impossible",
            "the guest cannot boot by legacy-bios: no boot manager with its settings (BCD) is on an"
            " active partition",
            "leave --boot-mode out, or repair it in the machine (bcdboot C:\\Windows /f BIOS)",
        )


def _has_gpt(facts: Facts) -> bool:
    return facts.disks[0].table is TableType.GPT


def _root_elsewhere(facts: Facts) -> Iterator[Finding]:
    """BOOT-7: firmware starts from the first disk, and Windows is on another."""
    mount = next(mount for mount in facts.mounts if mount.path == DRIVE)
    first = facts.disks[0].device
    if needed_disks(facts, mount.device) != {first}:
        yield Finding(
            Severity.WARNING,
            "root-on-other-disk",
            f"Windows is on {mount.device}, the machine starts from {first}",
            "start the result only with all its disks attached; a root volume alone is not enough",
        )


_RULES: Final[tuple[Callable[[WindowsFacts, Policy], Iterator[Finding]], ...]] = (
    _architecture,
    _system,
    _nano,
    _hyper_v,
    _language,
    _remote_desktop,
    _antivirus,
    _restricted,
    _physical,
    _passwords,
    _restart_pending,
    _evaluation,
    _setup,
    _page_file,
    _domain_controller,
)
