"""What can be written on the command line (design: CLI)."""

from __future__ import annotations

import math
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from converter import __version__, answer_file
from converter.cli import explain as explaining
from converter.cli import host
from converter.cli.logfile import keeping_log
from converter.model import URLS, BootMode, Licence, Policy, TableType, Wanted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from converter.cli import commands, image_files, stores
    from converter.cli.stop import Stop

    _Option = Callable[[Callable[..., int]], Callable[..., int]]
else:

    class _Late:
        """The engine, imported when it is used: without guestfs, `doctor` works nevertheless."""

        def __init__(self, module: str) -> None:
            self._module = module

        def __getattr__(self, name: str) -> object:
            return getattr(import_module(self._module), name)

    commands = _Late("converter.cli.commands")
    image_files = _Late("converter.cli.image_files")
    stores = _Late("converter.cli.stores")

_LONGEST_BOOT: Final = 86400


class _FileName(click.Path):
    """A path; an empty one, as an unset variable gives, would mean the current directory."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | bytes | os.PathLike[str]:
        """See `click.ParamType`."""
        if value == "":
            self.fail("a path cannot be empty", param, ctx)
        # Of a source it is told why, and what to do.
        if isinstance(param, click.Option) and str(value).startswith(URLS):
            self.fail(f"{value!r} is a URL, and a path is needed", param, ctx)
        return super().convert(value, param, ctx)


def _number(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    """Refuse what is no number, and compares as if it were in any range."""
    if math.isnan(value):
        raise click.BadParameter("is not a number")
    return value


_PATH = _FileName(path_type=Path)
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
_table = click.option(
    "--partition-table",
    "table",
    type=click.Choice([TableType.GPT.value, TableType.MBR.value]),
    help="Give the boot disk another partition table.",
)
_generalize = click.option(
    "--generalize",
    is_flag=True,
    help="Reset what is one machine's own: id, SSH host keys, leases, logs, cloud-init's state.",
)


_as_is = click.option(
    "--no-changes", "as_is", is_flag=True, help="Hand it off as it is: nothing in it is changed."
)


_no_trim = click.option(
    "--no-trim",
    "no_trim",
    is_flag=True,
    help="Keep what is deleted in the guest's filesystems; else it is left out of the image.",
)


_licence = click.option(
    "--license-type",
    "licence",
    type=click.Choice([licence.value for licence in Licence]),
    help="Whose licence the system has: by default AWS's for a Windows Server, else your own.",
)
_unattend = click.option(
    "--unattend",
    type=_FileName(path_type=Path, exists=True, dir_okay=False),
    help="The answer file of a Windows that sysprep prepared.",
)


def _store_option(parameter: str, kind: click.Path) -> _Option:
    """Give `--drivers`: what a conversion takes from must be there, what is filled need not."""
    return click.option(
        "--drivers",
        parameter,
        type=kind,
        help="The driver store, instead of $CONVERTER_DRIVERS or your own.",
    )


_drivers = _store_option("drivers", _FileName(path_type=Path, exists=True, file_okay=False))
_agent = click.option(
    "--agent",
    type=click.Choice(["ssm", "none"]),
    default="ssm",
    show_default=True,
    help="The agent that is put in, if the driver store has it.",
)


def _wants(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that say what is wanted of a guest; the command gets them as `wanted`."""

    @wraps(command)
    def with_wanted(  # noqa: PLR0913 - one parameter an option
        *,
        policy: str,
        boot_mode: str | None,
        table: str | None,
        generalize: bool,
        as_is: bool,
        agent: str,
        drivers: Path | None,
        licence: str | None,
        unattend: Path | None,
        no_trim: bool,
        **others: Any,  # noqa: ANN401 - whatever other options the command has
    ) -> int:
        wanted = Wanted(
            Policy(policy),
            BootMode(boot_mode) if boot_mode else None,
            TableType(table) if table else None,
            generalize,
            as_is,
            agent != "none",
            drivers,
            Licence(licence) if licence else None,
            None if unattend is None else answer_file.read(unattend),
            not no_trim,
        )
        if as_is and (generalize or table or unattend or drivers):
            raise click.UsageError("--no-changes leaves no room for other changes")
        return command(wanted=wanted, **others)

    wrapped: Callable[..., int] = with_wanted
    options: tuple[_Option, ...] = (
        _policy, _boot_mode, _table, _generalize, _as_is, _drivers, _agent, _licence, _unattend,
        _no_trim,
    )  # fmt: skip
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(__version__, prog_name="converter")
def cli() -> None:
    """Convert exported virtual machines into images that boot on Amazon EC2."""


@cli.command()
@_disks
@_json
@_log
def inspect(*, disks: tuple[Path, ...], as_json: bool, log: Path | None) -> int:
    """Tell what the guest on DISK… is."""
    with keeping_log(log, inputs=disks):
        return commands.inspect(disks, as_json=as_json)


@cli.command()
@_disks
@_wants
@_json
@_log
def check(*, disks: tuple[Path, ...], wanted: Wanted, as_json: bool, log: Path | None) -> int:
    """Tell everything that is wrong with DISK…, without writing anything."""
    with keeping_log(log, inputs=disks):
        return commands.check(disks, wanted, as_json=as_json)


@cli.command()
@_disks
@_wants
@click.option("--diff", is_flag=True, help="Show every change as a diff.")
@_json
@_log
def plan(
    *,
    disks: tuple[Path, ...],
    wanted: Wanted,
    diff: bool,
    as_json: bool,
    log: Path | None,
) -> int:
    """Tell every change a conversion would make, with its reason (dry run)."""
    with keeping_log(log, inputs=disks):
        return commands.plan(disks, wanted, diff=diff, as_json=as_json)


@cli.command()
@_disks
@click.option("-o", "--output", "directory", required=True, type=_PATH, help="Where it is written.")
@click.option("--name", help="Name of the image; by default that of the first disk.")
@_wants
@_json
@_log
@click.pass_obj
def convert(  # noqa: PLR0913 - one parameter an option
    stop: Stop,
    *,
    disks: tuple[Path, ...],
    directory: Path,
    name: str | None,
    wanted: Wanted,
    as_json: bool,
    log: Path | None,
) -> int:
    """Convert DISK… into DIR/NAME.raw, with a manifest and a report."""
    with keeping_log(log, inputs=disks):
        return commands.convert(
            disks, wanted, directory=directory, name=name, as_json=as_json, published=stop.over
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
@click.option(
    "--timeout",
    type=click.FloatRange(1, _LONGEST_BOOT),
    callback=_number,
    default=300,
    show_default=True,
    help="Seconds that it is given to come up.",
)
@click.option(
    "--reversed",
    "is_reversed",
    is_flag=True,
    help="Attach the disks in the reverse order; the first is started from all the same.",
)
@_json
@_log
def boot(  # noqa: PLR0913 - one parameter an option
    *,
    images: tuple[Path, ...],
    firmware: str,
    bus: str,
    timeout: float,
    is_reversed: bool,
    as_json: bool,
    log: Path | None,
) -> int:
    """Boot IMAGE… under QEMU on a throw-away overlay and tell what came up."""
    with keeping_log(log, inputs=images):
        return commands.boot(
            images,
            firmware=firmware,
            bus=bus,
            is_reversed=is_reversed,
            timeout=timeout,
            as_json=as_json,
        )


@cli.command()
@click.argument("image", type=_PATH)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["vmdk", "vhd", "vhdx", "qcow2", "raw"]),
    required=True,
    help="vmdk: stream-optimized, as VMware exports it; vhd and vhdx: dynamic.",
)
@click.option("-o", "--output", "target", type=_PATH, required=True, help="The file to write.")
@_json
@_log
@click.pass_obj
def export(  # noqa: PLR0913 - one parameter an option
    stop: Stop, *, image: Path, kind: str, target: Path, as_json: bool, log: Path | None
) -> int:
    """Write the raw IMAGE as another hypervisor's file."""
    with keeping_log(log, inputs=[image]):
        return image_files.export(image, target, kind, as_json=as_json, published=stop.over)


@cli.command()
@click.argument("manifest", type=_PATH)
@_json
@_log
def verify(*, manifest: Path, as_json: bool, log: Path | None) -> int:
    """Check that the disks of MANIFEST are there and are what it says."""
    with keeping_log(log, inputs=[manifest]):
        return image_files.verify(manifest, as_json=as_json)


@cli.group()
def drivers() -> None:
    """See and fill the driver store: what guests are given that does not come from them."""


_store = _store_option("directory", _PATH)
_key = click.option(
    "--key", type=_PATH, help="The vendor's OpenPGP public key; it is kept in the store."
)


@drivers.command("list")
@_store
@click.option("--for", "disks", multiple=True, type=_PATH, help="What the guest on it would get.")
@_json
@_log
def drivers_list(
    *, directory: Path | None, disks: tuple[Path, ...], as_json: bool, log: Path | None
) -> int:
    """Tell every payload there is and whether the store has it, or what a guest would get."""
    with keeping_log(log, inputs=disks):
        if disks:
            wanted = Wanted(drivers=directory)
            return stores.list_for(disks, wanted, as_json=as_json)
        return stores.list_all(directory, as_json=as_json)


@drivers.command("fetch")
@click.argument("names", nargs=-1, metavar="[NAME…]")
@_store
@_key
@_json
@_log
def drivers_fetch(
    *,
    names: tuple[str, ...],
    directory: Path | None,
    key: Path | None,
    as_json: bool,
    log: Path | None,
) -> int:
    """Fetch bundles (NAME or NAME/PAYLOAD; all without any) from their vendors."""
    with keeping_log(log, inputs=[]):
        return stores.fetch(names, directory, key=key, as_json=as_json)


@drivers.command("import")
@click.argument("sources", nargs=-1, required=True, type=_PATH, metavar="SOURCE…")
@_store
@_key
@_json
@_log
def drivers_import(
    *,
    sources: tuple[Path, ...],
    directory: Path | None,
    key: Path | None,
    as_json: bool,
    log: Path | None,
) -> int:
    """Import payloads from files, directories, zip, tar, cab and msi archives, and ISO images."""
    with keeping_log(log, inputs=sources):
        return stores.import_(sources, directory, key=key, as_json=as_json)


@drivers.command("verify")
@_store
@_json
@_log
def drivers_verify(*, directory: Path | None, as_json: bool, log: Path | None) -> int:
    """Read every payload of the store, and check that it is what the lock says."""
    with keeping_log(log, inputs=[]):
        return stores.verify(directory, as_json=as_json)


@cli.command()
@click.argument("code")
@_json
@_log
def explain(*, code: str, as_json: bool, log: Path | None) -> int:
    """Tell what CODE means, how it comes about, and what to do."""
    with keeping_log(log, inputs=[]):
        return explaining.explain(code, as_json=as_json)


@cli.command()
@_json
@_log
def doctor(*, as_json: bool, log: Path | None) -> int:
    """Tell whether this machine is able to do the work, and what to install if not."""
    with keeping_log(log, inputs=[]):
        return host.doctor(as_json=as_json)
