from __future__ import annotations

import pytest

from converter.formats import compression
from converter.guest.memory import MemoryGuest, Node
from converter.inspection.initramfs import inspect_initramfs
from converter.model import BootEntry, Bootloader, FileKind, Finding, Initramfs, Kernel, Severity
from tests.unit import initramfs_samples as made
from tests.unit.initramfs_samples import RELEASE

KERNEL = Kernel(RELEASE, f"/boot/vmlinuz-{RELEASE}", frozenset({"nvme"}))
ENTRY = made.entry()
PATH = f"/boot/initrd.img-{RELEASE}"
MICROCODE = made.archive({"kernel/x86/microcode/AuthenticAMD.bin": b"x"})


def inspect(
    files: dict[str, bytes | str | Node],
    *,
    entry: BootEntry | None = ENTRY,
    kernel: Kernel | None = KERNEL,
) -> tuple[Initramfs | None, tuple[Finding, ...]]:
    loader = Bootloader("grub2", "/boot/grub/grub.cfg", frozenset(), entry)
    return inspect_initramfs(MemoryGuest(files), loader, kernel)


def test_what_is_in_it() -> None:
    data = MICROCODE.ljust(1024, b"\0") + compression.compress(made.debian_image(), "zstd")
    found, findings = inspect({PATH: data})
    assert findings == ()
    assert found == Initramfs(PATH, ("none", "zstd"), 2, "initramfs-tools", frozenset({"ext4"}))


def test_through_links() -> None:
    link = Node(FileKind.SYMLINK, f"boot/initrd.img-{RELEASE}".encode())
    found, findings = inspect(
        {"/initrd.img": link, PATH: made.debian_image()},
        entry=made.entry("/vmlinuz", "/initrd.img"),
    )
    assert findings == ()
    assert found is not None
    assert found.path == "/initrd.img"
    assert found.modules == {"ext4"}


def test_nothing_to_read_is_no_fault() -> None:
    assert inspect({}, entry=None) == (None, ())
    assert inspect({}, entry=made.entry(initramfs="")) == (None, ())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "missing"),
        (b"", "no archive"),
        (b"\x1f\x8b\x08", "cut off"),
        (b"an ext2 filesystem, as before Linux 2.6" * 9, "not known"),
        (MICROCODE, "microcode"),
        (made.debian_image()[:-300], "cut off"),
    ],
)
def test_unreadable_is_an_error_with_the_services_text(data: bytes | None, why: str) -> None:
    found, findings = inspect({} if data is None else {PATH: data})
    assert found is None
    (finding,) = findings
    assert (finding.severity, finding.code) == (Severity.ERROR, "initramfs-unreadable")
    assert finding.message.startswith(PATH)
    assert why in finding.message
    assert "initramfs/initrd" in finding.service_message
    assert finding.hint


def test_a_circle_of_links_is_found() -> None:
    files: dict[str, bytes | str | Node] = {PATH: Node(FileKind.SYMLINK, PATH.encode())}
    found, (finding,) = inspect(files)
    assert (found, finding.code) == (None, "initramfs-unreadable")


@pytest.mark.parametrize(
    ("files", "why"), [({}, "no such file"), ({"/boot/vmlinuz-custom": b""}, "not known")]
)
def test_a_kernel_that_is_not_known(files: dict[str, bytes | str | Node], why: str) -> None:
    found, (finding,) = inspect(files, entry=made.entry("/boot/vmlinuz-custom"), kernel=None)
    assert found is None
    assert (finding.severity, finding.code) == (Severity.ERROR, "kernel-unknown")
    assert why in finding.message
    assert finding.service_message == "Unable to determine kernel version."


def test_an_image_of_the_wrong_kernel_has_none_of_its_modules() -> None:
    found, findings = inspect({PATH: made.debian_image("5.10.0-9-amd64")})
    assert findings == ()
    assert found is not None
    assert found.modules == frozenset()
