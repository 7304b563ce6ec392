"""The command line: arguments in, exit codes out (design: exit codes are part of the contract).

0 done · 1 a defect of ours · 2 usage · 3 refused · 4 damaged input · 5 this machine lacks
something · 6 conversion failed, nothing published · 130 interrupted.
"""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from converter import __version__
from converter.cli import commands, output
from converter.errors import ConversionError, GuestRefusedError
from converter.model import BootMode, Policy

if TYPE_CHECKING:
    from types import FrameType

_INTERRUPTED: Final = 130
_DEFECT: Final = 1

_PATH = click.Path(path_type=Path)
_disks = click.argument("disks", nargs=-1, required=True, type=_PATH, metavar="DISK…")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
_log = click.option("--log", type=_PATH, help="Keep everything, with the commands that were run.")
_policy = click.option(
    "--policy",
    type=click.Choice([policy.value for policy in Policy]),
    default=Policy.OPEN.value,
    show_default=True,
    help="Refuse what cannot be converted (open) or what VM Import/Export refuses (aws).",
)
_boot_mode = click.option(
    "--boot-mode", type=click.Choice([mode.value for mode in BootMode]), help="Make it boot so."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="converter")
def cli() -> None:
    """Convert exported virtual machines into images that boot on Amazon EC2."""


@cli.command()
@_disks
@_json
@_log
def inspect(*, disks: tuple[Path, ...], as_json: bool, log: Path | None) -> None:
    """Tell what the guest on DISK… is."""
    with _logging(log):
        commands.inspect(disks, as_json=as_json)


@cli.command()
@_disks
@_policy
@_boot_mode
@_json
@_log
def check(
    *,
    disks: tuple[Path, ...],
    policy: str,
    boot_mode: str | None,
    as_json: bool,
    log: Path | None,
) -> None:
    """Tell everything that is wrong with DISK…, without writing anything."""
    with _logging(log):
        commands.check(disks, policy=Policy(policy), boot_mode=_mode(boot_mode), as_json=as_json)


@cli.command()
@_disks
@_policy
@_boot_mode
@click.option("--diff", is_flag=True, help="Show every change as a diff.")
@_json
@_log
def plan(  # noqa: PLR0913 - one parameter an option
    *,
    disks: tuple[Path, ...],
    policy: str,
    boot_mode: str | None,
    diff: bool,
    as_json: bool,
    log: Path | None,
) -> None:
    """Tell every change a conversion would make, with its reason (dry run)."""
    with _logging(log):
        commands.plan(
            disks,
            policy=Policy(policy),
            boot_mode=_mode(boot_mode),
            diff=diff,
            as_json=as_json,
        )


@cli.command()
@_disks
@click.option("-o", "--output", "directory", required=True, type=_PATH, help="Where it is written.")
@click.option("--name", help="Name of the image; by default that of the first disk.")
@_policy
@_boot_mode
@_json
@_log
def convert(  # noqa: PLR0913 - one parameter an option
    *,
    disks: tuple[Path, ...],
    directory: Path,
    name: str | None,
    policy: str,
    boot_mode: str | None,
    as_json: bool,
    log: Path | None,
) -> None:
    """Convert DISK… into DIR/NAME.raw, with a manifest and a report."""
    with _logging(log):
        commands.convert(
            disks,
            directory=directory,
            name=name,
            policy=Policy(policy),
            boot_mode=_mode(boot_mode),
            as_json=as_json,
        )


@cli.command()
@click.argument("images", nargs=-1, required=True, type=_PATH, metavar="IMAGE…")
@click.option("--firmware", type=click.Choice(["bios", "uefi"]), default="bios", show_default=True)
@click.option(
    "--bus",
    type=click.Choice(["nvme", "ide", "ahci", "virtio"]),
    default="nvme",
    show_default=True,
)
@click.option("--timeout", type=click.FloatRange(min=1), default=300, show_default=True)
@_json
@_log
def boot(  # noqa: PLR0913 - one parameter an option
    *,
    images: tuple[Path, ...],
    firmware: str,
    bus: str,
    timeout: float,
    as_json: bool,
    log: Path | None,
) -> None:
    """Boot IMAGE… under QEMU on a throw-away overlay and tell what came up."""
    with _logging(log):
        commands.boot(images, firmware=firmware, bus=bus, timeout=timeout, as_json=as_json)


@cli.command()
@click.argument("manifest", type=_PATH)
@_json
def verify(*, manifest: Path, as_json: bool) -> None:
    """Check that the disks of MANIFEST are there and are what it says."""
    commands.verify(manifest, as_json=as_json)


@cli.command()
@_json
def doctor(*, as_json: bool) -> None:
    """Tell whether this machine is able to do the work, and what to install if not."""
    commands.doctor(as_json=as_json)


def _mode(boot_mode: str | None) -> BootMode | None:
    return BootMode(boot_mode) if boot_mode else None


def _logging(log: Path | None) -> _Log:
    return _Log(log)


class _Log:
    """Sends every log record to a file while the block runs."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._handler: logging.Handler | None = None

    def __enter__(self) -> None:
        if self._path is None:
            return
        try:
            self._handler = logging.FileHandler(self._path, encoding="utf-8", errors="replace")
        except OSError as error:
            message = f"{self._path}: cannot be written: {error.strerror}"
            raise click.UsageError(message) from error
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        logging.getLogger("converter").addHandler(self._handler)
        logging.getLogger("converter").setLevel(logging.DEBUG)

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            logging.getLogger("converter").removeHandler(self._handler)
            self._handler.close()


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main() -> NoReturn:
    """Run the command line and exit with the code that the contract names."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    try:
        result = cli.main(arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        output.warn("interrupted; nothing was left behind")
        return _INTERRUPTED
    except commands.AlreadyShownError as error:
        return error.shown_exit_code
    except ConversionError as error:
        if isinstance(error, GuestRefusedError) and error.findings:
            output.complain(error)
        elif "--json" in arguments:
            output.show_json(output.error_as_json(error))
            output.complain(error)
        else:
            output.complain(error)
        return error.exit_code
    except Exception:
        logging.getLogger("converter").exception("defect")
        return _DEFECT
    return result if isinstance(result, int) else 0
