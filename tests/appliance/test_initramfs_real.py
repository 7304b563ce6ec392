"""Drivers added to an initramfs that mkinitramfs(8) made, in each compression it knows.

The programs that look into images (lsinitramfs, cpio) and the one that reads the indexes
(modprobe, which only shows what it would load) say whether the result is what we think it is.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from converter import process
from converter.formats import compression, cpio, initramfs, kmod
from converter.formats.initramfs_drivers import Addition, KernelModules, add_drivers

pytestmark = pytest.mark.appliance

WANTED = ("nvme", "xen-blkfront")
NVME = "pci:v00001D0Fd00008061sv00001D0Fsd00000000bc01sc08i02"

COMPRESSORS = {
    "gzip": ("gzip", "-n", "-1"),
    "bzip2": ("bzip2", "-1"),
    "lzma": ("xz", "--format=lzma", "-1"),
    "xz": ("xz", "--check=crc32", "-1"),
    "lz4": ("lz4", "-l", "-1", "-", "-"),
    "zstd": ("zstd", "-q", "-1"),
}
KINDS = pytest.mark.parametrize("kind", COMPRESSORS)


@dataclass(frozen=True)
class Base:
    """An initramfs without the drivers: its main archive, and the modules of its kernel."""

    archive: bytes
    modules: KernelModules

    def compressed(self, kind: str) -> bytes:
        return process.run(COMPRESSORS[kind], stdin=self.archive).stdout


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    if shutil.which("mkinitramfs") is None or not list(Path("/lib/modules").glob("*/modules.dep")):
        pytest.skip("there is no mkinitramfs, or no kernel's modules")
    directory = next(Path("/lib/modules").glob("*/modules.dep")).parent
    scratch = tmp_path_factory.mktemp("initramfs")
    config = scratch / "config"
    shutil.copytree("/etc/initramfs-tools", config)
    (config / "initramfs.conf").write_text("MODULES=list\nBUSYBOX=auto\nCOMPRESS=zstd\n")
    (config / "modules").write_text("ext4\n")
    shutil.rmtree(config / "conf.d", ignore_errors=True)
    (config / "conf.d").mkdir()
    image = scratch / "initrd"
    process.run(["mkinitramfs", "-d", str(config), "-o", str(image), directory.name])
    data = image.read_bytes()
    main = initramfs.read(data).segments[-1]
    archive, _ = compression.decompress(data, main.offset, limit=1 << 30)
    return Base(archive, kernel_modules(directory))


def kernel_modules(directory: Path) -> KernelModules:
    texts = {
        name: (directory / f"modules.{name}").read_text()
        for name in ("dep", "alias", "softdep", "builtin")
    }
    return KernelModules(
        directory.name,
        lambda path: (directory / path).read_bytes(),
        texts["dep"],
        texts["alias"],
        texts["softdep"],
        texts["builtin"],
    )


def extended(base: Base, data: bytes) -> tuple[bytes, Addition, bytes]:
    """Give the image with drivers added, what was added, and the archive of it."""
    image = initramfs.read(data)
    assert "nvme" not in image.modules(base.modules.release)
    addition = add_drivers(image, base.modules, WANTED)
    assert addition.archive is not None
    return data + initramfs.append(image, addition.archive), addition, addition.archive


@KINDS
def test_the_drivers_are_there_in_every_compression(base: Base, kind: str) -> None:
    data = base.compressed(kind)
    assert compression.detect(data) == kind
    result, addition, _ = extended(base, data)
    image = initramfs.read(result)
    assert image.generator == "initramfs-tools"
    release = base.modules.release
    assert {"nvme", "nvme_core", "xen_blkfront"} <= image.modules(release)
    assert initramfs.read(data).modules(release) < image.modules(release)
    assert addition.unavailable == ()
    assert add_drivers(image, base.modules, WANTED) == Addition(None)
    dep = kmod.parse_dep((image.read(f"lib/modules/{release}/modules.dep") or b"").decode())
    there = set(image.module_files(release).values())
    assert dep.keys() == there
    assert all(set(needs) <= there for needs in dep.values())


def test_behind_early_microcode_and_without_compression(base: Base) -> None:
    names = ("kernel", "kernel/x86", "kernel/x86/microcode")
    items = [cpio.Item(name, cpio.Kind.DIRECTORY) for name in names]
    early = cpio.write([*items, cpio.Item("kernel/x86/microcode/AuthenticAMD.bin", data=b"x" * 9)])
    result, _, _ = extended(base, early.ljust(2048, b"\0") + base.archive)
    image = initramfs.read(result)
    assert [segment.early for segment in image.segments] == [True, False, False]
    assert "nvme" in image.modules(base.modules.release)


@pytest.mark.parametrize("kind", [kind for kind in COMPRESSORS if kind != "lzma"])
def test_the_guests_own_tools_still_read_the_image(base: Base, kind: str, tmp_path: Path) -> None:
    """The main archive is listed as before; the tools of Debian 12 look no further.

    They cannot take what follows an lzma stream, which has no form in which streams are joined.
    """
    data = base.compressed(kind)
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_bytes(data)
    after.write_bytes(extended(base, data)[0])
    listed = [process.run(["lsinitramfs", str(path)]).stdout.split() for path in (before, after)]
    assert len(listed[0]) > 100
    assert listed[0] == listed[1]
    names = {name.decode() for name in listed[1]} - {"."}
    assert names == initramfs.read(data).files.keys()
    process.run(["unmkinitramfs", str(after), str(tmp_path / "tree")])
    assert (tmp_path / "tree/init").exists()


def test_cpio_unpacks_what_we_read(base: Base, tmp_path: Path) -> None:
    result, _, archive = extended(base, base.archive)
    for each in (base.archive, archive):
        command = ["cpio", "-i", "-d", "-u", "--quiet", "--no-absolute-filenames", "-D"]
        process.run([*command, str(tmp_path)], stdin=each)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    image = initramfs.read(result)
    assert found == image.files.keys()
    assert (tmp_path / "lib").is_symlink()
    for name, file in image.files.items():
        if not file.is_directory and not file.is_symlink:
            assert (tmp_path / name).stat().st_size == file.size


def test_modprobe_finds_the_drivers_and_all_they_need(base: Base, tmp_path: Path) -> None:
    _, _, archive = extended(base, base.archive)
    for each in (base.archive, archive):
        command = ["cpio", "-i", "-d", "-u", "--quiet", "--no-absolute-filenames", "-D"]
        process.run([*command, str(tmp_path)], stdin=each)

    def modprobe(*options: str) -> list[str]:
        release = ("--set-version", base.modules.release)
        command = ["modprobe", "-d", str(tmp_path), "-C", "/dev/null", *release, *options]
        return process.run(command).stdout.decode().split()

    for name in (*WANTED, "ext4"):
        paths = [word for word in modprobe("--show-depends", name) if word.startswith("/")]
        assert Path(paths[-1]).name == f"{name}.ko"
        assert all(Path(path).read_bytes().startswith(b"\x7fELF") for path in paths)
    assert set(modprobe("--resolve-alias", NVME)) == {"nvme"}
    assert modprobe("--resolve-alias", "xen:vbd") == ["xen_blkfront"]
    assert {"nvme", "xen_blkfront"} <= set((tmp_path / "conf/modules").read_text().split())
