"""The files of a guest: its suite's base tree, with what its recipe adds, set up by its own tools.

Everything here runs natively, in a chroot. What the guest's tools can only find out on the guest's
own machine they are told (which modules its initramfs needs), or they run later (`disk`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter import process
from images import base
from images.recipe import Generator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from images.recipe import Initramfs, Recipe

_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# No service is started, and no initramfs made, while packages are installed.
_INSTALL: Final = """\
set -eu
export DEBIAN_FRONTEND=noninteractive INITRD=No LC_ALL=C
printf 'exit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
install_all() {{ apt-get -y -q --no-install-recommends install {packages}; }}
# The lists are as old as the base tree.
install_all || {{ apt-get -q update; install_all; }}
rm /usr/sbin/policy-rc.d
"""

_SET_UP: Final = """\
set -eu
export LC_ALL=C
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
    seq "$i" 40000 > "/srv/data/$i"
    i=$((i + 1))
done
"""

# What MODULES=dep picks on the guest's own machine cannot be computed elsewhere: it is made with
# MODULES=list and left configured as it would be there.
_INITRAMFS_TOOLS: Final = """\
cp -a /etc/initramfs-tools /tmp/kept
printf 'MODULES=list\\nCOMPRESS={compress}\\n' > /etc/initramfs-tools/conf.d/zz-build
printf '%s\\n' {modules} > /etc/initramfs-tools/modules
update-initramfs -c -k all
rm -rf /etc/initramfs-tools
mv /tmp/kept /etc/initramfs-tools
sed -i 's/^MODULES=.*/MODULES=dep/; s/^COMPRESS=.*/COMPRESS={compress}/' \
    /etc/initramfs-tools/initramfs.conf
"""
# Likewise: the drivers that hostonly="yes" finds there, and no others.
_DRACUT: Final = """\
for directory in /lib/modules/*; do
    release=${{directory##*/}}
    dracut --force --no-hostonly --{compress} --drivers '{modules}' \
        "/boot/initrd.img-$release" "$release"
done
"""
_INITRAMFS: Final = {Generator.INITRAMFS_TOOLS: _INITRAMFS_TOOLS, Generator.DRACUT: _DRACUT}

_CLEAN: Final = """\
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /etc/resolv.conf
: > /etc/machine-id
"""

# Stands in for a guest of a distribution with rpm: Debian's rpm, with a database of its own, in
# which one package has what all others need.
_RPM: Final = """\
cat > /tmp/base.spec <<END
Name: base
Version: 1
Release: 1
Summary: The whole of the guest
License: none
BuildArch: noarch
Provides: /bin/sh
%description
What the guest has.
%files
END
rpmbuild -bb --quiet --define '_topdir /tmp/rpm' /tmp/base.spec
rpm --initdb
rpm --install /tmp/rpm/RPMS/noarch/*.rpm
rm -rf /tmp/rpm /tmp/base.spec
rm -rf /var/lib/dpkg /usr/bin/dpkg /usr/bin/apt-get
"""


def make(recipe: Recipe, directory: Path) -> Path:
    """Make the tar of the guest's files in `directory`."""
    tree = directory / "root"
    base.unpack(recipe.suite, tree)
    process.run(["sh", "-c", base.lend(recipe.suite), "sh", str(tree)])
    process.run(["cp", "--dereference", "/etc/resolv.conf", str(tree / "etc/resolv.conf")])
    _run(tree, _INSTALL.format(packages=" ".join(recipe.packages)))
    process.run(["sh", "-c", base.take_back(recipe.suite), "sh", str(tree)])
    _write(tree, recipe.files, mode=0o644)
    _write(tree, recipe.private_files, mode=0o600)
    _run(tree, _script(recipe))
    target = directory / "root.tar"
    base.pack(tree, target)
    return target


def _run(tree: Path, script: str) -> None:
    """Run a shell script in the tree, as in a machine whose only process it is."""
    process.run(
        [
            "unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={tree}",
            "--mount-proc", "env", _PATH, "HOME=/root", "sh", "-s",
        ],
        stdin=script.encode(),
    )  # fmt: skip


def _write(tree: Path, files: Mapping[str, str], *, mode: int) -> None:
    for name, text in files.items():
        target = tree / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.removeprefix("\n"), encoding="utf-8")
        target.chmod(mode)


def _script(recipe: Recipe) -> str:
    parts = [_SET_UP, _DATA.format(count=recipe.data_files)]
    parts += [f"systemctl enable {unit}\n" for unit in recipe.enable]
    parts += [_initramfs(recipe.initramfs), _CLEAN]
    if recipe.package_manager == "rpm":
        parts.append(_RPM)
    return "".join(parts)


def _initramfs(wanted: Initramfs) -> str:
    template = _INITRAMFS[wanted.generator]
    return template.format(modules=" ".join(wanted.modules), compress=wanted.compress)
