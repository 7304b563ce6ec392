"""Sources: what was given, probed by its own bytes, and opened in place.

Nothing here trusts a name, an OVF or a header before it was checked, and no other tool sees a
file before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.errors import UsageError
from converter.model import ContainerFormat, Source
from converter.source import ova, ovf
from converter.source.probe import detect, open_disk
from converter.source.reader import Reader, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def open_source(paths: Sequence[Path], *, work: Path) -> Source:
    """Probe and check what is at `paths`: one container, or several disks, boot disk first.

    `work` is a private directory for what cannot be read in place (compressed disks). Raises
    `DamagedInputError`, `GuestRefusedError`, or `UsageError` for what cannot be read at all.
    """
    formats = []
    disks = []
    for path in paths:
        with Reader(whole(path)) as reader:
            form = detect(reader)
            formats.append(form)
            if form is ContainerFormat.OVA:
                disks += ova.open_ova(reader, work=work)
            elif form is ContainerFormat.OVF:
                disks += ovf.open_ovf(reader, work=work)
            else:
                disks.append(open_disk(reader, form, work=work))
    virtual = {ContainerFormat.OVA, ContainerFormat.OVF}
    if len(paths) > 1 and virtual.intersection(formats):
        raise UsageError(
            "source-mixed",
            "an OVA or OVF is a whole machine and cannot be given with other disks",
            hint="give the OVA alone, or the disks alone",
        )
    return Source(tuple(paths), formats[0], tuple(disks))
