from __future__ import annotations

import pytest

from converter.inspection.boot_view import main_initramfs

KERNEL = "/vmlinuz-6.1.0-13-amd64"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ((), ""),
        (("/initrd.img",), "/initrd.img"),
        (("/intel-ucode.img", "/initramfs-linux.img"), "/initramfs-linux.img"),
        (("/microcode.cpio", "/a.img", "/b.img"), "/b.img"),
        (("/amd-ucode.img",), ""),
        # tuned's comes behind the kernel's own.
        (("/initrd.img-6.1.0-13-amd64", "/tuned.img"), "/initrd.img-6.1.0-13-amd64"),
    ],
)
def test_the_initramfs_with_the_drivers(names: tuple[str, ...], chosen: str) -> None:
    assert main_initramfs(KERNEL, names) == chosen
