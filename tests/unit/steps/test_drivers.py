"""The step that puts drivers into initramfs images, on guests made for the purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter.capabilities import capabilities
from converter.formats import compression, cpio, initramfs, kmod
from converter.guest.memory import MemoryGuest, Node
from converter.guest.replay import replay
from converter.model import AppendFile, FileKind, Severity, WriteFile
from converter.steps import drivers
from tests.unit import initramfs_samples as made
from tests.unit.initramfs_samples import RELEASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converter.model import BootEntry, Plan

INITRD = f"/boot/initrd.img-{RELEASE}"
MODULES = f"usr/lib/modules/{RELEASE}"


def plan(guest: MemoryGuest, entries: Sequence[BootEntry] = (made.entry(),)) -> Plan:
    context = made.context(guest, entries)
    drivers.run(context)
    return context.guest.plan


def apply(guest: MemoryGuest, entries: Sequence[BootEntry] = (made.entry(),)) -> Plan:
    """Convert `guest`; planning once more must find nothing to do."""
    done = plan(guest, entries)
    replay(done, guest, progress=lambda _: None)
    assert plan(guest, entries).changes == ()
    return done


def codes(found: Plan, severity: Severity | None = None) -> list[str]:
    return [f.code for f in found.findings if severity in (None, f.severity)]


def debian(
    image: bytes = made.debian_image(), *, dep: str = made.DEP, builtin: str = ""
) -> MemoryGuest:
    files = {**made.kernel(dep=dep, builtin=builtin), INITRD: image}
    return MemoryGuest({**files, "/etc/initramfs-tools/modules": b"# comment\n"})


@pytest.mark.parametrize("kind", [*sorted(compression.JOINABLE), "none"])
def test_the_drivers_are_put_in(kind: str) -> None:
    plain = made.debian_image()
    guest = debian(plain if kind == "none" else compression.compress(plain, kind))
    before = guest.read(INITRD)
    found = apply(guest)
    assert [(type(c), c.path, c.code) for c in found.changes] == [
        (WriteFile, "/etc/initramfs-tools/modules", "initramfs-configuration"),
        (AppendFile, INITRD, "initramfs-drivers"),
    ]
    assert all(change.reason for change in found.changes)
    assert codes(found) == []
    data = guest.read(INITRD, limit=1 << 30)
    assert data.startswith(before)
    image = initramfs.read(data)
    assert image.modules(RELEASE) == {"ext4", "nvme", "nvme_core", "xen_blkfront"}
    assert guest.read("/etc/initramfs-tools/modules") == b"# comment\nnvme\nxen_blkfront\n"
    assert guest.read(f"/boot/.initrd.img-{RELEASE}.converter-orig") == before
    able = capabilities(made.facts(guest, [made.entry()]).os)
    assert (able.nvme, able.xen_blk, able.ena) == (True, True, True)


def test_modules_come_in_plain_with_their_signatures() -> None:
    guest = debian()
    apply(guest)
    image = initramfs.read(guest.read(INITRD, limit=1 << 30), keep=lambda _path, _size: True)
    path = "kernel/drivers/nvme/host/nvme.ko"
    assert image.read(f"{MODULES}/{path}") == made.ELF + f"{path}.xz".encode() + made.SIGNATURE
    dep = kmod.parse_dep((image.read(f"{MODULES}/modules.dep") or b"").decode())
    assert dep[path] == ("kernel/drivers/nvme/host/nvme-core.ko",)


def test_a_complete_image_is_left_alone() -> None:
    base = f"{MODULES}/kernel/drivers"
    extra = {f"{base}/nvme.ko": b"", f"{base}/nvme-core.ko": b"", f"{base}/xen-blkfront.ko": b""}
    found = apply(debian(made.debian_image(extra=extra)))
    assert [change.path for change in found.changes] == ["/etc/initramfs-tools/modules"]


def test_through_a_link_the_file_itself_is_changed() -> None:
    link = Node(FileKind.SYMLINK, f"boot/initrd.img-{RELEASE}".encode())
    guest = MemoryGuest({**made.kernel(), INITRD: made.debian_image(), "/initrd.img": link})
    found = apply(guest, [made.entry(initramfs="/initrd.img")])
    assert found.changes[-1].path == INITRD
    assert guest.readlink("/initrd.img") == f"boot/initrd.img-{RELEASE}"


def test_after_microcode_in_the_same_file() -> None:
    early = made.archive({"kernel/x86/microcode/GenuineIntel.bin": b"x"}).ljust(2048, b"\0")
    guest = debian(early + compression.compress(made.debian_image(), "gzip"))
    apply(guest)
    image = initramfs.read(guest.read(INITRD, limit=1 << 30))
    assert [segment.early for segment in image.segments] == [True, False, False]
    assert "nvme" in image.modules(RELEASE)


# --- what the kernel has and has not --------------------------------------------------------------


def test_built_in_drivers_need_no_module() -> None:
    dep = "kernel/drivers/net/ena.ko:\nkernel/drivers/net/xen-netfront.ko:\nixgbevf.ko:\n"
    builtin = "kernel/drivers/nvme/host/nvme.ko\nkernel/drivers/block/xen-blkfront.ko\n"
    guest = debian(dep=dep, builtin=builtin)
    found = apply(guest)
    assert (found.changes, codes(found)) == ((), [])
    assert capabilities(made.facts(guest, [made.entry()]).os).nvme


def test_without_an_initramfs_a_driver_must_be_built_in() -> None:
    entry = made.entry(initramfs="")
    guest = MemoryGuest(made.kernel(builtin="kernel/drivers/block/xen-blkfront.ko\n"))
    assert codes(plan(guest, [entry]), Severity.ERROR) == []
    guest = MemoryGuest(made.kernel())
    assert codes(plan(guest, [entry]), Severity.ERROR) == ["initramfs-missing"]
    assert not capabilities(made.facts(guest, [entry]).os).nvme


def test_a_driver_that_the_kernel_does_not_have() -> None:
    """RHEL 5 and 6.4, Debian 6: no nvme, no ena."""
    guest = debian(dep="kernel/drivers/xen/blkfront/xen-vbd.ko: kernel/xen-platform-pci.ko\n"
                   "kernel/xen-platform-pci.ko:\n")  # fmt: skip
    found = apply(guest)
    unavailable = [f for f in found.findings if f.code == "driver-unavailable"]
    assert {f.severity for f in unavailable} == {Severity.WARNING}
    assert len(unavailable) == 4
    image = initramfs.read(guest.read(INITRD, limit=1 << 30))
    assert {"xen_vbd", "xen_platform_pci"} <= image.modules(RELEASE)
    able = capabilities(made.facts(guest, [made.entry()]).os)
    assert (able.nvme, able.xen_blk) == (False, True)


def test_xens_platform_device_comes_along() -> None:
    """In 2.6.36 to 3.1 a module that no other refers to, but without it no disk shows."""
    dep = "kernel/xen-blkfront.ko:\nkernel/drivers/xen/xen-platform-pci.ko:\n"
    guest = debian(dep=dep)
    apply(guest)
    image = initramfs.read(guest.read(INITRD, limit=1 << 30))
    assert {"xen_blkfront", "xen_platform_pci"} <= image.modules(RELEASE)


def test_modules_without_an_index() -> None:
    guest = debian(dep="")
    guest.write(f"/lib/modules/{RELEASE}/kernel.ko", b"", mode=0o644, uid=0, gid=0)
    guest.mkdir(f"/lib/modules/{RELEASE}/kernel")
    found = plan(guest)
    assert codes(found) == ["modules-index-missing"]
    assert found.findings[0].severity is Severity.ERROR
    assert f"depmod -a {RELEASE}" in found.findings[0].hint


@pytest.mark.parametrize(
    "dep",
    [
        "../../../etc/nvme.ko:\n",
        "/opt/nvme.ko:\n",
        "kernel/nvme.ko: ../crc.ko\n../crc.ko:\n",
        "gone/nvme.ko:\n",
    ],
)
def test_an_index_that_leads_elsewhere(dep: str) -> None:
    files = {**made.kernel(dep=dep), INITRD: made.debian_image()}
    guest = MemoryGuest({path: data for path, data in files.items() if "gone" not in path})
    found = plan(guest)
    (error,) = (f for f in found.findings if f.severity is Severity.ERROR)
    assert error.code == "initramfs-not-prepared"
    assert INITRD in error.message
    assert error.hint


def test_a_strange_line_of_an_index_does_no_harm() -> None:
    """depmod.d(5), `external`: modules elsewhere are listed with their whole path."""
    guest = debian(dep=made.DEP)
    name = f"/lib/modules/{RELEASE}/modules.dep"
    strange = guest.read(name) + b"/opt/vendor/disk.ko:\n\xff\xfe.ko:\nno colon\n"
    guest.write(name, strange, mode=0o644, uid=0, gid=0)
    assert codes(apply(guest), Severity.ERROR) == []
    assert capabilities(made.facts(guest, [made.entry()]).os).nvme


@pytest.mark.parametrize(
    ("files", "arguments"),
    [
        ({"/etc/modprobe.d/x.conf": "# blacklist ext4\nblacklist floppy\nblacklist nvme\n"}, ()),
        ({"/etc/modprobe.conf": "install nvme /bin/true\n"}, ()),
        ({}, ("quiet", "modprobe.blacklist=floppy,nvme")),
        ({}, ("rd.driver.blacklist=nvme",)),
    ],
)
def test_drivers_that_are_kept_from_loading(
    files: dict[str, str], arguments: tuple[str, ...]
) -> None:
    guest = debian()
    for path, text in files.items():
        guest.mkdir(path.rpartition("/")[0])
        guest.write(path, text.encode(), mode=0o644, uid=0, gid=0)
    (finding,) = plan(guest, [replace(made.entry(), arguments=arguments)]).findings
    assert (finding.severity, finding.code) == (Severity.WARNING, "driver-blocked")
    assert "nvme" in finding.message
    assert "floppy" not in finding.message.replace("modprobe.blacklist=floppy,nvme", "")


# --- several kernels ------------------------------------------------------------------------------

RELEASES = ("6.1.0-13-amd64", "6.1.0-12-amd64", "6.1.0-11-amd64", "6.1.0-10-amd64")
ENTRIES = [made.entry(f"/boot/vmlinuz-{r}", f"/boot/initrd.img-{r}") for r in RELEASES]


def several() -> MemoryGuest:
    files: dict[str, bytes | str | Node] = {"/etc/initramfs-tools/modules": ""}
    for release in RELEASES:
        files |= made.kernel(release)
        files[f"/boot/initrd.img-{release}"] = made.debian_image(release)
    return MemoryGuest(files)


def test_two_kernels_to_fall_back_to_are_prepared() -> None:
    guest = several()
    recovery = ENTRIES[0]
    found = apply(guest, [ENTRIES[1], recovery, *ENTRIES])
    paths = [change.path for change in found.changes if isinstance(change, AppendFile)]
    assert paths == [f"/boot/initrd.img-{RELEASES[number]}" for number in (1, 0, 2)]
    (finding,) = found.findings
    assert (finding.severity, finding.code) == (Severity.INFO, "kernel-not-prepared")
    assert RELEASES[3] in finding.message


def test_what_is_wrong_with_another_kernel_is_only_reported() -> None:
    guest = several()
    guest.write(f"/boot/initrd.img-{RELEASES[1]}", b"broken", mode=0o600, uid=0, gid=0)
    guest.remove(f"/boot/initrd.img-{RELEASES[2]}")
    found = apply(guest, ENTRIES)
    assert codes(found, Severity.ERROR) == []
    assert codes(found, Severity.WARNING) == ["initramfs-not-prepared"]
    paths = [change.path for change in found.changes if isinstance(change, AppendFile)]
    assert paths == [f"/boot/initrd.img-{RELEASES[number]}" for number in (0, 3)]


def test_kernels_without_modules_are_passed_over() -> None:
    """Rescue, memtest and Xen entries."""
    guest = several()
    guest.write("/boot/vmlinuz-0-rescue", b"", mode=0o600, uid=0, gid=0)
    guest.write("/boot/rescue.img", made.debian_image(), mode=0o600, uid=0, gid=0)
    odd = [made.entry("/boot/vmlinuz-0-rescue", "/boot/rescue.img"), made.entry("/x", "")]
    found = apply(guest, [ENTRIES[0], *odd])
    assert [c.path for c in found.changes][1:] == [f"/boot/initrd.img-{RELEASES[0]}"]
    assert codes(found) == []


def test_no_default_kernel_is_said_by_inspection() -> None:
    guest = MemoryGuest({INITRD: made.debian_image()})
    assert plan(guest).findings == ()
    assert plan(guest, []).changes == ()


# --- other programs' images -----------------------------------------------------------------------


def image_of(guest: MemoryGuest) -> initramfs.Image:
    return initramfs.read(guest.read(INITRD, limit=1 << 30))


def test_dracut() -> None:
    files = {
        "usr/lib/dracut/hostonly-kernel-modules.txt": b"ext4\n",
        "usr/lib/systemd/systemd-udevd": b"",
        "etc/cmdline.d/95resume.conf": b" resume=/dev/sda2\n",
    }
    image = compression.compress(made.archive(files, {"lib": "usr/lib"}), "xz")
    guest = MemoryGuest({**made.kernel(), INITRD: image, "/etc/dracut.conf": "# empty\n"})
    found = apply(guest)
    assert codes(found) == []
    assert guest.read("/etc/dracut.conf.d/50-ec2-drivers.conf").splitlines()[-1] == (
        b'add_drivers+=" nvme xen_blkfront "'
    )
    assert {"nvme", "xen_blkfront"} <= image_of(guest).modules(RELEASE)
    resume = image_of(guest).read("etc/cmdline.d/95resume.conf")
    assert resume == f"resume=UUID={made.UUID.format(2)}\n".encode()


def test_mkinitcpio_without_udev_loads_by_its_list() -> None:
    """The indexes of such an image are binary only, and nothing but MODULES loads them."""
    files = {
        "init_functions": b"",
        "config": b'MODULES="ext4"\nHOOKS=""\n',
        f"{MODULES}/kernel/drivers/nvme.ko": b"",
        f"{MODULES}/kernel/drivers/nvme-core.ko": b"",
        f"{MODULES}/kernel/drivers/xen-blkfront.ko": b"",
    }
    guest = MemoryGuest(
        {
            **made.kernel(),
            INITRD: made.archive(files, {"lib": "usr/lib"}),
            "/etc/mkinitcpio.conf": "MODULES=(ext4)\nHOOKS=(base)\n",
        }
    )
    found = apply(guest)
    assert codes(found) == []
    assert guest.read("/etc/mkinitcpio.conf") == b"MODULES=(nvme xen_blkfront ext4)\nHOOKS=(base)\n"
    config = image_of(guest).read("config")
    assert config == b'MODULES="ext4 nvme xen_blkfront"\nHOOKS=""\n'


def test_a_drop_in_that_sets_the_list_counts() -> None:
    name = "/etc/mkinitcpio.conf.d/20-modules.conf"
    guest = MemoryGuest(
        {
            **made.kernel(),
            INITRD: made.archive({"init_functions": b"", "usr/bin/udevadm": b""}),
            "/etc/mkinitcpio.conf": "MODULES=()\n",
            "/etc/mkinitcpio.conf.d/10-hooks.conf": "HOOKS=(base udev)\n",
            name: "MODULES=(vmw_pvscsi)\n",
        }
    )
    apply(guest)
    assert guest.read(name) == b"MODULES=(nvme xen_blkfront vmw_pvscsi)\n"
    assert guest.read("/etc/mkinitcpio.conf") == b"MODULES=()\n"


def test_suse_mkinitrd() -> None:
    files = {
        "run_all.sh": b"",
        "sbin/udevd": b"",
        "config/mount.sh": b"rootdev=/dev/sda1\nresumedev=/dev/disk/by-id/ata-VMware_1-part9\n",
    }
    guest = MemoryGuest(
        {
            **made.kernel(dep="updates/xen-vbd.ko: updates/xen-platform-pci.ko\n"
                          "updates/xen-platform-pci.ko:\n"),
            INITRD: compression.compress(made.archive(files), "gzip"),
            "/etc/sysconfig/kernel": '# comment\nINITRD_MODULES="piix mptspi"\n',
        }
    )  # fmt: skip
    apply(guest)
    assert guest.read("/etc/sysconfig/kernel") == (
        b'# comment\nINITRD_MODULES="piix mptspi xen_vbd xen_platform_pci"\n'
    )
    assert image_of(guest).modules(RELEASE) == {"xen_vbd", "xen_platform_pci"}
    assert image_of(guest).read("config/mount.sh") == (
        f'rootdev=/dev/disk/by-uuid/{made.UUID.format(1)}\nresumedev=""\n'.encode()
    )


def test_red_hats_mkinitrd() -> None:
    """RHEL 5: modules lie in /lib, and the script of nash names each of them."""
    script = (
        b"#!/bin/nash\nmkblkdevs\nresume /dev/sda2\nmkrootdev -t ext3 /dev/sda1\nmount /sysroot\n"
    )
    files = {"bin/nash": b"", "init": script, "lib/ext3.ko": b"", "lib/libc.so": b""}
    dep = (
        f"/lib/modules/{RELEASE}/x/xen-vbd.ko: /lib/modules/{RELEASE}/x/xen-platform-pci.ko\n"
        f"/lib/modules/{RELEASE}/x/xen-platform-pci.ko:\n"
    )
    kernel = made.kernel(dep="x/xen-vbd.ko:\nx/xen-platform-pci.ko:\n")
    guest = MemoryGuest(
        {
            **kernel,
            f"/lib/modules/{RELEASE}/modules.dep": dep,
            INITRD: compression.compress(made.archive(files), "gzip"),
            "/etc/modprobe.conf": "alias scsi_hostadapter mptbase\n",
        }
    )
    found = apply(guest)
    assert codes(found, Severity.ERROR) == []
    image = image_of(guest)
    assert image.modules(RELEASE) == {"ext3", "xen_vbd", "xen_platform_pci"}
    assert image.read("init") == (
        b"#!/bin/nash\nmkblkdevs\n"
        b'echo "Loading xen-platform-pci.ko module"\ninsmod /lib/xen-platform-pci.ko\n'
        b'echo "Loading xen-vbd.ko module"\ninsmod /lib/xen-vbd.ko\nmkblkdevs\n'
        + f"resume UUID={made.UUID.format(2)}\n".encode()
        + f"mkrootdev -t ext3 UUID={made.UUID.format(1)}\nmount /sysroot\n".encode()
    )
    assert image.files["init"].mode & 0o777 == 0o755
    assert not any("modules.dep" in path for path in image.files)
    assert guest.read("/etc/modprobe.conf").splitlines()[1:] == [
        b"alias scsi_hostadapter1 xen_vbd",
        b"alias scsi_hostadapter2 xen_platform_pci",
    ]
    assert capabilities(made.facts(guest, [made.entry()]).os).xen_blk


def test_an_image_that_nothing_is_known_about() -> None:
    guest = MemoryGuest({**made.kernel(), INITRD: made.archive({"init": b"\x7fELF"})})
    found = apply(guest)
    assert codes(found) == ["initramfs-configuration-unknown", "initramfs-loader-unknown"]
    assert codes(found, Severity.WARNING) == ["initramfs-loader-unknown"]
    assert "nvme" in image_of(guest).modules(RELEASE)


def test_an_image_whose_files_are_in_another() -> None:
    files = {"init": b"", "usr/lib/dracut/x": b"", "squash-root.img": b"hsqs"}
    guest = MemoryGuest({**made.kernel(), INITRD: made.archive(files), "/etc/dracut.conf": ""})
    (error,) = (f for f in plan(guest).findings if f.severity is Severity.ERROR)
    assert error.code == "initramfs-not-prepared"
    assert "squash-root.img" in error.message


def test_a_plan_never_has_the_whole_image_in_it() -> None:
    big = made.archive({"bin/big": bytes(40 << 20), "conf/initramfs.conf": b""})
    guest = debian(big)
    found = plan(guest)
    assert sum(len(c.data) for c in found.changes if isinstance(c, AppendFile)) < 1 << 20


def test_permissions_of_what_is_replaced_stay() -> None:
    """The kernel gives a file the mode of the last entry: /init must stay executable."""
    guest = debian(made.debian_image(extra={"conf/conf.d/resume": b"RESUME=/dev/sda2\n"}))
    apply(guest)
    file = image_of(guest).files["conf/conf.d/resume"]
    assert file.mode & 0o777 == 0o755
    assert file.data == f"RESUME=UUID={made.UUID.format(2)}\n".encode()


def test_the_archive_is_made_of_directories_before_their_files() -> None:
    guest = debian()
    found = plan(guest)
    data = next(c.data for c in found.changes if isinstance(c, AppendFile))
    names = [e.name for e in cpio.read(cpio.Source([data.lstrip(b"\0")], limit=1 << 24))]
    assert names[-1] == cpio.TRAILER
    assert all(
        name.rpartition("/")[0] in names[:at] for at, name in enumerate(names) if "drivers/" in name
    )
