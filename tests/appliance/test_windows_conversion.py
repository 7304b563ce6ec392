"""Windows guests converted by the command, and their disks read by dissect and others.

What every release in every state becomes is in `tests.windows.test_matrix`, in memory, and in
`test_windows_matrix`, for those who have the time. Here is some of what memory does not show: real
filesystems with their access lists, tables in whatever container, what is read from a disk again,
and what firmware starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from images.windows.guest import Firmware, State, Windows
from tests.windows.conversion import Case, check_conversion

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.appliance

CASES = {
    "2008r2-bios": Case(
        Windows(
            "2008r2",
            states=frozenset({State.SINGLE_PARTITION, State.START_OVERRIDE, State.AUTO_LOGON}),
        )
    ),
    "2012-uefi-used": Case(
        Windows(
            "2012",
            Firmware.UEFI,
            frozenset(
                {
                    State.EMS,
                    State.GROUP_POLICY,
                    State.STATIC_ADDRESSES,
                    State.UPPER_CASE,
                    State.VMWARE_TOOLS,
                }
            ),
        ),
        options=("--boot-mode", "uefi"),
        is_repeated=True,
    ),
    "2016-uefi-sysprepped-to-mbr": Case(
        Windows("2016", Firmware.UEFI, frozenset({State.SYSPREPPED})),
        options=("--boot-mode", "legacy-bios"),
        has_mbr=True,
        is_repeated=True,
    ),
    "2019-bios-domain-controller": Case(
        Windows(
            "2019",
            states=frozenset(
                {
                    State.ANTIVIRUS,
                    State.AUTO_LOGON,
                    State.BLANK_PASSWORDS,
                    State.DIRTY_HIVE,
                    State.DIRTY_VOLUME,
                    State.DOMAIN_CONTROLLER,
                    State.EMS,
                    State.PENDING_UPDATES,
                    State.RDP_OFF,
                }
            ),
        ),
        has_store=False,
    ),
    "2022-uefi-vhdx-to-mbr": Case(Windows("2022", Firmware.UEFI), container="vhdx", has_mbr=True),
    "11-uefi-vhdx": Case(
        Windows("11", Firmware.UEFI, frozenset({State.NO_FALLBACK})), container="vhdx"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_conversion(case: Case, tmp_path: Path) -> None:
    check_conversion(case, tmp_path)
