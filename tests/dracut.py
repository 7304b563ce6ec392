"""Initramfs images that Debian's dracut made for a machine whose disks had other names.

dracut cannot look at such a machine here: what it would find out there is told to it (`--drivers`),
and what it leaves in the image for the devices it had found (`wait_for_dev` of its module base, the
file of its module resume) is included as it writes it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from converter import process
from converter.formats.initramfs_drivers import KernelModules
from images import base, cache

# What is not on any disk, and what has another name.
GONE: Final = "/dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:0:0-part9"
SWAP: Final = "/dev/sda2"

_SUITE: Final = "trixie"
_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SCRIPT: Final = rf"""
set -eu
export DEBIAN_FRONTEND=noninteractive INITRD=No LC_ALL=C
install_all() {{ apt-get -y -q --no-install-recommends install dracut-core; }}
install_all || {{ apt-get -q update; install_all; }}
release=$(ls /lib/modules)
mkdir -p /out /host/etc/cmdline.d /host/etc/systemd/system/initrd.target.wants
hooks=/host/var/lib/dracut/hooks
mkdir -p $hooks/initqueue/finished $hooks/emergency /host/usr/lib/dracut
: > /host/usr/lib/dracut/need-initqueue
echo ' resume={SWAP}' > /host/etc/cmdline.d/95resume.conf
name=$(printf '%s' '{GONE}' | sed 's|/|\\x2f|g')
echo '[ -e "{GONE}" ]' > "$hooks/initqueue/finished/devexists-$name.sh"
echo '[ -e "{GONE}" ] || warn "\"{GONE}\" does not exist"' > "$hooks/emergency/80-$name.sh"
unit=$(systemd-escape -p '{GONE}').device
ln -s "../$unit" "/host/etc/systemd/system/initrd.target.wants/$unit"
mkdir "/host/etc/systemd/system/$unit.d"
printf '[Unit]\nJobTimeoutSec=0\nJobRunningTimeoutSec=0\n' \
    > "/host/etc/systemd/system/$unit.d/timeout.conf"
image() {{
    file=$1
    shift
    dracut --force --quiet --no-hostonly --no-hostonly-cmdline --kver "$release" \
        --drivers 'ext4 sd_mod ata_piix mptspi' --include /host / "$@" "/out/$file"
}}
image systemd
image plain --omit 'systemd systemd-initrd systemd-udevd systemd-modules-load dracut-systemd'
cp "/boot/vmlinuz-$release" /out/vmlinuz
"""


@dataclass(frozen=True)
class Images:
    """Two images of one kernel: `systemd` has systemd in it, `plain` has not."""

    kernel: Path
    systemd: Path
    plain: Path
    modules: KernelModules

    def image(self, kind: str) -> bytes:
        return (self.systemd if kind == "systemd" else self.plain).read_bytes()


def images() -> Images:
    """Give the images, made if they are not in the cache."""
    key = cache.digest(Path(__file__), Path(base.__file__))
    directory = cache.kept(f"dracut-{_SUITE}-{key}", _make)
    modules = next((directory / "modules").iterdir())
    return Images(
        directory / "vmlinuz", directory / "systemd", directory / "plain", _kernel(modules)
    )


def _kernel(directory: Path) -> KernelModules:
    texts = {
        name: (directory / f"modules.{name}").read_text()
        for name in ("dep", "alias", "softdep", "builtin")
    }
    return KernelModules(directory.name, partial(_read, directory), **texts)


def _read(directory: Path, path: str) -> bytes:
    return (directory / path).read_bytes()


def _make(directory: Path) -> None:
    tree = directory / "tree"
    base.unpack(_SUITE, tree)
    process.run(["sh", "-c", base.lend(_SUITE), "sh", str(tree)])
    process.run(["cp", "--dereference", "/etc/resolv.conf", str(tree / "etc/resolv.conf")])
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={tree}"]
    process.run(
        [*command, "--mount-proc", "env", _PATH, "HOME=/root", "sh", "-s"], stdin=_SCRIPT.encode()
    )
    process.run(["sh", "-c", base.take_back(_SUITE), "sh", str(tree)])
    for file in (tree / "out").iterdir():
        shutil.move(file, directory / file.name)
    shutil.move(tree / "usr/lib/modules", directory / "modules")
    shutil.rmtree(tree)
