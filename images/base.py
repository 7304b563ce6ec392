"""The tree that all guests of a Debian suite begin with, as a tar in the cache.

Made once per suite by mmdebstrap: a minimal system with a kernel, its initramfs not made yet. The
package lists stay in it, so that what a recipe adds is of the same moment. Packages are downloaded
once: they are kept in the cache, and hard-linked to where the apt of a tree looks for them.
"""

from __future__ import annotations

import shlex
import shutil
from functools import partial
from pathlib import Path
from typing import Final

from converter import process
from images import cache

# What every guest has.
_PACKAGES: Final = (
    "linux-image-amd64", "initramfs-tools", "systemd-sysv", "udev", "dbus", "kmod", "iproute2",
    "openssh-server", "zstd", "e2fsprogs", "util-linux", "procps",
)  # fmt: skip
_UNREAD: Final = ("doc", "man", "locale", "info", "lintian", "bash-completion")
# Half of a kernel's modules: for devices that no virtual machine of ours has.
_UNDRIVEN: Final = (
    "sound", "drivers/bluetooth", "drivers/comedi", "drivers/gpu", "drivers/hwmon", "drivers/iio",
    "drivers/infiniband", "drivers/isdn", "drivers/leds", "drivers/media", "drivers/mtd",
    "drivers/net/can", "drivers/net/wireless", "drivers/net/wwan", "drivers/platform",
    "drivers/staging", "drivers/w1",
)  # fmt: skip
_ARCHIVES: Final = '"$1/var/cache/apt/archives"'


def tar(suite: str) -> Path:
    """Give the tar of `suite`, making it if it is not there."""
    key = cache.digest(Path(__file__))
    return cache.kept(f"base-{suite}-{key}", partial(_make, suite)) / "root.tar"


def lend(suite: str) -> str:
    """Give the shell command that lends the tree `$1` the packages that were downloaded before."""
    directory = shlex.quote(str(_packages(suite)))
    return f"mkdir -p {_ARCHIVES}; find {directory} -name '*.deb' -exec ln -t {_ARCHIVES} '{{}}' +"


def take_back(suite: str) -> str:
    """Give the shell command that keeps what was downloaded for the tree `$1`."""
    directory = shlex.quote(str(_packages(suite)))
    return (
        f"find {_ARCHIVES} -maxdepth 1 -name '*.deb' -links 1 -exec ln -f -t {directory} '{{}}' +;"
        f" rm -f {_ARCHIVES}/*.deb"
    )


def _packages(suite: str) -> Path:
    directory = cache.root().with_name("packages") / suite
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _make(suite: str, directory: Path) -> None:
    tree = directory / "root"
    left_out = [f"/usr/share/{name}/*" for name in _UNREAD]
    left_out += [f"*/lib/modules/*/kernel/{name}/*" for name in _UNDRIVEN]
    process.run(
        [
            # The kernel's package makes no initramfs then: each recipe makes its own.
            "env", "INITRD=No",
            "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory",
            '--aptopt=APT::Install-Recommends "false"',
            # A mirror that has stopped in time will do for a test guest.
            '--aptopt=Acquire::Check-Valid-Until "false"',
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in left_out),
            f"--include={','.join(_PACKAGES)}",
            "--skip=essential/unlink,cleanup/apt/lists",
            f"--setup-hook={lend(suite)}", f"--customize-hook={take_back(suite)}",
            suite, str(tree),
        ]
    )  # fmt: skip
    pack(tree, directory / "root.tar")


def pack(tree: Path, target: Path) -> None:
    """Make the tar `target` of a `tree`, which is removed."""
    process.run(["tar", "-C", str(tree), "-cf", str(target), "."])
    shutil.rmtree(tree)


def unpack(suite: str, tree: Path) -> None:
    """Make `tree` the base tree of `suite`."""
    source = str(tar(suite))
    tree.mkdir()
    process.run(["tar", "-C", str(tree), "-xpf", source])
