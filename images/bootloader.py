"""What the guest's own boot loader is told, in a machine with the guest's own disks.

BIOS: the disks that the recipe names. UEFI: without a firmware variable, and with a copy in
EFI/BOOT only where the recipe says so. All run in a chroot in the guest's tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from images.appliance import disk_device, here
from images.recipe import Loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from images.recipe import Boot, Recipe

_MAP: Final = "/boot/grub/device.map"
_SETTINGS: Final = "/etc/default/grub.d"

# As grub2-mkconfig and kernel-install leave it on Fedora, with upstream's module (GRUB 2.14).
_BLS: Final = """\
for image in /boot/vmlinuz-*; do
    release=${{image#/boot/vmlinuz-}}
    mkdir -p /boot/loader/entries
    cat > "/boot/loader/entries/debian-$release.conf" <<ENTRY
title Debian GNU/Linux ($release)
version $release
linux $image
initrd /boot/initrd.img-$release
options {arguments}
ENTRY
done
cat > /boot/grub/grub.cfg <<'CONFIG'
set timeout=2
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${{saved_entry}}" ]; then
  set default="${{saved_entry}}"
fi
search --no-floppy --fs-uuid --set=root {uuid}
insmod blsuki
blscfg --path /boot/loader/entries
CONFIG
"""

_SYSTEMD_BOOT: Final = """\
export SYSTEMD_RELAX_ESP_CHECKS=1
mkdir -p /etc/kernel
echo debian > /etc/kernel/entry-token
echo layout=bls > /etc/kernel/install.conf
echo '{arguments}' > /etc/kernel/cmdline
bootctl --esp-path=/boot/efi --no-variables install
echo 'timeout 2' >> /boot/efi/loader/loader.conf
for image in /boot/vmlinuz-*; do
    release=${{image#/boot/vmlinuz-}}
    kernel-install add "$release" "$image" "/boot/initrd.img-$release"
done
"""


def script(recipe: Recipe) -> str:
    """Give the shell script that makes the guest bootable, from within its tree."""
    return "\n".join(_LOADERS[recipe.boot.loader](recipe))


def _grub(recipe: Recipe) -> Iterator[str]:
    yield from _grub_install(recipe)
    yield f"mkdir -p {_SETTINGS}"
    # The one thing that grub-mkconfig finds out here and that is different here.
    yield f"echo GRUB_DEVICE={_root(recipe)} > {_SETTINGS}/zz-build.cfg"
    yield "grub-mkconfig -o /boot/grub/grub.cfg"
    yield f"rm {_SETTINGS}/zz-build.cfg && rmdir --ignore-fail-on-non-empty {_SETTINGS}"
    yield f"rm {_MAP}"
    yield from _environment(recipe.boot)


def _grub_bls(recipe: Recipe) -> Iterator[str]:
    yield from _grub_install(recipe)
    yield f"rm {_MAP}"
    uuid = next(each.uuid for each in recipe.filesystems if each.device == _root(recipe))
    yield _BLS.format(arguments=recipe.boot.arguments, uuid=uuid)
    yield from _environment(recipe.boot)


def _environment(boot: Boot) -> Iterator[str]:
    for name, value in boot.environment.items():
        yield f"grub-editenv /boot/grub/grubenv set '{name}={value}'"


def _grub_install(recipe: Recipe) -> Iterator[str]:
    boot = recipe.boot
    yield from _device_map(recipe, here)
    if "bios" in boot.firmware:
        for disk in boot.disks:
            yield f"grub-install --target=i386-pc {here(disk)}"
    if "uefi" in boot.firmware:
        extra = " --force-extra-removable" if boot.fallback else ""
        yield (
            "grub-install --target=x86_64-efi --efi-directory=/boot/efi --bootloader-id=debian"
            f" --uefi-secure-boot --no-nvram{extra}"
        )


def _grub_legacy(recipe: Recipe) -> Iterator[str]:
    yield from _device_map(recipe, here)
    for number in range(len(recipe.boot.disks)):
        yield f"grub-install --no-floppy '(hd{number})'"
    yield "update-grub"
    yield from _device_map(recipe, str)


def _systemd_boot(recipe: Recipe) -> Iterator[str]:
    yield _SYSTEMD_BOOT.format(arguments=recipe.boot.arguments)
    if not recipe.boot.fallback:
        yield "rm -r /boot/efi/EFI/BOOT"


def _device_map(recipe: Recipe, name: Callable[[str], str]) -> Iterator[str]:
    """Write the file that says which BIOS drive is which device."""
    yield f"mkdir -p /boot/grub && : > {_MAP}"
    for number in range(len(recipe.disks)):
        device = name(disk_device(number))
        yield f'echo "(hd{number}) $(readlink -m {device})" >> {_MAP}'


def _root(recipe: Recipe) -> str:
    return next(
        each.device for each in recipe.filesystems if each.mount == "/" or "/" in each.subvolumes
    )


_LOADERS: Final[Mapping[Loader, Callable[[Recipe], Iterator[str]]]] = {
    Loader.GRUB: _grub,
    Loader.GRUB_BLS: _grub_bls,
    Loader.GRUB_LEGACY: _grub_legacy,
    Loader.SYSTEMD_BOOT: _systemd_boot,
}
