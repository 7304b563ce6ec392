"""Sources: what was given, probed by its own bytes, and opened in place.

Nothing here trusts a name, an OVF or a header before it was checked, and no other tool sees a
file before that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from converter.errors import Faults, UsageError
from converter.model import ContainerFormat, Source
from converter.source import machine, manifest
from converter.source.probe import detect, open_disk
from converter.source.reader import Reader, is_same, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from converter.model import ByteRange, Finding, ListedFile, SourceDisk

_MACHINES = {ContainerFormat.OVA: machine.open_ova, ContainerFormat.OVF: machine.open_ovf}
# Bytes that are read in less than a second.
_QUICK = 256 << 20


@dataclass(frozen=True, slots=True)
class Opening:
    """What opening a source gave: `source` with the sound disks, and what is wrong with others.

    `places` are the machine's disks in its order, None for one that is no good.
    """

    source: Source
    places: tuple[SourceDisk | None, ...]
    faults: Faults

    def verify(self, *, later: bool) -> Source:
        """Verify what a manifest lists, and keep in `faults` what is not as it says.

        What takes its time is left to the caller, in the source's `listed`, if it is to be done
        `later`: of a source that is refused anyway, never.
        """
        listed = self.source.listed
        if later and sum(line.file.length for line in listed) > _QUICK:
            return self.source
        manifest.verify(listed, self.faults)
        return replace(self.source, listed=())

    def sound(self) -> Source:
        """Give the source, verified. Raises what is wrong with it, if anything is."""
        source = self.verify(later=bool(self.faults.errors))
        self.faults.raise_all()
        return source


def open_source(paths: Sequence[Path], *, work: Path) -> Source:
    """Probe and check what is at `paths`: one container, or several disks, boot disk first.

    `work` is a private directory for what cannot be read in place (compressed disks). Raises
    `DamagedInputError`, `GuestRefusedError`, or `UsageError` for what cannot be read at all.
    """
    return survey(paths, work=work).sound()


def survey(paths: Sequence[Path], *, work: Path | None) -> Opening:
    """Open what is at `paths` as `open_source` does, as far as it is sound.

    Without a place to `work` in, compressed disks are refused, as the service does; what takes that
    long is not done either where another disk is none. Raises `UsageError`.
    """
    faults = Faults()
    files = _files(paths)
    formats = _formats(files, faults)
    places: list[SourceDisk | None] = [None] * len(files)
    findings: list[Finding] = []
    listed: tuple[ListedFile, ...] = ()
    chunked: tuple[str, ...] = ()
    # What has to be unpacked comes last.
    packed = [form is ContainerFormat.COMPRESSED_RAW for form in formats]
    for number in sorted(range(len(files)), key=packed.__getitem__):
        form = formats[number]
        with Reader(files[number]) as reader, faults.kept():
            if form in _MACHINES:
                opened = _MACHINES[form](reader, faults, work=work)
                places, findings = opened.disks, opened.findings
                listed, chunked = opened.listed, opened.chunked
            elif form is not None and not (packed[number] and faults.errors):
                places[number] = open_disk(reader, form, work=work)
    disks = tuple(disk for disk in places if disk is not None)
    form = formats[0] or ContainerFormat.RAW
    source = Source(tuple(paths), form, disks, tuple(findings), listed, chunked)
    return Opening(source, tuple(places), faults)


def _files(paths: Sequence[Path]) -> list[ByteRange]:
    """Give the files at `paths`. Raises `UsageError` that tells of each that there is not."""
    files, errors = [], []
    for number, path in enumerate(paths):
        try:
            files.append(whole(path))
        except UsageError as error:
            errors.append(error)
        else:
            if any(is_same(path, other) for other in paths[:number]):
                errors.append(_twice(path))
    if errors:
        message = "; ".join(dict.fromkeys(error.message for error in errors))
        raise UsageError(errors[0].code, message, hint=errors[0].hint) from errors[0]
    return files


def _twice(path: Path) -> UsageError:
    return UsageError(
        "source-twice",
        f"{path}: is given twice",
        hint="give each disk of the machine once, the boot disk first",
    )


def _formats(files: Sequence[ByteRange], faults: Faults) -> list[ContainerFormat | None]:
    """Give the formats of the files, None for what is none."""
    formats: list[ContainerFormat | None] = []
    for file in files:
        formats.append(None)
        with Reader(file) as reader, faults.kept():
            formats[-1] = detect(reader)
    if len(files) > 1 and not _MACHINES.keys().isdisjoint(formats):
        raise UsageError(
            "source-mixed",
            "an OVA or OVF is a whole machine and cannot be given with other disks",
            hint="give the OVA alone, or the disks alone",
        )
    return formats
