"""What is given with --unattend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter import answer_file
from converter.errors import UsageError
from converter.firstboot.unattend import unattend
from converter.model import Wanted

if TYPE_CHECKING:
    from pathlib import Path

OURS = unattend("x86_64", (10, 0), is_server=True)


def codes(data: bytes) -> list[str]:
    return [finding.code for finding in answer_file.judge(Wanted(unattend=data))]


@pytest.mark.parametrize(
    "data",
    [
        OURS,
        b"<x/>",
        OURS.decode().replace("utf-8", "utf-16").encode("utf-16"),
        "<?xml version='1.0' encoding='windows-1252'?><x>\u00e4</x>".encode("cp1252"),
    ],
)
def test_xml(data: bytes) -> None:
    assert codes(data) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no XML",
        b"<x>",
        b"<!DOCTYPE x [<!ENTITY e 'x'>]><x>&e;</x>",
        b"<?xml version='1.0' encoding='foo'?><x/>",
        b"<?xml version='1.0' encoding='utf-8'?><x>\xff</x>",
    ],
)
def test_no_xml(data: bytes) -> None:
    assert codes(data) == ["answer-file-invalid"]


def test_none() -> None:
    assert answer_file.judge(Wanted()) == ()


def test_one_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        answer_file.read(tmp_path)
    assert caught.value.code == "unattend-unreadable"
