"""Devices of the source that an initramfs names itself: by names that hold, or not at all (LNX-4).

An initramfs made for one machine waits for that machine's devices, whatever the kernel command
line says: for minutes, and then it gives up. What is known to name them, by the path in the image:

- dracut: etc/cmdline.d (dracut.cmdline(7)), etc/fstab and etc/crypttab, and what `wait_for_dev`
  leaves: hooks in initqueue/finished and emergency, links in initrd.target.wants.
- initramfs-tools: RESUME in conf (initramfs-tools(7)), cryptroot.
- lvm.conf(5) and mdadm.conf(5), which any of them may take along.
- SUSE's mkinitrd: the shell variables in config.
- nash: /init itself.

A name that holds is left alone, also where nothing has it: the device may be on another disk.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import crypttab, fstab, kernel_args, lvmconf, mdadm, nash, shellvars
from converter.guest import paths
from converter.inspection import names as disk_names
from converter.steps import resume
from converter.steps.devices import is_unstable, stable_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from converter.formats.initramfs import Image
    from converter.steps.step import Context

_PATHS: Final = {"UUID": "/dev/disk/by-uuid/", "PARTUUID": "/dev/disk/by-partuuid/"}
_QUOTED_DEVICE: Final = re.compile(r'"(/dev/[^"\s]+)"')
_SOURCE: Final = re.compile(r"\b(source=)(/dev/[^,\s]+)")
_SUSE_VARIABLES: Final = ("rootdev", "fallback_rootdev", "resumedev", "journaldev", "dumpdev")
_WANTED_DEVICE: Final = re.compile(r"etc/systemd/system/[^/]+\.(?:wants|requires)/([^/]+)\.device")


def renamed(context: Context, image: Image) -> dict[str, bytes]:
    """Give the files of the image that must change, by path, with their new content."""
    changed = {}
    for path in sorted(image.files):
        edit = next((edit for pattern, edit in _EDITS if pattern.fullmatch(path)), None)
        old = image.files[path].data if edit is not None else None
        if edit is None or old is None:
            continue
        new = paths.encode(edit(context, old.decode("utf-8", "surrogateescape")))
        if new != old:
            changed[path] = new
    return changed | dict.fromkeys(_masks(image), b"")


def _name(context: Context, spec: str) -> str:
    """Give a name for `spec` as in fstab(5) that holds; itself if there is none, or it does."""
    return (stable_name(context.storage, spec) or spec) if is_unstable(spec) else spec


def _path(context: Context, spec: str) -> str:
    """Give `_name` as the path of a device file."""
    name = _name(context, spec)
    tag, equals, value = name.partition("=")
    return f"{_PATHS[tag]}{value}" if equals and tag in _PATHS else name


def _is_disk(spec: str) -> bool:
    """Tell whether `spec` names a disk or partition, by a name that nothing has on EC2.

    An array's name may be right, although nothing is known about it.
    """
    return disk_names.parse(spec) is not None


def _is_gone(context: Context, name: str) -> bool:
    """Tell whether `name`, of those that a disk has by itself, leads to none of the disks."""
    of_a_disk = _is_disk(name) or "=" in name or name.startswith("/dev/disk/by-")
    return of_a_disk and context.storage.resolve(name) is None


def _arguments(context: Context, text: str) -> str:
    """Edit kernel arguments: of a device that is gone, nothing but its resume= is dropped."""
    return "".join(_argument_line(context, line) for line in text.splitlines(keepends=True))


def _argument_line(context: Context, line: str) -> str:
    words = kernel_args.split(line)
    new = []
    for word in words:
        key, equals, value = word.partition("=")
        name = _name(context, value) if equals else value
        if key != "resume" or not _is_gone(context, name):
            new.append(f"{key}{equals}{name}")
    if new == list(words):
        return line
    end = "\n" if line.endswith("\n") else ""
    return f"{kernel_args.join(new)}{end}"


def _fstab(context: Context, text: str) -> str:
    def edit(entry: fstab.Entry) -> fstab.Line:
        name = _name(context, entry.spec)
        if _is_disk(name):
            return entry.commented_out("the device is on none of the given disks")
        return entry if name == entry.spec else entry.with_spec(name)

    return str(fstab.parse(text).edited(edit))


def _crypttab(context: Context, text: str) -> str:
    def edit(entry: crypttab.Entry) -> crypttab.Line:
        name = _name(context, entry.device)
        return entry if name == entry.device else entry.with_device(name)

    return str(crypttab.parse(text).edited(edit))


def _lvm(_context: Context, text: str) -> str:
    return lvmconf.without_disk_filters(text)


def _mdadm(context: Context, text: str) -> str:
    def uuid_of(name: str) -> str:
        device = context.storage.resolve(name)
        return next((a.uuid for a in context.storage.arrays if a.device == device), "")

    return mdadm.on_any_disk(text, uuid_of)


def _cryptroot(context: Context, text: str) -> str:
    return _SOURCE.sub(lambda m: m[1] + _name(context, m[2]), text)


def _suse(context: Context, text: str) -> str:
    variables = shellvars.parse(text)
    for name in _SUSE_VARIABLES:
        old = variables.get(name)
        if not old:
            continue
        new = _path(context, old)
        if name == "resumedev" and _is_gone(context, new):
            new = ""
        if new != old:
            variables = variables.with_value(name, new)
    return str(variables)


def _nash(context: Context, text: str) -> str:
    return nash.with_devices(text, lambda spec: _name(context, spec))


def _wait(context: Context, text: str) -> str:
    """Edit a hook that is true once a device is there: of one that will not come, always."""
    devices = _QUOTED_DEVICE.findall(text)
    if any(_is_disk(_path(context, device)) for device in devices):
        return "true\n"
    return _QUOTED_DEVICE.sub(lambda m: f'"{_path(context, m[1])}"', text)


def _masks(image: Image) -> Iterator[str]:
    """Give the units to mask (systemd.unit(5): by an empty file): devices that will not come.

    A link cannot be taken out of an image by adding to it.
    """
    for path in sorted(image.files):
        match = _WANTED_DEVICE.fullmatch(path)
        if match and _is_disk(_unescaped(match[1])):
            unit = f"etc/systemd/system/{match[1]}.device"
            if unit not in image.files:
                yield unit


def _unescaped(name: str) -> str:
    """Give the path that the name of a device unit stands for (systemd-escape(1))."""
    path = "/" + name.replace("-", "/")
    return re.sub(r"\\x([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), path)


_EDITS: Final[tuple[tuple[re.Pattern[str], Callable[[Context, str], str]], ...]] = (
    (re.compile(r"etc/cmdline|etc/cmdline\.d/[^/]+\.conf"), _arguments),
    (re.compile(r"etc/fstab(?:\.sys)?"), _fstab),
    (re.compile(r"(?:etc|cryptroot)/crypttab"), _crypttab),
    (re.compile(r"conf/conf\.d/cryptroot"), _cryptroot),
    (re.compile(r"etc/lvm/lvm(?:local)?\.conf"), _lvm),
    (re.compile(r"etc/(?:mdadm/)?mdadm\.conf"), _mdadm),
    (re.compile(r"conf/initramfs\.conf|conf/conf\.d/[^/]+"), resume.renamed),
    (re.compile(r"config/[^/]+\.sh"), _suse),
    (re.compile(r"init"), _nash),
    (
        re.compile(
            r"(?:usr/|var/)?lib/dracut/hooks/(?:initqueue/finished/devexists-|emergency/80-).+\.sh"
        ),
        _wait,
    ),
)
