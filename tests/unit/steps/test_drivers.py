"""The step that puts drivers into initramfs images, on guests made for the purpose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from converter.capabilities import capabilities
from converter.formats import compression, cpio, initramfs, kmod
from converter.guest.memory import MemoryGuest, Node
from converter.model import AppendFile, FileKind, Mount, Severity, Space, WriteFile
from converter.steps import drivers
from tests.unit import initramfs_samples as made
from tests.unit.initramfs_samples import RELEASE
from tests.unit.steps.drivers_step import INITRD, MODULES, apply, codes, image_of, plan


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
        ({"/usr/lib/modprobe.d/x.conf": "blacklist nvme\n"}, ()),
        (
            {
                "/etc/modprobe.d/x.conf": "blacklist nvme\n",
                "/lib/modprobe.d/x.conf": "blacklist ena\n",
            },
            (),
        ),
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


def test_drivers_of_the_network_may_be_kept_from_loading() -> None:
    guest = debian(dep=made.DEP)
    guest.mkdir("/etc/modprobe.d")
    text = b"install ena /bin/false\nblacklist nvme\n"
    guest.write("/etc/modprobe.d/hard.conf", text, mode=0o644, uid=0, gid=0)
    (finding,) = [item for item in apply(guest).findings if item.code == "driver-blocked"]
    assert "/etc/modprobe.d/hard.conf keeps ena, nvme from loading" in finding.message
    found = capabilities(made.facts(guest, [made.entry()]).os)
    assert (found.nvme, found.ena, found.xen_blk) == (False, False, True)


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


@pytest.mark.parametrize(("free", "prepared"), [(60 << 20, 1), (200 << 20, 3)])
def test_other_kernels_are_prepared_as_far_as_there_is_room(free: int, prepared: int) -> None:
    guest = several()
    for release in RELEASES[:3]:
        guest.append(f"/boot/initrd.img-{release}", bytes(30 << 20))
    context = made.context(guest, ENTRIES[:3])
    boot = Mount("/boot", "/dev/sda2", "ext4", space=Space(1 << 30, free))
    context = replace(context, facts=replace(context.facts, mounts=(*context.facts.mounts, boot)))
    drivers.run(context)
    found = context.guest.plan
    assert len([c for c in found.changes if isinstance(c, AppendFile)]) == prepared
    assert codes(found) == ["kernel-not-prepared"] * (3 - prepared)


def test_where_the_default_needs_nothing_no_other_kernel_is_touched() -> None:
    guest = several()
    apply(guest, ENTRIES[:1])
    assert plan(guest, ENTRIES).changes == ()


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


# --- what the segment is -------------------------------------------------------------------------


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
