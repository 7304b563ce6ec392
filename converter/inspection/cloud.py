"""cloud-init in a guest: whether it runs, and where it would look for its data.

Configuration is /etc/cloud/cloud.cfg and then /etc/cloud/cloud.cfg.d/*.cfg by name; of a list, the
last one counts (cloud-init's documentation, "Configuration sources"). Only `datasource_list` at the
top level is read, in both of YAML's ways of writing a list; ds-identify itself reads no more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.guest import paths
from converter.guest.services import is_masked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converter.guest.protocol import ReadableGuest

MAIN: Final = "/etc/cloud/cloud.cfg"
DROP_INS: Final = "/etc/cloud/cloud.cfg.d"
_DISABLED: Final = "/etc/cloud/cloud-init.disabled"
_ARGUMENT: Final = "cloud-init=disabled"
_UNITS: Final = (
    "cloud-init.target", "cloud-init-main.service", "cloud-init-network.service",
    "cloud-init.service",
)  # fmt: skip
_SEEDS: Final = "/var/lib/cloud/seed"
_PROGRAMS: Final = ("/usr/bin/cloud-init", "/bin/cloud-init", "/usr/local/bin/cloud-init")
_FLOW: Final = re.compile(r"^datasource_list[ \t]*:[ \t]*\[([^\[\]]*)\]", re.MULTILINE)
_BLOCK: Final = re.compile(
    r"^datasource_list[ \t]*:[ \t]*\n((?:[ \t]*(?:-[^\n]*)?\n)*)", re.MULTILINE
)
_COMMENT: Final = re.compile(r"(?:^|(?<=[ \t]))#[^\n]*$", re.MULTILINE)
_ITEM: Final = re.compile(r"^[ \t]*-[ \t]*[\"']?([A-Za-z0-9]+)", re.MULTILINE)
_WORD: Final = re.compile(r"[A-Za-z0-9]+")
# The directories of seeds, and the data source that reads each.
_SEED_SOURCES: Final = {
    "nocloud": "NoCloud",
    "nocloud-net": "NoCloud",
    "ovf": "OVF",
    "config_drive": "ConfigDrive",
    "azure": "Azure",
    "openstack": "OpenStack",
}


@dataclass(frozen=True, slots=True)
class CloudInit:
    """What was found. `sources` is None where the built-in list counts, in which EC2 is.

    `file` is the file that the list is from; `seeds` are directories with data of another cloud.
    """

    sources: tuple[str, ...] | None
    file: str
    seeds: tuple[str, ...]

    @property
    def asks_ec2(self) -> bool:
        """Whether it comes to ask EC2: that is in its list, and no seed goes before it."""
        if self.sources is None:
            return not self.seeds
        if "Ec2" not in self.sources:
            return False
        before = self.sources[: self.sources.index("Ec2")]
        names = (seed.rpartition("/")[2] for seed in self.seeds)
        return not any(_SEED_SOURCES.get(name, "") in before for name in names)


def is_active(guest: ReadableGuest, arguments: Sequence[str] = ()) -> bool:
    """Tell whether cloud-init is there and not turned off (cloud-init's documentation).

    By its file, by a mask of one of its units, or by the kernel's `arguments`.
    """
    there = any(paths.is_file(guest, path) for path in _PROGRAMS)
    off = paths.kind(guest, _DISABLED) is not None or _ARGUMENT in arguments
    return there and not off and not any(is_masked(guest, unit) for unit in _UNITS)


def inspect_cloud_init(guest: ReadableGuest) -> CloudInit | None:
    """Read what cloud-init would do; None where it does not run."""
    if not is_active(guest):
        return None
    sources, file = None, ""
    for path in (MAIN, *paths.glob(guest, f"{DROP_INS}/*.cfg")):
        found = datasource_list(paths.text(guest, path) or "")
        if found is not None:
            sources, file = found, path
    seeds = tuple(
        f"{_SEEDS}/{name}"
        for name in paths.names(guest, _SEEDS)
        if name in _SEED_SOURCES and paths.names(guest, f"{_SEEDS}/{name}")
    )
    return CloudInit(sources, file, seeds)


def datasource_list(text: str) -> tuple[str, ...] | None:
    """Give the data sources that a configuration names; None where it names none at all."""
    bare = _COMMENT.sub("", text)
    if flow := _FLOW.search(bare):
        return tuple(_WORD.findall(flow[1]))
    if block := _BLOCK.search(f"{bare}\n"):
        return tuple(_ITEM.findall(block[1]))
    return None
