"""Another partition table, if asked for, with GRUB still booting (BOOT-6).

The table itself is made in `disk.conversion`. Here is what depends on the guest's files: GRUB's
core.img, which has the reader of one kind of table built in and often the name of a partition, gets
the other one from the guest's own modules; and every name of a partition by its table entry
(PARTUUID, PARTLABEL, GRUB's `hd0,gpt2`) follows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.disk import core_image
from converter.formats import FormatError, columns, grubenv
from converter.formats.efi_program import Kind
from converter.formats.grub_modules import CONFIG, MODULE, PREFIX, Object, module_dependencies
from converter.guest import caseless, paths
from converter.inspection.efi import EfiView
from converter.inspection.storage import link_name
from converter.inspection.systemd_boot import XBOOTLDR
from converter.model import BootMode, ConvertTable, Finding, Severity, TableType
from converter.policy import choose_boot_mode
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from converter.disk.conversion import Conversion
    from converter.disk.core_image import CoreImage
    from converter.guest.recording import RecordingGuest
    from converter.model import Facts, Partition
    from converter.steps.step import Context

_MODULE_DIRECTORIES: Final = ("/boot/grub/i386-pc", "/boot/grub2/i386-pc")
_MODULE_LIMIT: Final = 1 << 20
_GRUB_NAMES: Final = {TableType.MBR: "msdos", TableType.GPT: "gpt"}
_REASON: Final = "partitions have other identifiers in another partition table"
_REINSTALL: Final = "leave --partition-table out; or reinstall GRUB (grub-install) in the machine"


def run(context: Context) -> None:
    """Plan the table, GRUB for it, and the names that follow."""
    conversion = context.options.conversion
    if conversion is None:
        return
    names = _Names(conversion)
    try:
        _check_efi(context, conversion)
        core = _core(context.guest, conversion, names)
    except FormatError as error:
        context.guest.note(
            Finding(
                Severity.ERROR,
                "table-bootloader",
                f"the boot loader cannot follow: {error}",
                _REINSTALL,
            )
        )
        return
    _record(context.guest, conversion, core)
    _rename(context, names)


# --- GRUB -----------------------------------------------------------------------------------------


def _core(guest: RecordingGuest, conversion: Conversion, names: _Names) -> bytes:
    """Give core.img for the new table; b"" where the BIOS starts nothing."""
    if not conversion.core:
        return b""
    image = core_image.parse(conversion.core)
    image = _with_module(guest, image, f"part_{_GRUB_NAMES[conversion.table]}")
    image = image.with_objects(tuple(_renamed(item, names) for item in image.modules.objects))
    built = image.build(conversion.core_start // core_image.SECTOR)
    if len(built) > conversion.core_room:
        raise FormatError(
            f"its core.img has {len(built)} bytes, there is room for {conversion.core_room} before"
            " the first partition"
        )
    return built


def _renamed(item: Object, names: _Names) -> Object:
    if item.type not in (PREFIX, CONFIG) or names.renamed(item.text) == item.text:
        return item
    return Object(item.type, paths.encode(names.renamed(item.text)) + b"\0")


def _with_module(guest: RecordingGuest, image: CoreImage, name: str) -> CoreImage:
    """Give an image with a module of the guest's own GRUB and all that it needs, in order."""
    objects = image.modules.objects
    last = max((n for n, item in enumerate(objects, start=1) if item.type == MODULE), default=0)
    added: list[Object] = []
    seen = set(image.modules.names)

    def add(wanted: str) -> None:
        if wanted in seen:
            return
        seen.add(wanted)
        data = _module(guest, wanted)
        for needed in module_dependencies(data):
            add(needed)
        added.append(Object(MODULE, data))

    add(name)
    return image.with_objects((*objects[:last], *added, *objects[last:]))


def _module(guest: RecordingGuest, name: str) -> bytes:
    for directory in _MODULE_DIRECTORIES:
        path = f"{directory}/{name}.mod"
        if re.fullmatch(r"\w+", name) and paths.is_file(guest, path):
            return guest.read(path, limit=_MODULE_LIMIT)
    raise FormatError(f"its module {name} is not in {_MODULE_DIRECTORIES[0]}")


def _check_efi(context: Context, conversion: Conversion) -> None:
    """Ask that an EFI GRUB that is to start the guest reads the new table; it is not changed."""
    facts = context.facts
    if choose_boot_mode(facts, context.options.boot_mode) is not BootMode.UEFI:
        return
    view = EfiView(context.guest, context.storage, facts.esps, facts.linux.architecture)
    for esp in facts.esps:
        loader = view.fallback(esp)
        if loader is not None and loader.program.kind is Kind.SHIM:
            loader = view.second_stage(loader)
        if loader is not None and loader.program.kind is Kind.SYSTEMD_BOOT:
            _check_systemd_boot(conversion)
        if loader is None or loader.program.kind is not Kind.GRUB:
            continue
        module, modules = f"part_{_GRUB_NAMES[conversion.table]}", loader.program.modules
        if module not in modules.names or re.match(r"\((?:hd0)?,", modules.prefix):
            raise FormatError(
                f"{loader.path} was made for the old table ({modules.prefix}), and a program that"
                " may be signed is not changed"
            )


def _check_systemd_boot(conversion: Conversion) -> None:
    types = {partition.type.lower() for partition in conversion.disk.partitions}
    if conversion.table is TableType.MBR and XBOOTLDR in types:
        raise FormatError(
            "systemd-boot finds its entries by a type of partition (XBOOTLDR) that only a GPT has"
        )


# --- names ----------------------------------------------------------------------------------------


class _Names:
    """What partitions are called after the conversion."""

    def __init__(self, conversion: Conversion) -> None:
        self._grub = _GRUB_NAMES[conversion.table]
        self._numbers = conversion.numbers
        new = {part.number: part for part in conversion.partitions}
        self._identifiers: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        for part in conversion.disk.partitions:
            after = new.get(self._numbers.get(part.number, 0))
            if after is not None and part.uuid:
                self._identifiers[part.uuid.lower()] = after.uuid
            if after is not None and part.name:
                self._labels[part.name] = after.uuid

    def renamed(self, text: str) -> str:
        """Give a text with every name of a partition as it is afterwards."""
        text = _BY_UUID.sub(self._by_uuid, text)
        text = _BY_LABEL.sub(self._by_label, text)
        return _BY_GRUB.sub(self._by_grub, text)

    def _by_uuid(self, match: re.Match[str]) -> str:
        new = self._identifiers.get(match["value"].lower())
        return match[0] if new is None else f"{match['before']}{new}"

    def _by_label(self, match: re.Match[str]) -> str:
        # Escapes of fstab(5), and of udev's links.
        name = link_name(columns.decode(match["quoted"] or match["value"]))
        new = self._labels.get(name)
        if new is None:
            return match[0]
        before = match["before"].replace("LABEL", "UUID").replace("label", "uuid")
        quote = match["quote"] or ""
        return f"{before}{quote}{new}{quote}"

    def _by_grub(self, match: re.Match[str]) -> str:
        number = self._numbers.get(int(match["number"]))
        return match[0] if number is None else f"{match['before']}{self._grub}{number}"


_BY_UUID: Final = re.compile(
    r"(?P<before>\bPARTUUID=[\"']?|/dev/disk/by-partuuid/)(?P<value>[0-9A-Fa-f-]{11,36})(?![\w-])",
)
_BY_LABEL: Final = re.compile(
    r"(?P<before>\bPARTLABEL=|/dev/disk/by-partlabel/)"
    r"(?:(?P<quote>[\"'])(?P<quoted>[^\"'\n]{1,144})(?P=quote)|(?P<value>[^\s\"',]{1,144}))"
)
# As GRUB names the partitions of the first disk: hd0,gpt2 or, of the disk it is on, (,gpt2).
_BY_GRUB: Final = re.compile(
    r"(?P<before>(?:\b(?:hd|ahci|ata)0|(?<=\()),)(?:gpt|msdos)(?P<number>\d{1,3})\b"
)


def _rename(context: Context, names: _Names) -> None:
    guest = context.guest
    for path in _files(context):
        _edit(guest, path, lambda data: paths.encode(names.renamed(_text(data))))
    for pattern in load("partitions")["references"]["environments"]:
        for path in paths.glob(guest, pattern):
            _edit(guest, path, lambda data: _environment(data, names))

    for pattern in load("partitions")["references"]["units"]:
        for path in paths.glob(guest, pattern):
            text = paths.text(guest, path) or ""
            if names.renamed(text) != text:
                guest.note(_lost_unit(path))


def _lost_unit(path: str) -> Finding:
    return Finding(
        Severity.WARNING,
        "unit-device-missing",
        f"{path} is for a partition by its entry in the old table: it will not be found",
        "make it a line of /etc/fstab in the machine, and export it again",
    )


def _files(context: Context) -> Iterator[str]:
    references = load("partitions")["references"]
    for pattern in references["files"]:
        yield from paths.glob(context.guest, pattern)
    for esp in context.facts.esps:
        for pattern in references["esp_files"]:
            top, _, rest = pattern.partition("/")
            yield from paths.glob(
                context.guest, f"{caseless.find(context.guest, esp.path, top)}/{rest}"
            )


def _edit(guest: RecordingGuest, path: str, change: Callable[[bytes], bytes]) -> None:
    if not paths.is_file(guest, path):
        return
    data = guest.read(path)
    new = change(data)
    if new != data:
        guest.write(path, new, code="table-reference", reason=_REASON)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _environment(data: bytes, names: _Names) -> bytes:
    """Give an environment block whose values name the partitions as they are afterwards."""
    try:
        values = grubenv.parse(data)
    except FormatError:
        return data  # GRUB ignores it, too
    changes: dict[str, str | None] = {
        name: names.renamed(value)
        for name, value in values.items()
        if names.renamed(value) != value
    }
    return grubenv.with_values(data, changes) if changes else data


# --- the table ------------------------------------------------------------------------------------


def _record(guest: RecordingGuest, conversion: Conversion, core: bytes) -> None:
    old = conversion.disk
    change = ConvertTable(
        code="convert-table",
        reason=f"the disk is to have a partition table of the type {conversion.table.value}",
        path=old.device,
        table=conversion.table,
        partitions=conversion.partitions,
        pieces=conversion.pieces(core),
        size=conversion.size,
    )
    lines = [f"-{old.table.value}, {old.size} bytes", *(f"-{row(p)}" for p in old.partitions)]
    lines += [f"+{change.table.value}, {change.size} bytes"]
    lines += [f"+{row(part)}" for part in change.partitions]
    guest.record_table(change, "".join(f"{line}\n" for line in lines))
    if change.size != old.size:
        guest.note(
            Finding(
                Severity.INFO,
                "table-disk-grown",
                f"{old.device} grows by {(change.size - old.size) >> 10} KiB, for the backup of"
                " its GPT",
            )
        )


def row(part: Partition) -> str:
    """Give a partition as plans show it."""
    return f"{part.number}: sector {part.start // 512}, {part.size // 512} sectors, {part.type}"


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("partition-table", "convert the partition table, if asked for", _applies, run)
