"""The script as text; that it works is shown in Wine's cmd.exe (tests/appliance)."""

from __future__ import annotations

import re

import pytest

from converter.firstboot import script, trigger
from converter.firstboot.items import Item, Kind

TODO = [
    Item("driver", Kind.DRIVER, "a b/x.inf", is_required=True),
    Item("key", Kind.KEY_REMOVAL, r"HKLM\SYSTEM\A\PCI\VEN_1&DEV_2"),
    Item("value", Kind.VALUE_REMOVAL, r"HKLM\SYSTEM\A", ("x.inf",)),
]


def situation(*, is_server: bool = True, is_sysprepped: bool = False) -> trigger.Situation:
    return trigger.Situation(
        is_server=is_server,
        is_domain_controller=False,
        is_sysprepped=is_sysprepped,
        has_local_policy=True,
    )


TRIGGERS = [
    trigger.prepare(situation(), trigger.Existing()),
    trigger.prepare(situation(is_server=False), trigger.Existing()),
    trigger.prepare(situation(is_sysprepped=True), trigger.Existing(setup_complete=b"theirs")),
]
every_trigger = pytest.mark.parametrize(
    "found", TRIGGERS, ids=[found.mechanism.value for found in TRIGGERS]
)


@every_trigger
def test_it_is_what_every_cmd_reads(found: trigger.Trigger) -> None:
    data = script.first_boot(TODO, found)
    text = data.decode("ascii")
    assert data.count(b"\n") == data.count(b"\r\n") == len(text.splitlines())
    assert max(map(len, text.splitlines())) < 2000  # cmd.exe takes 8191, variables put in
    assert "!" not in text
    assert "{" not in text


def test_installers_unpack_where_only_the_system_writes() -> None:
    text = script.first_boot(TODO, TRIGGERS[0]).decode("ascii")
    made = text.index('if not exist "%TEMP%" mkdir "%TEMP%"')
    for name in ("TEMP", "TMP"):
        assert text.index(rf'set "{name}=%STAGE%\temp"') < made < text.index("pnputil.exe")


@every_trigger
def test_every_jump_has_one_target(found: trigger.Trigger) -> None:
    text = script.first_boot(TODO, found).decode("ascii")
    labels = re.findall(r"^:(\w+)", text, re.MULTILINE)
    assert len(labels) == len(set(labels))
    jumps = set(re.findall(r"goto (\w+)", text) + re.findall(r"call :(\w+)", text))
    assert jumps <= set(labels)


@every_trigger
def test_nothing_waits_for_input_and_every_program_is_named_in_full(found: trigger.Trigger) -> None:
    text = script.first_boot(TODO, found).decode("ascii")
    programs = re.findall(r"\S*\w\.exe\S*", text)
    assert programs
    assert all(program.startswith('"%SYSTEM%\\') for program in programs)
    for line in text.splitlines():
        if "pnputil.exe" in line or " delete " in line:
            assert line.endswith(' <nul >>"%LOG%" 2>&1')


def test_what_is_staged() -> None:
    policy, service, setup = (script.staged(TODO, found) for found in TRIGGERS)
    assert set(service) == {"Converter/first-boot.cmd"}
    assert set(policy) == {
        "Converter/first-boot.cmd",
        "Converter/restore/1.now",
        "Converter/restore/2.now",
        "Converter/restore/2.after",
        "Converter/restore/3.now",
    }
    assert setup["Converter/restore/1.after"] == setup["Converter/restore/2.now"] == b"theirs"


def test_only_after_setup_is_setup_waited_for() -> None:
    policy, service, setup = (script.first_boot(TODO, found) for found in TRIGGERS)
    assert b"SystemSetupInProgress" in setup
    assert b"SystemSetupInProgress" not in policy + service


def test_a_value_is_removed_by_its_name() -> None:
    text = script.first_boot(TODO, TRIGGERS[0]).decode("ascii")
    assert r'reg.exe" delete "HKLM\SYSTEM\A" /f /v x.inf <nul' in text
