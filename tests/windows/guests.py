"""The guests of the matrix: every release by every firmware, in many states."""

from __future__ import annotations

from typing import Final

from images.windows.guest import State, Windows, matrix

# What an installation may have had done to it, and be converted. Not all of it goes together.
BUSY: Final = frozenset(
    {
        State.ANTIVIRUS,
        State.AUTO_LOGON,
        State.EMS,
        State.GROUP_POLICY,
        State.PENDING_UPDATES,
        State.START_OVERRIDE,
        State.STATIC_ADDRESSES,
        State.UPPER_CASE,
        State.VMWARE_TOOLS,
    }
)
PREPARED: Final = frozenset({State.SYSPREPPED, State.DIRTY_HIVE, State.NO_FALLBACK, State.RDP_OFF})
DOMAIN: Final = frozenset({State.DOMAIN_CONTROLLER, State.RDP_FIREWALLED, State.BLANK_PASSWORDS})
LOCAL: Final = frozenset(
    {State.LOCAL_POLICY_OFF, State.CORE, State.STATIC_ADDRESSES, State.GROUP_POLICY}
)
GUESTS: Final = [
    *matrix(),
    *matrix(*BUSY),
    *matrix(*PREPARED),
    *(each for states in (DOMAIN, LOCAL) for each in matrix(*states) if each.about.is_server),
    *(each for each in matrix(State.SINGLE_PARTITION) if not each.is_uefi),
]
# Those that get an MBR where they are given in a VHDX. Windows 11 starts by UEFI alone.
TO_MBR: Final = [
    each
    for each in (*matrix(), *matrix(*BUSY), *matrix(*PREPARED))
    if each.is_uefi and each.release != "11"
]


def by_name(windows: Windows) -> str:
    """Give a short name, which tells it from all others here."""
    short = {BUSY: "busy", PREPARED: "prepared", DOMAIN: "domain", LOCAL: "local"}
    states = short.get(windows.states, "-".join(sorted(windows.states)))
    return "-".join(filter(None, (windows.release, windows.firmware, states)))
