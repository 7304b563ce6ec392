"""SELinux labels on what is new: given with each file; else a relabel at boot (LNX-9).

Files that are replaced keep their label, and new ones get that of the policy (`guest.labels`).
Where neither that nor the directory's is known, the system relabels itself once at its next boot,
which takes minutes: it would not start with unlabelled files in enforcing mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.guest.labels import is_enabled
from converter.model import Finding, Severity
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context

_PATH: Final = "/.autorelabel"
# Filesystems that have no labels: the policy gives one to all their files.
_UNLABELLED_TYPES: Final = frozenset({"vfat", "msdos", "exfat", "ntfs"})


def run(context: Context) -> None:
    """Plan the relabel, if any new path got no label."""
    guest = context.guest
    if not is_enabled(guest):
        return
    plain = [
        mount.path.rstrip("/") + "/"
        for mount in (*context.facts.mounts, *context.facts.esps)
        if mount.type in _UNLABELLED_TYPES
    ]
    paths = [path for path in guest.unlabelled if not path.startswith(tuple(plain))]
    if not paths or guest.lstat(_PATH) is not None:
        return
    reason = f"no SELinux label is known for {len(paths)} new files, such as {paths[0]}"
    guest.write(_PATH, b"", code="selinux-relabel", reason=reason)
    guest.note(
        Finding(
            Severity.WARNING,
            "selinux-relabel",
            f"{reason}: the first boot labels all files, and takes minutes longer",
            "nothing is to be done; or run `restorecon -Rv /etc /boot` in the machine before the"
            " export, if its files have lost their labels",
        )
    )


def _applies(facts: Facts) -> bool:
    return facts.linux.selinux not in ("", "absent", "disabled")


STEP: Final = Step("selinux", "label what is new", _applies, run)
