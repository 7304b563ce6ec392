from __future__ import annotations

from dataclasses import replace

import pytest

from converter.formats.registry import Value, binary, dword, multi_sz, qword, sz
from converter.steps.windows import settings
from tests.unit.steps.windows.planning import context, done, values
from tests.unit.windows_samples import (
    CURRENT,
    NT,
    SOFTWARE,
    SYSTEM,
    both,
    change,
    hive_of,
    server,
)

CLOCK = r"Control\TimeZoneInformation"
POWER = r"Control\Session Manager\Power"
LOGON = rf"{NT}\Winlogon"


@pytest.mark.parametrize("value", [None, dword(0), qword(1), sz("1"), binary(b"\1")])
def test_the_clock_is_in_utc(value: Value | None) -> None:
    made = server()
    both(made, CLOCK, RealTimeIsUniversal=value)
    plan, machine = done(made, settings.STEP)
    for name in (CURRENT, "ControlSet002"):
        assert hive_of(machine, SYSTEM).value(rf"{name}\{CLOCK}", "RealTimeIsUniversal") == dword(1)
    assert values(plan.changes)[rf"{CLOCK}\RealTimeIsUniversal"] == dword(1)


def test_a_clock_that_is_right_stays() -> None:
    made = server()
    both(made, CLOCK, RealTimeIsUniversal=dword(1))
    plan, _ = done(made, settings.STEP)
    assert "clock-utc" not in {change.code for change in plan.changes}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (dword(1), dword(0)),
        (qword(1), dword(0)),
        (dword(0), dword(0)),
        (None, None),
        (sz("1"), sz("1")),
    ],
)
def test_fast_startup_is_off(value: Value | None, expected: Value | None) -> None:
    made = server()
    both(made, POWER, HiberbootEnabled=value)
    plan, machine = done(made, settings.STEP)
    found = hive_of(machine, SYSTEM).value(rf"{CURRENT}\{POWER}", "HiberbootEnabled")
    assert found == expected
    codes = {change.code for change in plan.changes}
    assert ("fast-startup-off" in codes) is (value != expected)


@pytest.mark.parametrize("enabled", [sz("1"), sz("yes")])
def test_nobody_is_logged_on_by_itself(enabled: Value) -> None:
    made = server()
    change(
        made.software,
        LOGON,
        AutoAdminLogon=enabled,
        DefaultUserName=sz("kiosk"),
        DefaultPassword=sz("secret"),
        AutoLogonCount=dword(3),
    )
    plan, machine = done(made, settings.STEP)
    found = hive_of(machine, SOFTWARE).values(LOGON)
    assert found == {"AutoAdminLogon": sz("0"), "DefaultUserName": sz("kiosk")}
    assert "secret" not in "".join(plan.diffs)
    assert sz("secret").data.hex(",") not in "".join(plan.diffs)


@pytest.mark.parametrize("enabled", [sz("0"), sz(""), None, dword(1), multi_sz("1")])
def test_what_is_no_automatic_logon_stays(enabled: Value | None) -> None:
    made = server()
    change(made.software, LOGON, AutoAdminLogon=enabled, DefaultPassword=sz("secret"))
    plan, _ = done(made, settings.STEP)
    assert SOFTWARE not in {change.path for change in plan.changes}


def test_each_change_says_why() -> None:
    plan, _ = done(server(), settings.STEP)
    assert plan.changes
    assert all(change.code and change.reason for change in plan.changes)


def test_further_disks_are_brought_online() -> None:
    alone = context(server().machine())
    settings.STEP.run(alone)
    assert "disks-online" not in {change.code for change in alone.guest.plan.changes}
    one = context(server().machine())
    several = replace(one, facts=replace(one.facts, disks=one.facts.disks * 2))
    settings.STEP.run(several)
    assert values(several.guest.plan.changes)[r"Services\partmgr\Parameters\SanPolicy"] == dword(1)
