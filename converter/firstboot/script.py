r"""The script of the first boot: one batch file for cmd.exe of Windows Server 2008 R2 and later.

It runs as SYSTEM and never waits for anybody. What it knows between starts are files that are
there or not, in its staging directory: one for every attempt, one for every item that is done. So a
power cut costs at most the item that was running; and where these files cannot be made, nothing is
done at all. An attempt is a start of the machine. There are at most `ATTEMPTS`, whatever happens,
and the script restarts the machine once at most. At its end it leaves a mark that all is done, puts
back what it was started by, and removes itself and its payloads. Its log stays.

The log is in `%SystemRoot%\Logs`, not in `Temp`, where users may put files. Installers unpack
themselves there, and run what they unpacked: they get a directory of ours, where nobody else may.

The language is kept small, for there are traps: labels and `goto` instead of blocks, in which
variables keep the values that they had before; no delayed expansion, which eats `!`; no redirection
after a digit; every program by its full path and without input. A program with windows is waited
for in a script (`cmd /?`); `start /wait` would show a message that nobody sees where there is none.
Limit: a program that never ends holds the script until the machine is started again, which is the
next attempt.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.firstboot.items import Item, Kind
from converter.firstboot.trigger import SCRIPT, SERVICE, STAGING, Mechanism, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ATTEMPTS: Final = 3
PAYLOADS: Final = f"{STAGING}/payloads"
LOG: Final = "Logs/converter-first-boot.log"
DONE: Final = "Logs/converter-first-boot.done"
STATE: Final = f"{STAGING}/state"
# What is noted there.
NOTE: Final = re.compile(r"(?:attempt|item)-\d{1,3}|restarted", re.ASCII)
# Half an hour, in steps of five seconds.
_SETUP_WAITS: Final = 360

_HEAD: Final = r"""@echo off
setlocal EnableExtensions DisableDelayedExpansion
rem Made by converter: finishes the conversion of this machine, and removes itself.
set "SYSTEM=%SystemRoot%\System32"
set "STAGE=%SystemRoot%\{staging}"
set "STATE=%STAGE%\state"
set "LOGS=%SystemRoot%\Logs"
set "LOG=%SystemRoot%\{log}"
set "DONE=%SystemRoot%\{done}"
set "OUTCOME=complete"
set "ATTEMPT="
set "PENDING="
set "RESTART="
set "KEPT="
cd /d "%SYSTEM%"
if not exist "%LOGS%" mkdir "%LOGS%"
if exist "%DONE%" goto clean_up
"""

_WAIT: Final = r"""set "WAITS=0"
set "QUERY=query HKLM\SYSTEM\Setup /v SystemSetupInProgress"
:wait
"%SYSTEM%\reg.exe" %QUERY% 2>nul | "%SYSTEM%\find.exe" "0x0" >nul
if not errorlevel 1 goto begin
if "%WAITS%"=="{waits}" goto setup_goes_on
set /a WAITS+=1
"%SYSTEM%\ping.exe" -n 6 127.0.0.1 >nul
goto wait
:setup_goes_on
call :log Windows Setup goes on: trying again at the next start
exit 0
"""

_BEGIN: Final = r""":begin
if not exist "%STATE%" mkdir "%STATE%"
for %%n in ({attempts}) do if not exist "%STATE%\attempt-%%n" set "ATTEMPT=%%n"
if not defined ATTEMPT goto give_up
type nul >"%STATE%\attempt-%ATTEMPT%"
if not exist "%STATE%\attempt-%ATTEMPT%" goto give_up
set "TEMP=%STAGE%\temp"
set "TMP=%STAGE%\temp"
if not exist "%TEMP%" mkdir "%TEMP%"
call :log attempt %ATTEMPT% of {last}
"""

_END: Final = r""":items_done
if not defined PENDING goto complete
if "%ATTEMPT%"=="{last}" goto give_up
call :log not everything that is required is done: trying again at the next start
if not defined RESTART exit 0
if exist "%STATE%\restarted" exit 0
type nul >"%STATE%\restarted"
if not exist "%STATE%\restarted" exit 0
call :log restarting the machine
{restart}
exit 0
:give_up
set "OUTCOME=incomplete"
call :log giving up: see above for what is missing
:complete
>"%DONE%" echo %DATE% %TIME% %OUTCOME%
:clean_up
{clean_up}call :log finished: removing %STAGE%
if not defined RESTART goto remove
if exist "%STATE%\restarted" goto restart_needed
call :log restarting the machine
rd /s /q "%STAGE%" & {restart} & exit 0
:restart_needed
call :log one more restart is needed: it is left to you
:remove
rd /s /q "%STAGE%" & exit 0
"""

# Arguments: exit code, number, codes of success and of a restart needed, required or optional.
_JUDGE: Final = r""":judge
set "RESULT=failed"
for %%c in (%~3) do if "%1"=="%%c" set "RESULT=done"
for %%c in (%~4) do if "%1"=="%%c" set "RESULT=done, restart needed"
call :log item %2: %RESULT%, exit code %1
if "%RESULT%"=="done, restart needed" set "RESTART=1"
if "%RESULT%"=="failed" if "%5"=="required" goto judge_pending
type nul >"%STATE%\item-%2"
exit /b 0
:judge_pending
set "PENDING=1"
exit /b 0
"""

_LOG: Final = r""":log
>>"%LOG%" echo %DATE% %TIME% %*
exit /b 0
"""

# Arguments: the file below the Windows directory, and its number. What has changed since stays, and
# so does what comes after it.
_RESTORE: Final = r""":restore
if defined KEPT exit /b 0
set "FILE=%SystemRoot%\%~1"
set "NOW=%STAGE%\restore\%2.now"
set "AFTER=%STAGE%\restore\%2.after"
if not exist "%FILE%" if not exist "%AFTER%" exit /b 0
if not exist "%AFTER%" goto restore_compare
"%SYSTEM%\fc.exe" /b "%FILE%" "%AFTER%" >nul 2>&1
if not errorlevel 1 exit /b 0
:restore_compare
"%SYSTEM%\fc.exe" /b "%FILE%" "%NOW%" >nul 2>&1
if errorlevel 1 goto restore_keep
"%SYSTEM%\attrib.exe" -r -h -s "%FILE%" >nul 2>&1
if not exist "%AFTER%" goto restore_delete
copy /b /y "%AFTER%" "%FILE%.new" >nul 2>&1
if not errorlevel 1 move /y "%FILE%.new" "%FILE%" >nul 2>&1
exit /b 0
:restore_delete
del /f /q "%FILE%" >nul 2>&1
exit /b 0
:restore_keep
set "KEPT=1"
call :log %~1 was changed since the conversion and stays: what it starts does nothing any more
exit /b 0
"""

_RESTART: Final = (
    r'"%SYSTEM%\shutdown.exe" /r /t 5 /d p:2:4'
    ' /c "Drivers and agents were installed after the conversion of this machine."'
)
_LOGGED: Final = r' <nul >>"%LOG%" 2>&1'
_PAYLOAD: Final = r"%SystemRoot%" + "\\" + PAYLOADS.replace("/", "\\") + "\\"
_MSI_LOG: Final = r'/l* "%LOGS%\converter-first-boot-{number}.log"'
_COMMANDS: Final = {
    Kind.DRIVER: r'"%SYSTEM%\pnputil.exe" -i -a "{payload}"',
    Kind.MSI: rf'"%SYSTEM%\msiexec.exe" /i "{{payload}}" /qn /norestart {_MSI_LOG}',
    Kind.MSI_REMOVAL: (
        rf'"%SYSTEM%\msiexec.exe" /X{{target}} /quiet /norestart {_MSI_LOG}'
        " REMOVE=ALL REBOOT=ReallySuppress"
    ),
    Kind.PROGRAM: '"{payload}"',
    Kind.POWERSHELL: (
        r'"%SYSTEM%\WindowsPowerShell\v1.0\powershell.exe" -NoLogo -NoProfile -NonInteractive'
        ' -ExecutionPolicy Bypass -File "{payload}"'
    ),
    Kind.COMMAND: r'"%SYSTEM%\{target}"',
    Kind.KEY_REMOVAL: r'"%SYSTEM%\reg.exe" delete "{target}" /f',
    Kind.VALUE_REMOVAL: r'"%SYSTEM%\reg.exe" delete "{target}" /f /v',
}
# No device for the driver, or a better one is there; a newer version of the product, or none to
# remove; no such key.
_ALSO_FINE: Final = {
    Kind.DRIVER: (259,),
    Kind.MSI: (1638,),
    Kind.MSI_REMOVAL: (1605,),
    Kind.KEY_REMOVAL: (1,),
    Kind.VALUE_REMOVAL: (1,),
}


def staged(items: Sequence[Item], trigger: Trigger) -> dict[str, bytes]:
    """Give the files of the staging directory, payloads apart, by paths below the Windows one."""
    found = {SCRIPT: first_boot(items, trigger)}
    for number, file in enumerate(trigger.files, start=1):
        found[f"{STAGING}/restore/{number}.now"] = file.data
        if file.after is not None:
            found[f"{STAGING}/restore/{number}.after"] = file.after
    return found


def first_boot(items: Sequence[Item], trigger: Trigger) -> bytes:
    """Give the script that does `items`, in order, and undoes `trigger`."""
    return "".join(_parts(items, trigger)).replace("\n", "\r\n").encode("ascii")


def _parts(items: Sequence[Item], trigger: Trigger) -> Iterator[str]:
    yield _HEAD.format(staging=_windows(STAGING), log=_windows(LOG), done=_windows(DONE))
    if trigger.mechanism is Mechanism.SETUP_COMPLETE:
        yield _WAIT.format(waits=_SETUP_WAITS)
    # Counted down, for the last that is missing is the one to make.
    attempts = " ".join(str(number) for number in range(ATTEMPTS, 0, -1))
    yield _BEGIN.format(attempts=attempts, last=ATTEMPTS)
    for number, item in enumerate(items, start=1):
        yield from _item(number, item)
    yield _END.format(last=ATTEMPTS, restart=_RESTART, clean_up="".join(_clean_up(trigger)))
    yield from (_LOG, _JUDGE, _RESTORE)


def _item(number: int, item: Item) -> Iterator[str]:
    payload = _PAYLOAD + _windows(item.target)
    command = _COMMANDS[item.kind].format(payload=payload, target=item.target, number=number)
    fine = " ".join(map(str, (0, *_ALSO_FINE.get(item.kind, ()))))
    needed = "required" if item.is_required else "optional"
    yield rf'if exist "%STATE%\item-{number}" goto after_{number}' + "\n"
    yield f"call :log item {number}: {item.name}\n"
    yield " ".join((command, *item.arguments)) + _LOGGED + "\n"
    yield f'call :judge %ERRORLEVEL% {number} "{fine}" "3010 1641" {needed}\n'
    yield f":after_{number}\n"


def _clean_up(trigger: Trigger) -> Iterator[str]:
    for number, file in enumerate(trigger.files, start=1):
        yield f'call :restore "{_windows(file.path)}" {number}\n'
    if trigger.values:
        yield rf'"%SYSTEM%\sc.exe" delete {SERVICE}{_LOGGED}' + "\n"


def _windows(path: str) -> str:
    return path.replace("/", "\\")
