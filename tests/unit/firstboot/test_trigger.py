"""Which mechanism starts the script, and what is put in for it."""

from __future__ import annotations

import pytest

from converter.firstboot import trigger
from converter.firstboot.trigger import Existing, Mechanism, Situation


def situation(
    *,
    is_server: bool = True,
    is_domain_controller: bool = False,
    is_sysprepped: bool = False,
    has_local_policy: bool = True,
    is_domain_member: bool = False,
) -> Situation:
    return Situation(
        is_server=is_server,
        is_domain_controller=is_domain_controller,
        is_sysprepped=is_sysprepped,
        has_local_policy=has_local_policy,
        is_domain_member=is_domain_member,
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (situation(), Mechanism.GROUP_POLICY),
        (situation(is_domain_controller=True), Mechanism.SERVICE),
        (situation(has_local_policy=False), Mechanism.SERVICE),
        (situation(is_domain_member=True), Mechanism.SERVICE),
        (situation(is_domain_member=True, is_sysprepped=True), Mechanism.SETUP_COMPLETE),
        (situation(is_server=False), Mechanism.SERVICE),
        (situation(is_sysprepped=True), Mechanism.SETUP_COMPLETE),
        (situation(is_sysprepped=True, is_server=False), Mechanism.SETUP_COMPLETE),
    ],
)
def test_the_mechanism_follows_from_the_guest(given: Situation, expected: Mechanism) -> None:
    mechanism, reason = trigger.choose(given)
    assert mechanism is expected
    assert reason
    assert trigger.prepare(given, Existing()).mechanism is expected


def test_a_policy_that_is_not_understood_is_left_for_a_service() -> None:
    existing = Existing(scripts=b"[Startup]\r\n5CmdLine=x\r\n")
    found = trigger.prepare(situation(), existing)
    assert found.mechanism is Mechanism.SERVICE
    assert "gaps" in found.reason
    assert not found.files


def test_a_service_is_started_by_windows() -> None:
    found = trigger.prepare(situation(is_server=False), Existing())
    values = {item.name: item.value for item in found.values}
    assert {item.key for item in found.values} == {r"Services\ConverterFirstBoot"}
    assert (values["Type"].number, values["Start"].number) == (0x10, 2)
    assert values["ErrorControl"].number == 0
    assert values["ObjectName"].text == "LocalSystem"
    assert values["ImagePath"].text == (
        r'%SystemRoot%\System32\cmd.exe /d /c start "" /b "%SystemRoot%\System32\cmd.exe"'
        r' /d /c call "%SystemRoot%\Converter\first-boot.cmd" <nul >nul 2>&1'
    )


def test_converting_again_changes_no_policy_but_its_version() -> None:
    first = trigger.prepare(situation(), Existing())
    scripts, gpt, launcher = first.files
    again = trigger.prepare(situation(), Existing(gpt=gpt.data, scripts=scripts.data))
    assert again.files[0].data == scripts.data
    assert again.files[2] == launcher
    assert b"ours" not in (again.files[0].after or b"")
    assert (again.files[0].after or b"").decode("utf-16") == "\r\n[Startup]\r\n"


@pytest.mark.parametrize("theirs", [None, b"", b"@exit\r\n", "echo \u20ac\r\n".encode("utf-16")])
def test_setup_runs_the_users_script_as_it_was(theirs: bytes | None) -> None:
    found = trigger.prepare(situation(is_sysprepped=True), Existing(setup_complete=theirs))
    ours, *kept = found.files
    assert ours.path == "Setup/Scripts/SetupComplete.cmd"
    assert ours.data.startswith(b"@echo off\r\n")
    assert ours.data.endswith(b'sc.exe" start ConverterFirstBoot\r\n')
    assert ours.after == theirs
    assert [(file.data, file.after) for file in kept] == (
        [] if theirs is None else [(theirs, None)]
    )
    starts = [item.value.number for item in found.values if item.name == "Start"]
    assert starts == [3]


@pytest.mark.parametrize("theirs", [None, b"@exit\r\n"])
def test_setup_never_runs_our_own_script_as_the_users(theirs: bytes | None) -> None:
    first = trigger.prepare(situation(is_sysprepped=True), Existing(setup_complete=theirs))
    again = trigger.prepare(
        situation(is_sysprepped=True),
        Existing(setup_complete=first.files[0].data, setup_complete_before=theirs),
    )
    assert again == first
