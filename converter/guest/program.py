"""How a program of the guest is run in the appliance: with as little as a package manager needs.

It gets namespaces of its own (namespaces(7)): it sees no process but what it starts, and all of
that ends with it; it has no network, and what it mounts is gone afterwards. Its /dev has no disk in
it, and none in its filesystems can be opened; root there may not make one, mount, trace, load
modules or reboot (capabilities(7)), nor set up the kernel, which would run for it what it is told
(core(5)). Its tree is moved over the appliance's, as an initramfs does it: one who leaves a chroot,
and CAP_SYS_CHROOT is all that takes, comes to the top of that, which is the guest again. What it
says is kept as far as `OUTPUT_LIMIT`; the rest is thrown away as it comes, and fills no disk.

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
# How many there may be (namespaces(7)); a kernel that has none does not have it.
_USER_NAMESPACES: Final = "/proc/sys/user/max_user_namespaces"
# Run as the first process of the namespaces: when it ends, all others are killed.
#
# The tree goes over the root of the mount namespace, where setns(2) sets nsenter's directory; the
# appliance's own root is below that. The roots of nsenter and of this shell stay what they are, so
# they find the appliance's tools. Who is not in a chroot may make user namespaces, with every
# capability in them: none may be made. unshare(1) changes the root without namespaces, for
# chroot(8) may take "." for the root that it has, and does nothing then.
_INSIDE: Final = f"""
if mount -t proc proc /sysroot/proc; then
  for name in sys bus sysrq-trigger; do
    mount -o bind,ro "/sysroot/proc/$name" "/sysroot/proc/$name" 2>&1 || exit
  done
fi
mount -t sysfs -o ro sysfs /sysroot/sys
if mount -t tmpfs -o mode=755 tmpfs /sysroot/dev; then
  (cd /dev && cp -a null zero full random urandom tty /sysroot/dev)
  ln -s /proc/self/fd /sysroot/dev/fd
  mkdir -m 1777 /sysroot/dev/shm
fi
exec 2>&1
if [ -e {_USER_NAMESPACES} ]; then
  echo 0 > {_USER_NAMESPACES} || exit
fi
cd /sysroot || exit
nsenter --mount=/proc/self/ns/mnt --root=/ mount --no-canonicalize --move /sysroot . || exit
setpriv --bounding-set=-all,{",".join(f"+{name}" for name in _CAPABILITIES)} \\
  unshare --root=. -- "$@"
exit $?
"""


def script(argv: Sequence[str]) -> str:
    """Give the shell script that runs `argv` in the guest's tree; `result` reads what it prints."""
    inside = ["sh", "-c", _INSIDE, "sh", *_CLEAN, *argv]
    apart = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
    grouped = ["sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"']
    return f"""
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
"""


def result(name: str, printed: str) -> Ran:
    """Read what the script of the program `name` printed."""
    said, _, status = printed.partition("\n")
    try:
        output = base64.b64decode(said, validate=True)
    except ValueError as error:  # binascii.Error is one
        raise GuestError(Code.FAILED, f"{name}: the guest gave no output: {error}") from error
    if not status.strip().isdigit():
        raise GuestError(Code.FAILED, f"{name}: the guest's shell gave no exit status")
    return Ran(int(status), output.decode("utf-8", "replace"))
