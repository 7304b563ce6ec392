"""The first-boot script in Wine's cmd.exe: what it calls, what it leaves, and that it ends.

A directory stands for that of Windows. The script is the real one; the programs of Windows that
change a machine are a stand-in (`stand_in.asm`) that notes its command line and ends with a code of
the test's.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from converter import process
from converter.firstboot import group_policy, items, script, trigger
from converter.firstboot.items import Item, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WINE: Final = "/usr/lib/wine/wine64"
SERVER: Final = "/usr/lib/wine/wineserver64"
PROGRAMS: Final = Path("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows")
SOURCE: Final = Path(__file__).with_name("stand_in.asm")
STAND_INS: Final = (
    "cscript.exe", "fc.exe", "find.exe", "msiexec.exe", "ping.exe", "pnputil.exe", "reg.exe",
    "sc.exe", "shutdown.exe", "WindowsPowerShell/v1.0/powershell.exe",
)  # fmt: skip

DRIVER: Final = Item("AWS NVMe driver", Kind.DRIVER, "nvme/awsnvme.inf", is_required=True)
NETWORK: Final = Item("AWS ENA (network)", Kind.DRIVER, "ena/2.6/ena.inf")
PACKAGE: Final = Item("EC2Launch v2", Kind.MSI, "agents/AmazonEC2Launch.msi")
AGENT: Final = items.ssm_agent("agents/AmazonSSMAgentSetup.exe")
KEY: Final = r"HKLM\SYSTEM\DriverDatabase\DeviceIds\PCI\VEN_1D0F&DEV_0061"

SERVER_2019: Final = trigger.Situation(
    is_server=True, is_domain_controller=False, is_sysprepped=False, has_local_policy=True
)
CLIENT: Final = trigger.Situation(
    is_server=False, is_domain_controller=False, is_sysprepped=False, has_local_policy=True
)
SYSPREPPED: Final = trigger.Situation(
    is_server=True, is_domain_controller=False, is_sysprepped=True, has_local_policy=True
)


@dataclass
class Windows:
    """The Windows directory of a machine, and its starts."""

    base: Path
    program: bytes
    codes: dict[str, int] = field(default_factory=dict)
    placed: tuple[trigger.PlacedFile, ...] = ()

    @property
    def root(self) -> Path:
        return self.base / "drive_c" / "windows"

    def convert(
        self,
        todo: Sequence[Item],
        *,
        situation: trigger.Situation = SERVER_2019,
        existing: trigger.Existing | None = None,
    ) -> trigger.Trigger:
        found = trigger.prepare(situation, existing or trigger.Existing())
        self.placed = found.files
        files = {file.path: file.data for file in found.files}
        for item in todo:
            if item.kind in {Kind.DRIVER, Kind.MSI, Kind.PROGRAM, Kind.POWERSHELL}:
                files[f"{script.PAYLOADS}/{item.target}"] = self.program
        for path, data in (files | script.staged(todo, found)).items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return found

    def boot(self, command: str = "", *, is_detached: bool = False) -> list[str]:
        """Start the machine, which runs the script or `command`, and give what was called."""
        rules = self.differences() | self.codes
        text = "".join(f"{code} {part}\n" for part, code in rules.items())
        (self.base / "drive_c" / "codes").write_text(text, "ascii")
        calls = self.base / "drive_c" / "calls"
        calls.unlink(missing_ok=True)
        self.start(command or windows(trigger.SCRIPT))
        if is_detached:
            self.wait()
        if not calls.exists():
            return []
        called = calls.read_text("ascii").splitlines()
        lines = [re.sub(r"(?i)c:\\windows\\(system32\\)?", "", line).rstrip() for line in called]
        return [line for line in lines if "fc.exe" not in line]

    def start(self, command: str) -> None:
        """Run `command` in Wine's cmd.exe.

        Where Wine ends before cmd.exe has begun, that is no start of the script, and is repeated
        (a start of which nothing came was seen once, on a busy machine). Whatever happens after
        cmd.exe has begun is the script's.
        """
        begun = self.base / "drive_c" / "begun"
        begun.unlink(missing_ok=True)
        for _ in range(3):
            run(WINE, "cmd", "/d", "/c", rf"echo begun> C:\begun& {command}")
            if begun.exists():
                return
        pytest.fail("Wine does not start cmd.exe: see what it said")

    def wait(self) -> None:
        """Wait until the script is gone, which Wine's cmd.exe holds open while it runs it."""
        for _ in range(200):
            if not self.is_waiting():
                break
            run(WINE, "cmd", "/d", "/c", "exit")

    def differences(self) -> dict[str, int]:
        """Say of which files fc.exe finds that they differ: Wine's never does."""
        found = {}
        for number, file in enumerate(self.placed, start=1):
            here = self.root / file.path
            for version in ("now", "after"):
                other = f"{trigger.STAGING}/restore/{number}.{version}"
                if content(here) is None or content(here) != content(self.root / other):
                    found[f'"{windows(file.path)}" "{windows(other)}"'] = 1
        return found

    def log(self) -> str:
        return (self.root / script.LOG).read_text("ascii")

    def left(self) -> set[str]:
        """Give the files that were not there before the conversion."""
        files = (path for path in self.root.rglob("*") if path.is_file())
        found = {str(path.relative_to(self.root)) for path in files if not path.is_symlink()}
        return found - {f"System32/{name}" for name in STAND_INS}

    def is_waiting(self) -> bool:
        return (self.root / trigger.SCRIPT).exists()

    def assert_finished(self, outcome: str = "complete") -> None:
        # Wine's cmd.exe holds a script open that it runs, and so an empty directory stays.
        assert not self.is_waiting()
        assert not [path for path in self.left() if path.startswith(trigger.STAGING)]
        assert (self.root / script.DONE).read_text("ascii").split()[-1] == outcome
        assert "finished" in self.log()


def run(*argv: str) -> None:
    # Wine's server outlives its programs, and would hold a pipe open.
    command = 'exec "$@" > "$WINEPREFIX/said" 2>&1'
    done = process.run(["sh", "-c", command, "sh", *argv], timeout=60, check=False)
    # What pytest shows of a test that fails.
    said = (Path(os.environ["WINEPREFIX"]) / "said").read_text("utf-8", "replace")
    print(f"{argv} ended with {done.status} and said {said!r}")


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def windows(path: str) -> str:
    return "C:\\windows\\" + path.replace("/", "\\")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give the stand-in."""
    made = tmp_path_factory.mktemp("program") / "stand-in.exe"
    process.run(["nasm", "-f", "bin", "-o", str(made), str(SOURCE)])
    return made.read_bytes()


@pytest.fixture
def machine(program: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Windows]:
    """Give a machine whose C: is Wine's.

    Its System32 has links to Wine's programs and libraries, but for what the stand-in stands for.
    A prefix as Wine makes it is a copy of them all: 700 MB, and ten seconds.
    """
    found = Windows(tmp_path, program)
    system = found.root / "System32"
    for name in STAND_INS:
        target = system / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(program)
    for file in PROGRAMS.iterdir():
        if file.name not in STAND_INS:
            (system / file.name).symlink_to(file)
    (found.root / "system32").symlink_to("System32")  # as Wine calls it
    (found.root / "command").symlink_to(PROGRAMS)
    (tmp_path / ".update-timestamp").write_text("disable\n", "ascii")
    monkeypatch.setenv("WINEPREFIX", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where its server leaves a directory
    monkeypatch.setenv("WINEDEBUG", "-all")
    monkeypatch.setenv("WINEDLLOVERRIDES", ",".join(STAND_INS[:-1]) + "=n")
    monkeypatch.setenv("STAND_IN_CALLS", r"C:\calls")
    monkeypatch.setenv("STAND_IN_CODES", r"C:\codes")
    # By itself the server shuts down seconds after its last program, be it before the next start.
    run(SERVER, "-p60")
    yield found
    run(SERVER, "-k")


PNPUTIL: Final = r'"pnputil.exe" -i -a "Converter\payloads\nvme\awsnvme.inf"'
ENA: Final = r'"pnputil.exe" -i -a "Converter\payloads\ena\2.6\ena.inf"'
MSI: Final = (
    r'"msiexec.exe" /i "Converter\payloads\agents\AmazonEC2Launch.msi" /qn /norestart'
    r' /l* "Logs\converter-first-boot-{}.log"'
)
SSM: Final = r'"Converter\payloads\agents\AmazonSSMAgentSetup.exe" /S'


SHUTDOWN: Final = '"shutdown.exe" /r /t 5 /d p:2:4 /c "Drivers and agents were installed'
FIRST: Final = "awsnvme.inf"  # what tells the calls apart
SECOND: Final = "ena.inf"


def is_restart(call: str) -> bool:
    return call.startswith(SHUTDOWN)


def test_everything_is_done_once_and_nothing_is_left(machine: Windows) -> None:
    machine.convert([DRIVER, NETWORK, PACKAGE, AGENT])
    assert machine.boot() == [PNPUTIL, ENA, MSI.format(3), SSM]
    machine.assert_finished()
    assert "item 1: AWS NVMe driver\n" in machine.log()
    assert machine.log().count(": done, exit code 0\n") == 4
    assert machine.left() == {script.LOG, script.DONE, group_policy.GPT}


def test_every_kind_of_item_is_called_as_it_should_be(machine: Windows) -> None:
    product = "{4A1CF9A4-8F5B-4D33-9C22-2B0F53E1D6A7}"
    machine.convert(
        [
            Item("database entry", Kind.KEY_REMOVAL, KEY),
            items.vmware_tools_removal(product),
            items.dotnet("net/ndp48-x86-x64-allos-enu.exe"),
            Item("EC2Launch", Kind.POWERSHELL, "agents/install.ps1", ("-Schedule",)),
            *items.activation(),
        ]
    )
    removal = rf'"msiexec.exe" /X{product} /quiet /norestart /l* "Logs\converter-first-boot-2.log"'
    powershell = r'"WindowsPowerShell\v1.0\powershell.exe" -NoLogo -NoProfile -NonInteractive'
    assert machine.boot() == [
        rf'"reg.exe" delete "{KEY}" /f',
        removal + " REMOVE=ALL REBOOT=ReallySuppress",
        r'"Converter\payloads\net\ndp48-x86-x64-allos-enu.exe" /q /norestart',
        powershell
        + r' -ExecutionPolicy Bypass -File "Converter\payloads\agents\install.ps1" -Schedule',
        '"cscript.exe" //NoLogo slmgr.vbs /skms 169.254.169.250:1688',
        '"cscript.exe" //NoLogo slmgr.vbs /ato',
    ]
    machine.assert_finished()


def test_an_optional_item_that_fails_is_logged_and_not_tried_again(machine: Windows) -> None:
    machine.convert([DRIVER, NETWORK, AGENT])
    machine.codes = {SECOND: 2}
    assert machine.boot() == [PNPUTIL, ENA, SSM]
    assert "item 2: failed, exit code 2\n" in machine.log()
    machine.assert_finished()


def test_a_required_item_that_fails_is_tried_at_three_starts(machine: Windows) -> None:
    machine.convert([DRIVER, NETWORK])
    machine.codes = {FIRST: 5}
    assert machine.boot() == [PNPUTIL, ENA]
    assert machine.is_waiting()
    assert machine.boot() == [PNPUTIL]
    assert machine.is_waiting()
    assert machine.boot() == [PNPUTIL]
    machine.assert_finished("incomplete")
    assert "attempt 3 of 3" in machine.log()
    assert "giving up" in machine.log()


def test_a_required_item_may_succeed_later(machine: Windows) -> None:
    machine.convert([DRIVER, NETWORK])
    machine.codes = {FIRST: -2147023436}
    assert machine.boot() == [PNPUTIL, ENA]
    machine.codes = {}
    assert machine.boot() == [PNPUTIL]
    machine.assert_finished()


@pytest.mark.parametrize("code", [3010, 1641])
def test_a_restart_that_is_needed_is_the_last_thing(machine: Windows, code: int) -> None:
    machine.convert([DRIVER, NETWORK, PACKAGE])
    machine.codes = {FIRST: code, "msi": code}
    *calls, last = machine.boot()
    assert calls == [PNPUTIL, ENA, MSI.format(3)]
    assert is_restart(last)
    machine.assert_finished()


def test_there_is_one_restart_at_most(machine: Windows) -> None:
    machine.convert([DRIVER, NETWORK, PACKAGE])
    machine.codes = {FIRST: 5, SECOND: 3010}
    *calls, last = machine.boot()
    assert calls == [PNPUTIL, ENA, MSI.format(3)]
    assert is_restart(last)
    assert machine.boot() == [PNPUTIL]
    machine.codes = {FIRST: 3010}
    assert machine.boot() == [PNPUTIL]
    assert "one more restart is needed" in machine.log()
    machine.assert_finished()


def test_codes_that_are_no_failure(machine: Windows) -> None:
    required = [
        DRIVER,
        Item("package", Kind.MSI, "a.msi", is_required=True),
        Item("removal", Kind.MSI_REMOVAL, "{" + "0" * 8 + "-0000" * 3 + "-" + "0" * 12 + "}"),
        Item("entry", Kind.KEY_REMOVAL, KEY, is_required=True),
    ]
    machine.convert(required)
    machine.codes = {FIRST: 259, "a.msi": 1638, "/X": 1605, "delete": 1}
    assert len(machine.boot()) == 4
    assert "failed" not in machine.log()
    machine.assert_finished()


@pytest.mark.parametrize(
    ("where", "before", "after"),
    [
        (":after_1", [PNPUTIL], [ENA, SSM]),  # between items
        ("call :judge %ERRORLEVEL% 2", [PNPUTIL, ENA], [ENA, SSM]),  # before the second is noted
        (":items_done", [PNPUTIL, ENA, SSM], []),  # when all are done
        (":clean_up", [PNPUTIL, ENA, SSM], []),  # when that is noted
        ("call :restore", [PNPUTIL, ENA, SSM], []),
        ("call :log finished", [PNPUTIL, ENA, SSM], []),
    ],
)
def test_after_a_power_cut_nothing_is_done_twice(
    machine: Windows, where: str, before: list[str], after: list[str]
) -> None:
    machine.convert([DRIVER, NETWORK, AGENT])
    path = machine.root / trigger.SCRIPT
    whole = path.read_bytes()
    cut = whole.index(b"\r\n" + where.encode()) + 2
    path.write_bytes(whole[:cut] + b"exit 0\r\n" + whole[cut:])
    assert machine.boot() == before
    path.write_bytes(whole)
    assert machine.boot() == after
    machine.assert_finished()
    assert machine.left() == {script.LOG, script.DONE, group_policy.GPT}


def test_where_nothing_can_be_noted_nothing_is_done(machine: Windows) -> None:
    machine.convert([DRIVER])
    (machine.root / trigger.STAGING / "state").write_bytes(b"in the way")
    assert machine.boot() == []
    machine.assert_finished("incomplete")


def test_it_ends_whatever_happens(machine: Windows) -> None:
    # Every item fails, every start ends in a power cut before anything is noted.
    machine.convert([DRIVER, AGENT])
    machine.codes = {"": 1}
    path = machine.root / trigger.SCRIPT
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"call :judge", b"exit 0\r\ncall :judge"))
    assert [machine.boot() for _ in range(script.ATTEMPTS)] == [[PNPUTIL]] * script.ATTEMPTS
    assert machine.boot() == []
    machine.assert_finished("incomplete")


# --- what starts it -------------------------------------------------------------------------------

OTHERS: Final = (
    "\r\n[Startup]\r\n0CmdLine=theirs.cmd\r\n0Parameters=-a \u20ac\r\n"
    "[Shutdown]\r\n0CmdLine=bye.cmd\r\n0Parameters=\r\n"
).encode("utf-16")
LAUNCHER: Final = windows(f"{group_policy.STARTUP}/converter-first-boot.cmd")
OTHERS_GPT: Final = b"[General]\r\nVersion=65539\r\ndisplayName=Local\r\n"


def test_a_startup_script_starts_it_and_goes_again(machine: Windows) -> None:
    existing = trigger.Existing(gpt=OTHERS_GPT, scripts=OTHERS)
    machine.convert([DRIVER], existing=existing)
    assert machine.boot(LAUNCHER, is_detached=True) == [PNPUTIL]
    machine.assert_finished()
    assert (machine.root / group_policy.SCRIPTS).read_bytes() == OTHERS
    gpt = (machine.root / group_policy.GPT).read_bytes()
    assert gpt == OTHERS_GPT.replace(b"65539", b"65541")
    assert machine.left() == {script.LOG, script.DONE, group_policy.GPT, group_policy.SCRIPTS}


def test_a_policy_that_was_changed_since_stays_and_does_nothing(machine: Windows) -> None:
    machine.convert([DRIVER])
    path = machine.root / group_policy.SCRIPTS
    changed = path.read_bytes() + "1CmdLine=theirs.cmd\r\n1Parameters=\r\n".encode("utf-16-le")
    path.write_bytes(changed)
    gpt = (machine.root / group_policy.GPT).read_bytes()
    assert machine.boot(LAUNCHER, is_detached=True) == [PNPUTIL]
    machine.assert_finished()
    assert "scripts.ini was changed since the conversion and stays" in machine.log()
    assert path.read_bytes() == changed
    assert (machine.root / group_policy.GPT).read_bytes() == gpt
    assert machine.boot(LAUNCHER, is_detached=True) == []


def test_a_service_starts_it_and_is_deleted(machine: Windows) -> None:
    found = machine.convert([DRIVER], situation=CLIENT)
    assert machine.boot(service_command(machine, found), is_detached=True) == [
        PNPUTIL,
        '"sc.exe" delete ConverterFirstBoot',
    ]
    machine.assert_finished()
    assert machine.left() == {script.LOG, script.DONE, "start.cmd"}


def service_command(machine: Windows, found: trigger.Trigger) -> str:
    """Give a command that runs the service's command line as it stands."""
    (path,) = [value.value.text for value in found.values if value.name == "ImagePath"]
    (machine.root / "start.cmd").write_text(f"@echo off\r\n{path}\r\n", "ascii")
    return r"C:\windows\start.cmd"


# It ends all of cmd.exe, and is told where it lies.
THEIRS: Final = b'@"%SystemRoot%\\System32\\cscript.exe" "%~dp0theirs.vbs"\r\nexit\r\n'
SERVICE_CALLS: Final = [
    '"sc.exe" config ConverterFirstBoot start= auto',
    '"sc.exe" start ConverterFirstBoot',
]
IN_SETUP: Final = r'"reg.exe" query HKLM\SYSTEM\Setup /v SystemSetupInProgress'


@pytest.mark.parametrize("theirs", [None, THEIRS])
def test_setup_enables_a_service_which_waits_for_its_end(
    machine: Windows, theirs: bytes | None
) -> None:
    existing = trigger.Existing(setup_complete=theirs)
    found = machine.convert([DRIVER], situation=SYSPREPPED, existing=existing)
    before = [] if theirs is None else [r'"cscript.exe" "Setup\Scripts\theirs.vbs"']
    assert machine.boot(windows(trigger.SETUP_COMPLETE)) == before + SERVICE_CALLS
    *asked, driver, deleted = machine.boot(service_command(machine, found), is_detached=True)
    assert sorted(asked) == ['"find.exe" "0x0"', IN_SETUP]
    assert (driver, deleted) == (PNPUTIL, '"sc.exe" delete ConverterFirstBoot')
    machine.assert_finished()
    (machine.root / "start.cmd").unlink()
    kept = set() if theirs is None else {trigger.SETUP_COMPLETE}
    assert machine.left() == {script.LOG, script.DONE} | kept
    if theirs is not None:
        assert (machine.root / trigger.SETUP_COMPLETE).read_bytes() == theirs


def test_a_start_within_setup_is_no_attempt(
    machine: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "_SETUP_WAITS", 2)
    machine.convert([DRIVER], situation=SYSPREPPED)
    machine.codes = {"find.exe": 1}
    for _ in range(script.ATTEMPTS + 1):
        calls = machine.boot()
        assert [call for call in calls if "ping" in call] == ['"ping.exe" -n 6 127.0.0.1'] * 2
        assert PNPUTIL not in calls
    machine.codes = {}
    assert PNPUTIL in machine.boot()
    assert "attempt 1 of 3" in machine.log()
    machine.assert_finished()
