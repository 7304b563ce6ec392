"""Changes as the manifest lists them."""

from __future__ import annotations

import pytest

from converter.changes import as_json
from converter.model import MakeLink, RemoveFile, WriteFile

UNIT = "/etc/systemd/system/vmtoolsd.service"
TO = "open-vm-tools.service"


@pytest.mark.parametrize(
    ("change", "kind", "backup", "link_before"),
    [
        (MakeLink("c", "r", UNIT, "/dev/null", TO), "make-link", None, TO),
        (MakeLink("c", "r", UNIT, "/dev/null"), "make-link", None, None),
        (RemoveFile("c", "r", UNIT, f"-> {TO}", None), "remove-file", None, TO),
        (RemoveFile("c", "r", UNIT, "ab" * 32, "/etc/old"), "remove-file", "/etc/old", None),
        (WriteFile("c", "r", UNIT, b"", 0, 0, 0, "ab", "/etc/old"), "write-file", "/etc/old", None),
        (WriteFile("c", "r", UNIT, b"", 0, 0, 0), "create-file", None, None),
    ],
)  # fmt: skip
def test_what_it_takes_to_undo_a_change(
    change: MakeLink | RemoveFile | WriteFile,
    kind: str,
    backup: str | None,
    link_before: str | None,
) -> None:
    assert as_json(change) == {
        "code": "c",
        "kind": kind,
        "path": UNIT,
        "reason": "r",
        "backup": backup,
        **({"link_before": link_before} if link_before else {}),
    }
