"""`python -m tests.bench.copying SOURCE TARGET`: only the copy of a conversion."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from converter.source import open_source
from converter.source.copy import CopyJob


def main(source: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        (disk,) = open_source([source], work=Path(work)).disks
        job = CopyJob(disk, target, progress=lambda _: None)
        job.start()
        job.wait()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
