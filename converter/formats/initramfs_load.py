"""The lists of modules that an initramfs loads whatever devices it sees, by what made it.

Where udev runs, modules are found by the aliases of devices, and a list is only to be sure. Without
it, the list is what loads them. An image of another program than the ones here has no list that
could be changed: what has udev needs none.

- initramfs-tools: conf/modules, a name and its parameters on a line (initramfs-tools(7)).
- mkinitcpio: MODULES in the shell variables of /config (mkinitcpio.conf(5)).
- nash, the shell of Red Hat's mkinitrd: /init itself names each module's file.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from converter.formats import kmod, nash, shellvars

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from converter.formats.initramfs import Image


def load_always(
    image: Image,
    names: Sequence[str],
    added: Sequence[str],
    *,
    changed: Mapping[str, bytes] = MappingProxyType({}),
) -> dict[str, bytes]:
    """Give the files of `image` that change so that it loads the modules `names`, by path.

    `added` are the paths of the modules that were not in it, in an order that loads. `changed` are
    files that change anyway: they come along. Raises `FormatError` for a script that cannot be
    changed.
    """
    row = _LISTS.get(image.generator)
    if row is None:
        return dict(changed)
    path, edit = row
    old = changed.get(path) or image.read(path) or b""
    new = edit(old.decode("utf-8", "surrogateescape"), names, added)
    data = new.encode("utf-8", "surrogateescape")
    return dict(changed) if data == old else {**changed, path: data}


def can_load(image: Image) -> bool:
    """Tell whether modules that are put into `image` get loaded in it."""
    return image.has_udev or image.generator in _LISTS


def _conf_modules(text: str, names: Sequence[str], _added: Sequence[str]) -> str:
    words = (line.split() for line in text.splitlines())
    listed = {kmod.normalise(line[0]) for line in words if line}
    gap = "" if not text or text.endswith("\n") else "\n"
    new = [name for name in names if name not in listed]
    return text + gap + "".join(f"{name}\n" for name in new) if new else text


def _mkinitcpio(text: str, names: Sequence[str], _added: Sequence[str]) -> str:
    variables = shellvars.parse(text)
    listed = (variables.get("MODULES") or "").split()
    known = {kmod.normalise(name) for name in listed}
    new = [name for name in names if name not in known]
    return str(variables.with_value("MODULES", " ".join([*listed, *new]))) if new else text


def _nash(text: str, _names: Sequence[str], added: Sequence[str]) -> str:
    return nash.with_modules(text, [f"/{path}" for path in added])


_LISTS: Final[Mapping[str, tuple[str, Callable[[str, Sequence[str], Sequence[str]], str]]]] = {
    "initramfs-tools": ("conf/modules", _conf_modules),
    "mkinitcpio": ("config", _mkinitcpio),
    "nash": ("init", _nash),
}
