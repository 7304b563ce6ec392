"""Opening a source in a test, and the error that it must give."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from converter.errors import DamagedInputError, GuestRefusedError, InputError
from converter.source import open_source

if TYPE_CHECKING:
    from converter.model import Source, SourceDisk


def open_at(*paths: Path) -> Source:
    """Open a source; what it unpacks is thrown away."""
    with tempfile.TemporaryDirectory() as work:
        return open_source(paths, work=Path(work))


def open_one(path: Path) -> SourceDisk:
    [disk] = open_at(path).disks
    return disk


def codes(path: Path) -> list[str]:
    """Give every code that is told of a source that is refused."""
    with pytest.raises(InputError) as caught:
        open_at(path)
    return [finding.code for finding in caught.value.findings]


def damage(path: Path) -> DamagedInputError:
    """Give the error for damage: it must name the file, and say what to do."""
    with pytest.raises(DamagedInputError) as caught:
        open_at(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


def refusal(path: Path) -> GuestRefusedError:
    """Give the refusal: it must name the file, and say what to do."""
    with pytest.raises(GuestRefusedError) as caught:
        open_at(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value
