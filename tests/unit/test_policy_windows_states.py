"""States of a Windows that start, and then do not do what is expected of a server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from converter.model import Mount, Policy, Severity
from converter.policy_windows import judge_windows_guest
from tests.unit.samples import FACTS
from tests.unit.steps.windows.test_first_boot_again import WINDOWS


@pytest.mark.parametrize(
    ("edition", "state", "expected"),
    [
        ("ServerStandard", "IMAGE_STATE_COMPLETE", set()),
        ("ServerStandard", "", set()),
        ("ServerStandard", "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE", set()),
        ("ServerStandardEval", "IMAGE_STATE_COMPLETE", {"evaluation-edition"}),
        ("ServerStandard", "IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT", {"setup-unfinished"}),
        ("ServerStandard", "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE", {"setup-unfinished"}),
        ("ServerStandard", "IMAGE_STATE_UNDEPLOYABLE", {"setup-unfinished"}),
    ],
)
def test_what_waits_or_ends_is_warned_of(edition: str, state: str, expected: set[str]) -> None:
    windows = replace(WINDOWS, edition=edition, image_state=state)
    facts = replace(FACTS, mounts=(Mount("/C", "/dev/sda1", "ntfs"),), os=windows)
    found = judge_windows_guest(facts, Policy.OPEN, boot_mode=None)
    assert {finding.code for finding in found} == expected
    assert all(finding.severity is Severity.WARNING for finding in found)
