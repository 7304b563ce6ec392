"""A root tree from Debian's packages, set up in a chroot by the guest's own tools.

mmdebstrap fetches and unpacks; what depends on the machine the guest will run on (which modules
its initramfs needs, which disk GRUB is on) is told to the guest's tools, because it cannot be found
out here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter import process

if TYPE_CHECKING:
    from pathlib import Path

    from images.recipe import GrubProbe, Recipe

_LEFT_OUT: Final = ("doc", "man", "locale", "info", "lintian", "bash-completion")
# What `chpasswd -e` takes; the tests never log in.
_LOCKED: Final = "*"

_SET_UP: Final = """\
set -eu
printf 'root:%s\\n' '*' | chpasswd -e
useradd --create-home --shell /bin/bash admin
install -d -m 700 -o admin -g admin /home/admin/.ssh
echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3cmVhbGx5LWEtdGVzdC1rZXktbm90aGluZy1lbHNl admin@test' \
    > /home/admin/.ssh/authorized_keys
"""

_DATA: Final = """\
mkdir -p /srv/data
i=0
while [ "$i" -lt {count} ]; do
    # The same bytes each time: a cipher stream over zeros, under the file's number.
    seq "$i" 40000 > "/srv/data/$i"
    i=$((i + 1))
done
"""

_INITRAMFS: Final = """\
cp -a /etc/initramfs-tools /tmp/kept
printf 'MODULES=list\\nCOMPRESS={compress}\\n' > /etc/initramfs-tools/conf.d/zz-build
printf '%s\\n' {modules} > /etc/initramfs-tools/modules
update-initramfs -c -k all
rm -rf /etc/initramfs-tools
mv /tmp/kept /etc/initramfs-tools
sed -i 's/^MODULES=.*/MODULES=dep/; s/^COMPRESS=.*/COMPRESS={compress}/' \
    /etc/initramfs-tools/initramfs.conf
"""

_GRUB: Final = """\
mv /usr/sbin/grub-probe /usr/sbin/grub-probe.real
cat > /usr/sbin/grub-probe <<'PROBE'
{probe}
PROBE
chmod 755 /usr/sbin/grub-probe
mkdir -p /boot/grub
grub-mkconfig -o /boot/grub/grub.cfg
mv /usr/sbin/grub-probe.real /usr/sbin/grub-probe
"""

# Answers for any device or path what grub-probe would on the guest's own machine.
_PROBE: Final = """\
#!/bin/sh
target=
while [ "$#" -gt 0 ]; do
    case "$1" in
        --target=*) target=${{1#--target=}} ;;
        -t | --target) target=$2; shift ;;
    esac
    shift
done
case "$target" in
    device) echo '{device}' ;;
    fs) echo '{fs}' ;;
    fs_uuid) echo '{fs_uuid}' ;;
    partuuid) echo '{partuuid}' ;;
    partmap) echo '{partmap}' ;;
    drive | compatibility_hint) echo '{drive}' ;;
    hints_string) echo '{hints_string}' ;;
    fs_label) exit 1 ;;
esac"""


def make(recipe: Recipe, directory: Path) -> None:
    """Make the tree of `recipe` in `directory`, which must not exist."""
    script = directory.with_suffix(".sh")
    script.write_text(_script(recipe), encoding="utf-8")
    overlay = directory.with_suffix(".files")
    _write_files(recipe, overlay)
    process.run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            "--format=directory",
            '--aptopt=APT::Install-Recommends "false"',
            *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT),
            f"--include={','.join(recipe.packages)}",
            f'--customize-hook=cp -rT {overlay} "$1"',
            f'--customize-hook=cp {script} "$1/tmp/set-up"',
            '--customize-hook=chroot "$1" sh /tmp/set-up',
            recipe.suite,
            str(directory),
        ]
    )


def _write_files(recipe: Recipe, overlay: Path) -> None:
    overlay.mkdir()
    for name, text in recipe.files.items():
        target = overlay / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.removeprefix("\n"), encoding="utf-8")


def _script(recipe: Recipe) -> str:
    parts = [_SET_UP, _DATA.format(count=recipe.data_files)]
    parts += [f"systemctl enable {unit}\n" for unit in recipe.enable]
    modules = " ".join(recipe.initramfs.modules)
    parts.append(_INITRAMFS.format(modules=modules, compress=recipe.initramfs.compress))
    parts.append(_GRUB.format(probe=_probe(recipe.grub_probe)))
    parts += [
        f"grub-editenv /boot/grub/grubenv set '{name}={value}'\n"
        for name, value in recipe.grub_environment.items()
    ]
    parts.append("rm -f /tmp/set-up /etc/resolv.conf /etc/machine-id\n: > /etc/machine-id\n")
    return "".join(parts)


def _probe(answers: GrubProbe) -> str:
    fields = type(answers).__dataclass_fields__
    return _PROBE.format(**{name: getattr(answers, name) for name in fields})
