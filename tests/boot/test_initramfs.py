"""Images that dracut made for another machine find a root on NVMe once they are converted.

The kernel and the initramfs are given to QEMU; the disks are a tiny root and a swap area. Without
the conversion of the image nothing is found; with the drivers alone it waits for ever.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.accelerator import choose
from tests import dracut
from tests.appliance.test_dracut import extended
from tests.unit import initramfs_samples as made

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("dracut")]

_INIT = """\
#!/bin/sh
while read -r device place rest; do
    [ "$place" = / ] && echo "came up on $device $rest" > /dev/console
done < /proc/mounts
echo o > /proc/sysrq-trigger
while :; do read -r line < /dev/console; done
"""
_LIBRARIES = ("/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2")


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Make a root that says what it was mounted from and turns the machine off, and swap."""
    directory = tmp_path_factory.mktemp("disks")
    tree = directory / "tree"
    for name in ("bin", "sbin", "etc", "proc", "sys", "dev", "run", "tmp", "usr/lib"):
        (tree / name).mkdir(parents=True)
    for library in _LIBRARIES:
        (tree / library[1:]).parent.mkdir(parents=True)
        shutil.copy(Path(library).resolve(), tree / library[1:])
    shutil.copy("/bin/dash", tree / "bin/sh")
    (tree / "etc/os-release").write_text("ID=tiny\n")
    (tree / "sbin/init").write_text(_INIT)
    (tree / "sbin/init").chmod(0o755)
    root, swap = directory / "root.raw", directory / "swap.raw"
    for path, size in ((root, 32 << 20), (swap, 16 << 20)):
        with path.open("wb") as file:
            file.truncate(size)
    process.run(["mkfs.ext4", "-q", "-U", made.UUID.format(1), "-d", str(tree), str(root)])
    process.run(["mkswap", "-U", made.UUID.format(2), str(swap)])
    return [swap, root]


def console(kernel: Path, initrd: Path, disks: Sequence[Path]) -> str:
    """Boot, and give what was said until the machine went off."""
    argv = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        *choose().qemu_arguments, "-smp", "2", "-m", "1024", "-serial", "stdio",
        "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", f"console=ttyS0 panic=-1 ro root=UUID={made.UUID.format(1)}",
    ]  # fmt: skip
    for number, disk in enumerate(disks):
        argv += ["-drive", f"if=none,id=d{number},format=raw,snapshot=on,file={disk}"]
        argv += ["-device", f"nvme,serial=v{number},drive=d{number}"]
    return process.run(argv, timeout=400).stdout.decode("utf-8", "replace")


@pytest.mark.parametrize("kind", ["systemd", "plain"])
def test_the_root_is_found_on_nvme(disks: Sequence[Path], kind: str, tmp_path: Path) -> None:
    images = dracut.images()
    initrd = tmp_path / "initrd"
    initrd.write_bytes(extended(images, kind)[0])
    said = console(images.kernel, initrd, disks)
    assert "came up on /dev/nvme" in said, said[-2000:]
