from __future__ import annotations

import re

from converter.codes import catalogue
from converter.report.codes import render
from tests.codes import ROOT


def test_the_committed_file_is_what_is_generated() -> None:
    committed = (ROOT / "docs" / "errors.md").read_text("utf-8")
    assert committed == f"{render()}\n", "run `make docs`"


def test_every_code_has_one_anchor_of_its_own() -> None:
    anchors = re.findall(r'<a id="([^"]+)">', render())
    assert len(anchors) == len(set(anchors))
    assert set(catalogue()) <= set(anchors)


def test_every_row_has_as_many_cells_as_its_table() -> None:
    for table in re.findall(r"(?:^\|.*\n?)+", render(), re.MULTILINE):
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1


def test_a_row_says_who_refuses_and_when() -> None:
    (row,) = re.findall(r'.*<a id="vmdk-subformat">.*', render())
    for text in ("refused under aws; information under open", "at once", "Unsupported VMDK File"):
        assert text in row
