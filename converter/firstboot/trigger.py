r"""How Windows comes to start the first-boot script: one of three mechanisms.

*Group Policy.* A startup script of the local policy: what Amazon documents for an offline disk, and
what no virus scanner minds. Servers process policy before anybody can log on, and so find it at
their first start; clients do so later and may take two ("Fast Logon Optimization"), and domain
controllers have no local policy. A member of a domain processes no policy at all, not even the
local one, before it reaches a domain controller (events 1055 and 1129): where the script is to
install the driver of its network card, it would never do. All startup scripts together have 600
seconds by default (MaxGPOScriptWait), after which Windows stops them, and the logon screen waits as
long. So the startup script only detaches the real one, and takes nothing from the time of the
user's own.

*A service.* Its program is cmd.exe, which detaches the script and ends. That is no service as the
service manager wants one: it logs event 7000 or 7009, and goes on.

*SetupComplete.cmd*, for an image that was prepared by sysprep: Windows Setup runs it at its end.
Services start before that, and the script must not restart the machine, and is run once. So there
is a service that Windows does not start; SetupComplete.cmd makes it an automatic one and starts it,
and the script waits until setup is over. A SetupComplete.cmd of the user's is kept as it is, under
another name, and runs first. Limit: Windows does not run it on clients with a manufacturer's key.

Every file that is put in comes with what it becomes again when the script is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from converter.firstboot import group_policy
from converter.formats import FormatError
from converter.formats.registry import dword, expand_sz, sz
from converter.model import ServiceStart

if TYPE_CHECKING:
    from converter.formats.registry import Value

STAGING: Final = "Converter"
SCRIPT: Final = f"{STAGING}/first-boot.cmd"
SERVICE: Final = "ConverterFirstBoot"
SETUP_COMPLETE: Final = "Setup/Scripts/SetupComplete.cmd"
SETUP_COMPLETE_BEFORE: Final = "Setup/Scripts/SetupComplete.before-conversion.cmd"

_LAUNCHER: Final = "converter-first-boot.cmd"
_SERVICE_KEY: Final = rf"Services\{SERVICE}"
_OWN_PROCESS: Final = 0x10
_IGNORE_ERRORS: Final = 0

_SCRIPT_PATH: Final = r"%SystemRoot%" + "\\" + SCRIPT.replace("/", "\\")
# Its handles are its own: whoever starts it may wait until they are closed.
_DETACH: Final = (
    rf'start "" /b "%SystemRoot%\System32\cmd.exe" /d /c call "{_SCRIPT_PATH}" <nul >nul 2>&1'
)


class Mechanism(Enum):
    """What starts the script."""

    GROUP_POLICY = "group-policy"
    SERVICE = "service"
    SETUP_COMPLETE = "setup-complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the mechanism depends on."""

    is_server: bool
    is_domain_controller: bool
    is_sysprepped: bool
    has_local_policy: bool
    is_domain_member: bool = False


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file below the Windows directory, and what it becomes when all is done: None is nothing."""

    path: str
    data: bytes
    after: bytes | None


@dataclass(frozen=True, slots=True)
class PlacedValue:
    """A registry value below every control set of the SYSTEM hive."""

    key: str
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Trigger:
    """A mechanism, and all that is put in for it; files in the order in which they are restored."""

    mechanism: Mechanism
    reason: str
    files: tuple[PlacedFile, ...] = ()
    values: tuple[PlacedValue, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """The files that a mechanism may have to share, as they are in the guest; None is no file."""

    gpt: bytes | None = None
    scripts: bytes | None = None
    setup_complete: bytes | None = None
    setup_complete_before: bytes | None = None


def choose(situation: Situation) -> tuple[Mechanism, str]:
    """Give the mechanism, and why it is that."""
    if situation.is_sysprepped:
        return Mechanism.SETUP_COMPLETE, "the image was prepared by sysprep"
    if situation.is_domain_controller:
        return Mechanism.SERVICE, "a domain controller has no local policy"
    if situation.is_domain_member:
        return Mechanism.SERVICE, "a member of a domain processes its policy with a network only"
    if not situation.is_server:
        return Mechanism.SERVICE, "a client may process its policy a start late"
    if not situation.has_local_policy:
        return Mechanism.SERVICE, "the local policy is turned off"
    return Mechanism.GROUP_POLICY, "a server runs the startup scripts of its local policy"


def prepare(situation: Situation, existing: Existing) -> Trigger:
    """Give the trigger for a guest; a local policy that cannot be edited is left alone."""
    mechanism, reason = choose(situation)
    if mechanism is Mechanism.SETUP_COMPLETE:
        return Trigger(mechanism, reason, _setup_complete(existing), _service(ServiceStart.DEMAND))
    if mechanism is Mechanism.GROUP_POLICY:
        try:
            return Trigger(mechanism, reason, _startup_script(existing))
        except FormatError as error:
            reason = f"the local policy stays as it is: {error}"
    return Trigger(Mechanism.SERVICE, reason, values=_service(ServiceStart.AUTOMATIC))


def _startup_script(existing: Existing) -> tuple[PlacedFile, ...]:
    scripts, gpt = existing.scripts, existing.gpt
    return (
        PlacedFile(
            group_policy.SCRIPTS,
            group_policy.with_startup_script(scripts, _LAUNCHER),
            group_policy.without_startup_script(scripts, _LAUNCHER),
        ),
        PlacedFile(
            group_policy.GPT,
            group_policy.with_extension(gpt),
            group_policy.without_extension(gpt),
        ),
        PlacedFile(
            f"{group_policy.STARTUP}/{_LAUNCHER}",
            _batch(f'if exist "{_SCRIPT_PATH}" {_DETACH}'),
            None,
        ),
    )


def _service(start: ServiceStart) -> tuple[PlacedValue, ...]:
    values = {
        "Type": dword(_OWN_PROCESS),
        "Start": dword(start),
        "ErrorControl": dword(_IGNORE_ERRORS),
        "ImagePath": expand_sz(rf"%SystemRoot%\System32\cmd.exe /d /c {_DETACH}"),
        "ObjectName": sz("LocalSystem"),
        "DisplayName": sz("First boot after conversion"),
    }
    return tuple(PlacedValue(_SERVICE_KEY, name, value) for name, value in values.items())


def _setup_complete(existing: Existing) -> tuple[PlacedFile, ...]:
    """Give our SetupComplete.cmd, and the user's under another name.

    The user's may end in `exit`, may be of any encoding, and cmd.exe reads a script as it runs it:
    so it is neither added to nor called within our own.
    """
    service = (
        rf'"%SystemRoot%\System32\sc.exe" config {SERVICE} start= auto',
        rf'"%SystemRoot%\System32\sc.exe" start {SERVICE}',
    )
    name = SETUP_COMPLETE_BEFORE.rpartition("/")[2]
    alone = _batch(*service)
    shared = _batch(rf'"%SystemRoot%\System32\cmd.exe" /d /c "%~dp0{name}"', *service)
    original = existing.setup_complete
    if original == shared:  # put in by an earlier conversion
        original = existing.setup_complete_before
    if original is None or original == alone:
        return (PlacedFile(SETUP_COMPLETE, alone, None),)
    return (
        PlacedFile(SETUP_COMPLETE, shared, original),
        PlacedFile(SETUP_COMPLETE_BEFORE, original, None),
    )


def _batch(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("@echo off", *lines)).encode("ascii")
