"""What each command about a finished image does, in which no guest is looked for.

The engine is not needed for it, and takes longer to be imported than all else together.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from converter.cli import output
from converter.cli.terminal import monitor
from converter.errors import DamagedInputError
from converter.export.image import export as export_image
from converter.handoff import manifest as manifests
from converter.handoff.facts import jsonable
from converter.model import DiskFormat

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def export(
    image: Path, target: Path, kind: str, *, as_json: bool, published: Callable[[], None]
) -> int:
    """Write an image in another format, and print what was written.

    `published` is called as soon as it is there.
    """
    with monitor() as shown:
        done = export_image(image, target, DiskFormat(kind), shown, published=published)
    if as_json:
        output.show_json(jsonable(asdict(done)))
    else:
        output.show(str(target))
    return 0


def verify(manifest: Path, *, as_json: bool) -> int:
    """Check the disks of a manifest; a difference is exit 4."""
    problems = manifests.verify(manifest)
    verdict = "differs" if problems else "whole"
    if as_json:
        output.show_json({"verdict": verdict, "problems": jsonable(problems)})
    else:
        for problem in problems:
            output.show(f"{problem.message} [{problem.code}]")
        output.show(verdict)
    return DamagedInputError.exit_code if problems else 0
