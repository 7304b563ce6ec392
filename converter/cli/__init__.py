"""The command line: arguments in, exit codes out (design: exit codes are part of the contract).

0 done · 1 a defect of ours · 2 usage · 3 refused · 4 damaged input · 5 this machine lacks
something · 6 conversion failed, nothing published · 130 interrupted.

With `--json` there is one document on stdout whatever happens; for an error it is
``{"error": {"code", "message", "hint", "exit_code"}, "findings": […]}``.
"""

from __future__ import annotations

import io
import logging
import sys
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING, NoReturn

import click

from converter.cli import output
from converter.cli.arguments import cli
from converter.cli.stop import Stop, ignore
from converter.errors import (
    ConversionError,
    DefectError,
    HostError,
    InterruptionError,
    UsageError,
    is_full,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> NoReturn:
    """Run the command line and exit with the code that the contract names."""
    stop = Stop()
    stop.install()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # What is logged goes to the --log file or nowhere: it holds what a guest says.
    logging.getLogger("converter").addHandler(logging.NullHandler())
    logging.raiseExceptions = False
    code = run(sys.argv[1:], stop)
    ignore()
    sys.exit(code)


def run(arguments: Sequence[str], stop: Stop | None = None) -> int:
    """Run one command and give its exit code; nothing but signals' defaults ends it otherwise.

    What fails after `stop` was called fails for that reason: Python swallows a KeyboardInterrupt
    that comes in a finalizer, and the work goes on until it misses the appliance.
    """
    stop = stop or Stop()
    if not arguments:
        click.echo(
            cli.get_help(click.Context(cli, info_name="converter", **cli.context_settings)),
            err=True,
        )
        return UsageError.exit_code
    options = frozenset(takewhile(lambda word: word != "--", arguments))
    try:
        result = cli.main(list(arguments), prog_name="converter", standalone_mode=False, obj=stop)
    except SystemExit as error:  # what click makes of EPIPE, wherever it comes from
        if "--help" in options:  # nobody reads it to the end
            return 0
        failure = error.__context__ or error
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - each has its exit code
        failure = error
    else:
        return int(result or 0)
    explained = _explained(KeyboardInterrupt() if stop.was_called else failure)
    if "--json" in options:
        with suppress(HostError):  # stdout takes nothing; the exit code and stderr still tell
            output.show_json(output.error_as_json(explained))
    output.complain(explained)
    return explained.exit_code


def _explained(error: BaseException) -> ConversionError:
    """Give any error as one that says why the run ended and what to do."""
    match error:
        case ConversionError():
            return error
        case KeyboardInterrupt() | click.Abort():
            return InterruptionError("interrupted", "interrupted; nothing unfinished is left")
        case click.ClickException():
            context = error.ctx if isinstance(error, click.UsageError) else None
            path = context.command_path if context else "converter"
            return UsageError("usage", error.format_message(), hint=f"see `{path} --help`")
        case ImportError():
            return HostError(
                "module-missing",
                f"a Python module cannot be imported: {error}",
                hint="run `converter doctor`: it names the package to install",
            )
        case OSError() if is_full(error):
            return HostError("disk-full", str(error), hint="free some space, and run it again")
        case _:
            return DefectError(
                "defect",
                f"a defect of converter: {type(error).__name__}: {error}",
                hint="run it again with --log FILE, and report it with that file",
            )
