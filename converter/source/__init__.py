"""Sources: what was given, probed by its own bytes, and opened in place.

Nothing here trusts a name, an OVF or a header before it was checked, and no other tool sees a
file before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.errors import UsageError
from converter.model import ContainerFormat, Source
from converter.source import machine
from converter.source.probe import detect, open_disk
from converter.source.reader import Reader, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from converter.model import Finding, SourceDisk

_MACHINES = {ContainerFormat.OVA: machine.open_ova, ContainerFormat.OVF: machine.open_ovf}


def open_source(paths: Sequence[Path], *, work: Path) -> Source:
    """Probe and check what is at `paths`: one container, or several disks, boot disk first.

    `work` is a private directory for what cannot be read in place (compressed disks). Raises
    `DamagedInputError`, `GuestRefusedError`, or `UsageError` for what cannot be read at all.
    """
    formats = []
    for path in paths:
        with Reader(whole(path)) as reader:
            formats.append(detect(reader))
    if len(paths) > 1 and not _MACHINES.keys().isdisjoint(formats):
        raise UsageError(
            "source-mixed",
            "an OVA or OVF is a whole machine and cannot be given with other disks",
            hint="give the OVA alone, or the disks alone",
        )
    disks: list[SourceDisk] = []
    findings: list[Finding] = []
    for path, form in zip(paths, formats, strict=True):
        with Reader(whole(path)) as reader:
            if form in _MACHINES:
                disks, findings = _MACHINES[form](reader, work=work)
            else:
                disks.append(open_disk(reader, form, work=work))
    return Source(tuple(paths), formats[0], tuple(disks), tuple(findings))
