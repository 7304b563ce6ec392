"""The guests and disks that are converted and copied, made when they are not in the cache."""

from __future__ import annotations

import random
import shutil
import tarfile
import tempfile
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from converter import process
from converter.accelerator import choose
from converter.guest.appliance import Appliance
from images.cache import digest, image, kept
from images.exports import export, file_name, write
from images.windows import build as windows_build
from images.windows.guest import Firmware, Windows

if TYPE_CHECKING:
    from collections.abc import Callable

GUEST: Final = "debian-12-bios"
GIB: Final = 1 << 30
_NOISE: Final = 16 << 20
_SYSTEM: Final = "/dev/sda1"


def guest() -> Path:
    """Give a small Debian 12 as VMware leaves it, raw: its initramfs has no driver of EC2's."""
    return image(GUEST).path


def container(kind: str, guest: str = GUEST) -> Path:
    """Give the same, or another guest, in another container."""
    return export(image(guest), kind)


def windows(release: str, firmware: Firmware, kind: str) -> Path:
    """Give a Windows guest in a container of `kind`."""
    key = digest(*sorted(Path(windows_build.__file__).parent.glob("*.py")))

    def make(directory: Path) -> None:
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            disk = windows_build.build(Windows(release, firmware), Path(scratch))
            write(disk, kind, directory)

    (path,) = kept(f"bench-windows-{release}-{firmware}-{kind}-{key}", make).iterdir()
    return path


def large_container(kind: str) -> Path:
    """Give `with_data(1)` in another container."""
    return _written(with_data(1), kind)


def refused(kind: str) -> Path:
    """Give a disk that is refused by its first blocks: the guest, encrypted with LUKS."""
    return _written(_kept("luks", _encrypt), kind)


def _written(source: Path, kind: str) -> Path:
    def make(directory: Path) -> None:
        write(source, kind, directory)

    if kind == "raw":
        return source
    return kept(f"{source.parent.name}-{kind}", make) / file_name(kind)


def with_data(gib: int) -> Path:
    """Give the guest on a disk of 16 GiB with so many GiB of data that do not compress."""
    return _kept(f"data-{gib}", partial(_add_data, gib=gib))


def with_size(gib: int) -> Path:
    """Give the guest and 1 GiB of data on a disk of `gib` GiB."""
    return _kept(f"size-{gib}", partial(_add_data, gib=1, size=gib))


def with_files(number: int) -> Path:
    """Give the guest with so many more files in it."""
    return _kept(f"files-{number}", partial(_add_files, number=number))


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    """Give the disk that `make` makes of a copy of the guest."""
    source = guest()
    key = digest(Path(__file__))

    def fill(directory: Path) -> None:
        made = directory / "guest.raw"
        process.run(["cp", "--sparse=always", str(source), str(made)])
        make(made)

    return kept(f"bench-{name}-{source.parent.name}-{key}", fill) / "guest.raw"


def _add_data(disk: Path, *, gib: int, size: int = 16) -> None:
    """Put data behind all partitions, where a copy has to take them all the same."""
    noise = random.Random(0)  # noqa: S311 - no secret
    with disk.open("r+b") as file:
        file.seek(0, 2)
        for _ in range(gib * GIB // _NOISE):
            file.write(noise.randbytes(_NOISE))
        file.truncate(size * GIB)


def _add_files(disk: Path, *, number: int) -> None:
    with tempfile.TemporaryDirectory(dir=disk.parent) as scratch:
        packed, overlay = Path(scratch) / "files.tar", Path(scratch) / "overlay.qcow2"
        with tarfile.open(packed, "w") as archive:
            for item in range(number):
                member = tarfile.TarInfo(f"srv/{item // 1000}/{item}")
                member.size = 100
                archive.addfile(member, BytesIO(b"x" * 100))
        (Path(scratch) / "disk.raw").symlink_to(disk)
        backing = ["-F", "raw", "-b", str(Path(scratch) / "disk.raw")]
        process.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(overlay)])
        settings = choose().libguestfs_settings
        with Appliance([overlay], settings=settings, directory=Path(scratch)) as machine:
            machine.mount(_SYSTEM, "/", options="rw")
            machine._handle.tar_in(str(packed), "/")
            machine.unmount()
        process.run(["qemu-img", "commit", "-q", str(overlay)])


def _encrypt(disk: Path) -> None:
    start = 1 << 20
    with tempfile.NamedTemporaryFile(dir=disk.parent) as volume:
        volume.truncate(32 << 20)
        key = ["--key-file", "-", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
        format_ = ["cryptsetup", "luksFormat", "-q", "--type", "luks2", *key, volume.name]
        process.run(format_, stdin=b"secret")
        with disk.open("r+b") as file, Path(volume.name).open("rb") as made:
            file.seek(start)
            shutil.copyfileobj(made, file)
