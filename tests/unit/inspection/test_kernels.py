from __future__ import annotations

import pytest

from converter.errors import GuestError
from converter.guest.memory import MemoryGuest, Node
from converter.inspection import kernels
from converter.inspection.kernels import inspect_kernels, kernel_of, release_of
from converter.model import FileKind, Kernel
from tests.unit import initramfs_samples as made
from tests.unit.initramfs_samples import RELEASE


def bzimage(release: str) -> bytes:
    """Give the start of a kernel image with the boot protocol's header (x86/boot.rst)."""
    data = bytearray(0x4000)
    data[0x202:0x206] = b"HdrS"
    data[0x206:0x208] = (0x20F).to_bytes(2, "little")
    data[0x20E:0x210] = (0x3000 - 0x200).to_bytes(2, "little")
    text = f"{release} (builder@host) #1 SMP".encode() + b"\0"
    data[0x3000 : 0x3000 + len(text)] = text
    return bytes(data)


def link(target: str) -> Node:
    return Node(FileKind.SYMLINK, target.encode())


def test_a_kernel_with_its_modules() -> None:
    guest = MemoryGuest(made.kernel(builtin="kernel/drivers/block/virtio_blk.ko\n"))
    (kernel,) = inspect_kernels(guest)
    assert (kernel.release, kernel.image) == (RELEASE, f"/boot/vmlinuz-{RELEASE}")
    assert {"nvme", "nvme_core", "xen_blkfront", "ena"} <= kernel.modules
    assert kernel.builtin == {"virtio_blk"}
    assert kernel_of(guest, made.entry(), (kernel,)) == kernel
    assert kernel_of(guest, None, (kernel,)) is None


def test_an_image_tells_its_release_whatever_it_is_called() -> None:
    """Arch: /boot/vmlinuz-linux; a rescue image of the same kernel does not take its place."""
    release = "6.9.7-arch1-1"
    files = {
        **made.kernel(release, image=f"/usr/src/{release}"),
        "/boot/vmlinuz-linux": bzimage(release),
    }
    guest = MemoryGuest(files)
    assert [(k.release, k.image) for k in inspect_kernels(guest)] == [
        (release, "/boot/vmlinuz-linux")
    ]
    found = kernel_of(guest, made.entry("/boot/vmlinuz-linux"), inspect_kernels(guest))
    assert found is not None
    assert "nvme" in found.modules


def test_a_rescue_image_does_not_take_the_kernels_place() -> None:
    release = "5.14.0-427.el9.x86_64"
    files = {
        **made.kernel(release),
        f"/boot/vmlinuz-{release}": bzimage(release),
        "/boot/vmlinuz-0-rescue-0123456789abcdef": bzimage(release),
    }
    (kernel,) = inspect_kernels(MemoryGuest(files))
    assert kernel.image == f"/boot/vmlinuz-{release}"


@pytest.mark.parametrize("data", [b"", b"kernel", bzimage(RELEASE)])
def test_an_image_that_lies_with_its_modules(data: bytes) -> None:
    """SUSE: /boot/vmlinuz-RELEASE is a link to /usr/lib/modules/RELEASE/vmlinuz."""
    place = f"/usr/lib/modules/{RELEASE}/vmlinuz"
    guest = MemoryGuest(
        {
            place: data,
            f"/usr/lib/modules/{RELEASE}/modules.dep": "kernel/nvme.ko:\n",
            "/lib": link("usr/lib"),
            "/boot/vmlinuz": link(f"vmlinuz-{RELEASE}"),
            f"/boot/vmlinuz-{RELEASE}": link(f"..{place}"),
        }
    )
    assert release_of(guest, "/boot/vmlinuz") == RELEASE
    assert [kernel.release for kernel in inspect_kernels(guest)] == [RELEASE]


@pytest.mark.parametrize(
    "head",
    [
        b"MZ" + bytes(0x300),
        bzimage("")[:0x3000],
        bzimage(RELEASE)[:0x20E],
        bzimage(RELEASE)[:0x20E] + b"\xff\xff" + bytes(0x4000),
    ],
)
def test_a_damaged_header_leaves_the_name(head: bytes) -> None:
    assert release_of(MemoryGuest({"/boot/vmlinuz-1.0": head}), "/boot/vmlinuz-1.0") == "1.0"


def test_what_there_is_not_has_no_release() -> None:
    guest = MemoryGuest({"/boot/bzImage": b""})
    assert release_of(guest, "/boot/vmlinuz-1.0") == ""
    assert release_of(guest, "/boot/bzImage") == ""
    assert kernel_of(guest, made.entry("/boot/bzImage"), (Kernel("", ""),)) is None


@pytest.mark.parametrize(
    "place", [f"/boot/config-{RELEASE}", f"/lib/modules/{RELEASE}/build/.config"]
)
def test_the_configuration_tells_what_is_built_in(place: str) -> None:
    """Kernels before 2.6.33 have no modules.builtin."""
    config = "CONFIG_XEN_BLKDEV_FRONTEND=y\nCONFIG_BLK_DEV_NVME=m\n# CONFIG_IXGBEVF is not set\n"
    guest = MemoryGuest({**made.kernel(dep="kernel/nvme.ko:\n"), place: config})
    (kernel,) = inspect_kernels(guest)
    assert kernel.builtin == {"xen_blkfront"}


@pytest.mark.parametrize("directory", ["/boot", "/lib/modules"])
def test_directories_of_kernels_have_bounds(
    monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    monkeypatch.setattr(kernels, "_NAMES_LIMIT", 5)
    guest = MemoryGuest({f"{directory}/vmlinuz-{number}": "" for number in range(6)})
    with pytest.raises(GuestError, match=f"{directory}: has 6 files") as error:
        kernels.inspect_kernels(guest)
    assert error.value.code == "guest-file-too-large"


def test_modules_of_all_kernels_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each could be a link to the same index of 16 MiB."""
    monkeypatch.setattr(kernels, "_MODULES_LIMIT", 99)
    index = "".join(f"kernel/m{number}.ko:\n" for number in range(10))
    guest = MemoryGuest({f"/lib/modules/{number}/modules.dep": index for number in range(9)})
    assert len(kernels.inspect_kernels(guest)) == 9
    guest = MemoryGuest({f"/lib/modules/{number}/modules.dep": index for number in range(10)})
    with pytest.raises(GuestError, match="more than 99 modules"):
        kernels.inspect_kernels(guest)
