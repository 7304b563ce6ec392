"""The report that a person reads: one HTML file without scripts or anything from elsewhere.

Everything in it that comes from the guest is escaped (jinja2's autoescape), and characters that
would not show or would reorder the text are made visible.
"""

from __future__ import annotations

import unicodedata
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import jinja2

from converter import __version__
from converter.changes import as_json as change_as_json
from converter.handoff.facts import guest_as_json, jsonable, source_as_json
from converter.handoff.manifest import register_image

if TYPE_CHECKING:
    from converter.model import Disk, Facts, Report

_PLAIN: Final = frozenset("\n\t")
_UNSEEN: Final = ("C", "Zl", "Zp")
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024


def render(report: Report) -> str:
    """Give the report as the text of an HTML file."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["size"] = human_size
    template = environment.from_string(
        files(__package__).joinpath("report.html").read_text("utf-8")
    )
    pairs = zip(report.plan.changes, report.plan.diffs, strict=True)
    context = {
        "version": __version__,
        "source": source_as_json(report.source),
        "guest": guest_as_json(report.after),
        "boot_mode": report.boot_mode.value,
        "layouts": [("before", _layout(report.before)), ("after", _layout(report.after))],
        "disks": jsonable(report.disks),
        "capabilities": jsonable(report.capabilities),
        "changes": [
            {**change_as_json(change), "lines": _diff_lines(diff)} for change, diff in pairs
        ],
        "findings": jsonable(report.findings),
        "register_image": register_image(report),
        "timings": report.timings,
    }
    return template.render(visible(context))


def visible(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    """Give `value` with every control, format and surrogate character in it made visible."""
    if isinstance(value, str):
        return "".join(_visible_character(character) for character in value)
    if isinstance(value, dict):
        return {key: visible(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [visible(item) for item in value]
    return value


def _visible_character(character: str) -> str:
    if character in _PLAIN or not unicodedata.category(character).startswith(_UNSEEN):
        return character
    return f"\\u{{{ord(character):x}}}"


def human_size(size: int) -> str:
    """Give a size in bytes in the largest binary unit that keeps it above one."""
    amount = float(size)
    for unit in _UNITS:
        if amount < _STEP or unit == _UNITS[-1]:
            break
        amount /= _STEP
    return f"{amount:.4g} {unit}"


def _layout(facts: Facts) -> list[dict[str, Any]]:
    return [
        {
            "device": disk.device,
            "size": disk.size,
            "table": disk.table.value,
            "parts": _parts(disk, facts),
        }
        for disk in facts.disks
    ]


def _parts(disk: Disk, facts: Facts) -> list[dict[str, Any]]:
    """Give the partitions of a disk with what is on them and their share of it in percent."""
    found = []
    for partition in disk.partitions:
        device = f"{disk.device}{partition.number}"
        filesystem = facts.filesystem(device)
        mounts = [mount.path for mount in facts.mounts if mount.device == device]
        found.append(
            {
                "number": partition.number,
                "size": partition.size,
                "share": max(100 * partition.size / max(disk.size, 1), 2),
                "filesystem": filesystem.type if filesystem else "",
                "uuid": filesystem.uuid if filesystem else "",
                "mounts": mounts,
            }
        )
    return found


def _diff_lines(diff: str) -> list[tuple[str, str]]:
    """Give each line of a diff with the class that colours it."""
    classes = {"+": "added", "-": "removed", "@": "place"}
    return [(classes.get(line[:1], "same"), line) for line in diff.splitlines()]
