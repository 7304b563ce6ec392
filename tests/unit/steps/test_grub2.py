from __future__ import annotations

import pytest

from converter.formats import grubenv
from converter.steps import boot_entries, grub2
from tests.unit.boot_samples import BOOT, KERNEL, ROOT, SWAP, Machine, codes, machine
from tests.unit.grub_samples import FEDORA, SUSE, debian, environment
from tests.unit.inspection.test_grub2 import ENTRIES, GRUB_EFI, MACHINE_ID, NEW, UEFI, entry, rhel

CONFIG = "/boot/grub/grub.cfg"
CONSOLES = "console=tty0 console=ttyS0,115200n8"


def converted(found: Machine, path: str = CONFIG) -> str:
    found.convert(grub2.STEP)
    return found.text(path)


def one(arguments: str, initrd: str = "initrd /boot/i") -> Machine:
    return machine(
        {
            CONFIG: f"set timeout=5\nmenuentry x {{\n linux /boot/vmlinuz-{KERNEL} {arguments}\n"
            f" {initrd}\n}}\n"
        }
    )


def line(found: Machine) -> str:
    text = converted(found)
    return next(part for part in text.split("\n") if "linux" in part).partition(f"{KERNEL} ")[2]


def test_debian() -> None:
    found = machine({CONFIG: debian(timeout="10")})
    plan = found.convert(grub2.STEP)
    assert codes(plan, CONFIG) == ["grub-device-name", "grub-console", "grub-timeout"]
    text = found.text(CONFIG)
    expected = debian(timeout="5").replace("root=/dev/sda1", f"root=UUID={ROOT}")
    for end in ("splash $vt_handoff", "ro  quiet", "ro single"):
        expected = expected.replace(f"{end}\n", f"{end} {CONSOLES}\n")
    assert text == expected.replace("timeout=30", "timeout=5")


def test_a_converted_guest_is_left_alone() -> None:
    found = machine({CONFIG: debian()})
    found.convert(grub2.STEP)
    assert found.plan(grub2.STEP).changes == ()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("root=/dev/sda1 ro", f"root=UUID={ROOT} ro"),
        ("root=/dev/vda1 resume=/dev/vda2", f"root=UUID={ROOT} resume=UUID={SWAP}"),
        ("root=LABEL=label1 ro", "root=LABEL=label1 ro"),
        (f"root=UUID={ROOT} resume=/dev/sda2 ro", f"root=UUID={ROOT} resume=UUID={SWAP} ro"),
        ("root=PARTUUID=pu-1 rw", "root=PARTUUID=pu-1 rw"),
        ("root=/dev/mapper/vg-root rd.lvm.lv=vg/r", "root=/dev/mapper/vg-root rd.lvm.lv=vg/r"),
        ("root=/dev/vg/root ro", "root=/dev/vg/root ro"),
        ("root=/dev/sda1 rootflags=subvol=@ ro", f"root=UUID={ROOT} rootflags=subvol=@ ro"),
        (
            "root=/dev/sda1 rootflags=device=/dev/sda1,subvol=@,device=/dev/sdb ro",
            f"root=UUID={ROOT} rootflags=subvol=@ ro",
        ),
        ("root=/dev/sda1 rootflags=device=/dev/sda1 ro", f"root=UUID={ROOT} ro"),
        ("root=/dev/sda1 fips=1 boot=/dev/sda2", f"root=UUID={ROOT} fips=1 boot=UUID={SWAP}"),
        (f"root=UUID={ROOT} resume=/dev/sdf9 ro", f"root=UUID={ROOT} ro"),
        ("rd.luks.uuid=x mount.usr=/dev/sda3", f"rd.luks.uuid=x mount.usr=UUID={BOOT}"),
        ("crashkernel=auto dev=/dev/sda1", "crashkernel=auto dev=/dev/sda1"),
    ],
)  # fmt: skip
def test_devices(arguments: str, expected: str) -> None:
    assert line(one(arguments)) == f"{expected} {CONSOLES}"


@pytest.mark.parametrize(
    "name", ["/dev/disk/by-id/ata-VMware_0001-part1", "/dev/disk/by-path/pci-0000:00:10.0-part1"]
)
def test_a_root_that_only_the_old_machine_knew_is_the_root_we_found(name: str) -> None:
    assert line(one(f"root={name} ro")) == f"root=UUID={ROOT} ro {CONSOLES}"


def test_without_an_initramfs_the_kernel_looks_for_the_partition() -> None:
    assert line(one("root=/dev/sda1 ro", initrd="")) == f"root=PARTUUID=pu-1 ro {CONSOLES}"


def test_an_entry_for_another_system_keeps_its_root() -> None:
    text = (
        debian()
        + "menuentry 'Fedora (on /dev/sdc2)' {\n linux /vmlinuz root=/dev/sdc2\n initrd /i\n}\n"
    )
    new = converted(machine({CONFIG: text}))
    assert f"linux /vmlinuz root=/dev/sdc2 {CONSOLES}\n" in new


def test_a_root_in_a_variable_is_edited_there() -> None:
    text = f'set o="root=/dev/sda1 ro"\n{one("$o").text(CONFIG)}'
    found = machine({CONFIG: text})
    assert f'set o="root=UUID={ROOT} ro"' in converted(found)
    assert found.plan(grub2.STEP).findings == ()


def test_without_a_timeout_grub_would_wait() -> None:
    text = f"menuentry x {{ linux /boot/vmlinuz-{KERNEL} ro {CONSOLES} }}"
    assert converted(machine({CONFIG: text})) == f"{text}\nset timeout=5\n"


def test_included_files_are_edited_too() -> None:
    custom = "/boot/grub/custom.cfg"
    found = machine(
        {CONFIG: debian(), custom: "menuentry mine { linux /boot/k root=/dev/sda1\n initrd /i }\n"}
    )
    assert f"root=UUID={ROOT} {CONSOLES}" in converted(found, custom)


def test_suse() -> None:
    config = "/boot/grub2/grub.cfg"
    suse = SUSE.replace("resume=/dev/sda1", "resume=/dev/sda2").replace("-part2", "-part1")
    found = machine({config: suse, "/boot/vmlinuz-5.14.21-150500.53-default": b""})
    text = converted(found, config)
    devices = f"root=UUID={ROOT}  ${{extra_cmdline}} splash=silent resume=UUID={SWAP}"
    assert f"{devices} quiet mitigations=auto {CONSOLES}\n" in text
    assert "set timeout=5" in text


def test_the_wrapper_on_the_esp_stays() -> None:
    found = machine({CONFIG: debian(), **GRUB_EFI}, loader="", mounted=UEFI)
    plan = found.convert(grub2.STEP)
    assert {change.path for change in plan.changes} == {CONFIG}


def test_what_is_not_utf8_survives() -> None:
    data = f"menuentry 'D\xe9bian' {{ linux /boot/vmlinuz-{KERNEL} root=/dev/sda1\n initrd /i }}\n"
    found = machine({CONFIG: data.encode("latin-1")})
    found.convert(grub2.STEP)
    assert found.guest.read(CONFIG).startswith(b"menuentry 'D\xe9bian' {")


# --- the environment ------------------------------------------------------------------------------


def test_kernelopts_of_rhel_8() -> None:
    env = environment(
        saved_entry=f"{MACHINE_ID}-{NEW}", kernelopts="root=/dev/sda1 ro resume=/dev/sda2 quiet"
    )
    found = rhel(env, {NEW: entry(NEW, "$kernelopts $tuned_params")})
    plan = found.convert(grub2.STEP, boot_entries.STEP)
    data = found.guest.read("/boot/grub2/grubenv")
    assert len(data) == 1024
    options = f"root=UUID={ROOT} ro resume=UUID={SWAP} quiet {CONSOLES}"
    assert grubenv.parse(data)["kernelopts"] == options
    assert codes(plan, "/boot/grub2/grubenv") == ["grub-device-name", "grub-console"]
    assert codes(plan, f"{ENTRIES}/{MACHINE_ID}-{NEW}.conf") == []
    text = found.text("/boot/grub2/grub.cfg")
    assert f'set kernelopts="root=UUID={SWAP} ro rhgb quiet {CONSOLES} "' in text
    loader = found.bootloader()
    assert loader.default is not None
    assert loader.default.arguments == tuple(options.split())


@pytest.mark.parametrize(
    ("env", "left"),
    [
        (
            environment(saved_entry="0", next_entry="1>2", recordfail="1"),
            {"saved_entry": "0", "recordfail": "1"},
        ),
        (environment(saved_entry="1>2", prev_saved_entry="0"), {"saved_entry": "0"}),
    ],
)
def test_what_was_chosen_once_is_dropped(env: str, left: dict[str, str]) -> None:
    found = machine({CONFIG: debian("${saved_entry}"), "/boot/grub/grubenv": env})
    plan = found.convert(grub2.STEP)
    assert codes(plan, "/boot/grub/grubenv") == ["grub-one-time-entry"]
    assert grubenv.parse(found.guest.read("/boot/grub/grubenv")) == left
    assert [finding.code for finding in plan.findings] == ["grub-one-time-entry"]


def test_a_broken_environment_stays() -> None:
    found = machine({CONFIG: debian(), "/boot/grub/grubenv": b"\0" * 1024})
    assert codes(found.convert(grub2.STEP), "/boot/grub/grubenv") == []


def test_fedoras_time_and_fallback_options() -> None:
    found = rhel()
    found.convert(grub2.STEP)
    text = found.text("/boot/grub2/grub.cfg")
    assert text.count(CONSOLES) == 1
    assert text.replace("timeout=5", "timeout=60").count("timeout=60") == FEDORA.replace(
        "timeout=5", "timeout=60"
    ).count("timeout=60")
