"""Drivers and device names in images that dracut made; kmod's own programs say what is found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.formats import compression, initramfs
from converter.formats.initramfs_drivers import Addition, add_drivers
from converter.guest.memory import MemoryGuest
from converter.steps import initramfs_devices
from tests import dracut
from tests.unit import initramfs_samples as made

if TYPE_CHECKING:
    from tests.dracut import Images

pytestmark = [pytest.mark.appliance, pytest.mark.xdist_group("dracut")]

WANTED = ("nvme", "xen-blkfront")
NVME = "pci:v00001D0Fd00008061sv00001D0Fsd00000000bc01sc08i02"
KINDS = pytest.mark.parametrize("kind", ["systemd", "plain"])


@pytest.fixture(scope="module")
def images() -> Images:
    return dracut.images()


def extended(images: Images, kind: str) -> tuple[bytes, Addition]:
    """Give the image as a conversion leaves it, and what was added."""
    data = images.image(kind)
    image = initramfs.read(data)
    extra = initramfs_devices.renamed(made.context(MemoryGuest(), []), image)
    addition = add_drivers(image, images.modules, WANTED, extra=extra)
    assert addition.archive is not None
    return data + initramfs.append(image, addition.archive), addition


def unpack(data: bytes, directory: Path) -> None:
    """Unpack all segments, as the kernel does, by GNU cpio."""
    for segment in initramfs.read(data).segments:
        archive = data[segment.offset :]
        if segment.compression != "none":
            archive, _ = compression.decompress(data, segment.offset, limit=1 << 30)
        command = ["cpio", "-i", "-d", "-u", "--quiet", "--no-absolute-filenames", "-D"]
        process.run([*command, str(directory)], stdin=archive)


@KINDS
def test_what_dracut_made_is_understood(images: Images, kind: str) -> None:
    image = initramfs.read(images.image(kind))
    assert (image.generator, image.has_udev, image.inner) == ("dracut", True, "")
    assert image.kernel_releases == (images.modules.release,)
    assert {"ext4", "mptspi"} <= image.modules(images.modules.release)
    assert "nvme" not in image.modules(images.modules.release)


@KINDS
def test_a_second_time_finds_nothing_to_do(images: Images, kind: str) -> None:
    data, addition = extended(images, kind)
    image = initramfs.read(data)
    assert addition.unavailable == ()
    assert initramfs_devices.renamed(made.context(MemoryGuest(), []), image) == {}
    assert add_drivers(image, images.modules, WANTED) == Addition(None)


@KINDS
def test_modprobe_finds_the_drivers_and_all_they_need(
    images: Images, kind: str, tmp_path: Path
) -> None:
    data, _ = extended(images, kind)
    unpack(data, tmp_path)

    def modprobe(*options: str) -> list[str]:
        release = ("--set-version", images.modules.release)
        command = ["modprobe", "-d", str(tmp_path), "-C", "/dev/null", *release, *options]
        return process.run(command).stdout.decode().split()

    for name in (*WANTED, "ext4"):
        paths = [word for word in modprobe("--show-depends", name) if word.startswith("/")]
        assert Path(paths[-1]).name.startswith(f"{name}.ko")
        assert all(Path(path).is_file() for path in paths)
    assert set(modprobe("--resolve-alias", NVME)) == {"nvme"}
    assert modprobe("--resolve-alias", "xen:vbd") == ["xen_blkfront"]


@KINDS
def test_nothing_waits_for_devices_that_will_not_come(
    images: Images, kind: str, tmp_path: Path
) -> None:
    data, _ = extended(images, kind)
    unpack(data, tmp_path)
    hooks = tmp_path / "var/lib/dracut/hooks"
    for path in (*hooks.glob("initqueue/finished/devexists-*"), *hooks.glob("emergency/80-*")):
        assert path.read_text() == "true\n"
    resume = (tmp_path / "etc/cmdline.d/95resume.conf").read_text()
    assert resume == f"resume=UUID={made.UUID.format(2)}\n"
    unit = process.run(["systemd-escape", "-p", dracut.GONE]).stdout.decode().strip()
    mask = tmp_path / f"etc/systemd/system/{unit}.device"
    assert mask.is_file()
    assert mask.stat().st_size == 0


def test_tools_that_look_into_images_still_see_the_main_archive(
    images: Images, tmp_path: Path
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_bytes(images.image("systemd"))
    after.write_bytes(extended(images, "systemd")[0])
    listed = [process.run(["lsinitramfs", str(path)]).stdout.split() for path in (before, after)]
    assert len(listed[0]) > 100
    assert listed[0] == listed[1]
