"""How a program of the guest is run in the appliance: with as little as a package manager needs.

It gets namespaces of its own (namespaces(7)): it sees no process but what it starts, and all of
that ends with it; it has no network, and what it mounts is gone afterwards. Its /dev has no disk in
it, and none in its filesystems can be opened; root there may not make one, mount, trace, load
modules or reboot (capabilities(7)), nor set up the kernel by /proc, which would run for it what it
is told (core(5)). Its tree is moved over the appliance's, as an initramfs does it: one who leaves a
chroot, and CAP_SYS_CHROOT is all that takes, comes to the top of that, which is the guest again.
What it says is kept as far as `OUTPUT_LIMIT`; the rest is thrown away as it comes, and fills no
disk.

It can still change every file of its own filesystems, which it may anyhow, and use up the
appliance's memory and time, which have limits.
"""

from __future__ import annotations

import base64
import shlex
from typing import TYPE_CHECKING, Final

from converter.errors import GuestError
from converter.guest.protocol import Code, Ran

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTPUT_LIMIT: Final = 256 << 10
# What a program of the guest knows of where it runs (environ(7)).
_CLEAN: Final = (
    "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
    "LC_ALL=C", "TERM=dumb", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_OFFLINE=1",
)  # fmt: skip
_CAPABILITIES: Final = (
    "chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "setfcap",
    "sys_chroot",
)  # fmt: skip
# Processes at once: a fork bomb takes no more of the appliance than this.
_PROCESSES: Final = 256
_GROUP: Final = "/tmp/cgroup/guest"  # noqa: S108 - the appliance's
_USER_NAMESPACES: Final = "/proc/sys/user/max_user_namespaces"
# In the appliance: where a program's file systems are made, and what tells that all was set up.
_STAGE: Final = "/tmp/converter"  # noqa: S108 - the appliance's
_READY: Final = "/tmp/converter-ready"  # noqa: S108 - the appliance's
_NOT_SET_UP: Final = "not-set-up"
# Run as the first process of the namespaces: when it ends, all others are killed. Where a step
# fails the program is not run.
#
# The guest's paths are looked at when everything is mounted, and none that is a link is used: it
# could lead to the appliance's own files, or elsewhere the second time than the first. /proc is
# read only as a whole: a program of root can set up the kernel by much of it.
#
# The tree goes over the root of the mount namespace, where setns(2) sets nsenter's directory; the
# appliance's own root is below that. The roots of nsenter and of this shell stay what they are, so
# they find the appliance's tools. unshare(1) changes the root without namespaces, for chroot(8) may
# take "." for the root that it has, and does nothing then.
_INSIDE: Final = f"""
exec 2>&1
set -e
mkdir -p {_STAGE}/proc {_STAGE}/sys {_STAGE}/dev
mount -t proc -o ro proc {_STAGE}/proc
mount -t sysfs -o ro sysfs {_STAGE}/sys
mount -t tmpfs -o mode=755 tmpfs {_STAGE}/dev
cd {_STAGE}/dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty .
ln -s /proc/self/fd fd
mkdir -m 1777 shm
cd /sysroot
for name in proc sys dev; do
  if [ -h "$name" ]; then
    echo "/$name is a link"
    exit 1
  fi
  [ ! -d "$name" ] || mount --move "{_STAGE}/$name" "/sysroot/$name"
done
nsenter --mount=/proc/self/ns/mnt --root=/ mount --no-canonicalize --move /sysroot .
: > {_READY}
set +e
setpriv --bounding-set=-all,{",".join(f"+{name}" for name in _CAPABILITIES)} \\
  unshare --root=. -- "$@"
exit $?
"""


def script(argv: Sequence[str]) -> str:
    """Give the shell script that runs `argv` in the guest's tree; `result` reads what it prints."""
    inside = ["sh", "-c", _INSIDE, "sh", *_CLEAN, *argv]
    apart = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
    grouped = ["sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"']
    # Who is in no chroot may make user namespaces, with every capability in them.
    return f"""
if [ -e /proc/self/ns/user ]; then
  echo 0 > {_USER_NAMESPACES} || exit
fi
rm -f {_READY}
status=$(mktemp)
mkdir -p /tmp/cgroup
mountpoint -q /tmp/cgroup || mount -t cgroup2 cgroup2 /tmp/cgroup
echo +pids > /tmp/cgroup/cgroup.subtree_control
mkdir -p {_GROUP}
echo {_PROCESSES} > {_GROUP}/pids.max
{{ {shlex.join([*grouped, _GROUP, *apart, "--", *inside])} 2> /dev/null < /dev/null
   echo $? > "$status"
}} | {{ head -c {OUTPUT_LIMIT}; cat > /dev/null; }} | base64 -w 0
echo
cat "$status"
[ -e {_READY} ] || echo {_NOT_SET_UP}
"""


def result(name: str, printed: str) -> Ran:
    """Read what the script of the program `name` printed."""
    said, _, ended = printed.partition("\n")
    status, *more = ended.split() or [""]
    try:
        output = base64.b64decode(said, validate=True)
    except ValueError as error:  # binascii.Error is one
        raise GuestError(Code.FAILED, f"{name}: the guest gave no output: {error}") from error
    if not status.isdigit():
        raise GuestError(Code.FAILED, f"{name}: the guest's shell gave no exit status")
    if more:
        why = output.decode("utf-8", "replace").strip()
        raise GuestError(
            Code.FAILED,
            f"{name} was not run: it could not be set apart: {why}",
            hint="convert with --agent none: then no program of the guest is run",
        )
    return Ran(int(status), output.decode("utf-8", "replace"))
