"""Changes as the manifest lists them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from converter.changes import as_json
from converter.formats.registry import binary, dword, sz
from converter.model import (
    CopyIn,
    DeleteKey,
    DeleteValue,
    MakeLink,
    RemoveFile,
    SetValue,
    WriteFile,
)

if TYPE_CHECKING:
    from converter.model import Change

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


HIVE = "/C/Windows/System32/config/SYSTEM"
KEY = r"Select"
LOGON = r"Microsoft\Windows NT\CurrentVersion\Winlogon"


@pytest.mark.parametrize(
    ("change", "kind", "more"),
    [
        (
            SetValue("c", "r", HIVE, KEY, "x", dword(2), dword(1), "/old"),
            "set-value",
            {"key": KEY, "value": "x", "before": "dword:00000001", "after": "dword:00000002"},
        ),
        (
            SetValue("c", "r", HIVE, KEY, "", sz("a\\b"), None, "/old"),
            "set-value",
            {"key": KEY, "value": "", "before": None, "after": '"a\\\\b"'},
        ),
        (
            DeleteValue("c", "r", HIVE, KEY, "x", binary(b"\1\2"), "/old"),
            "delete-value",
            {"key": KEY, "value": "x", "before": "hex:01,02", "after": None},
        ),
        (
            DeleteValue("c", "r", HIVE, LOGON, "DefaultPassword", sz("secret"), "/old"),
            "delete-value",
            {"key": LOGON, "value": "DefaultPassword", "before": "(not shown)", "after": None},
        ),
        (DeleteKey("c", "r", HIVE, KEY, "/old"), "delete-key", {"key": KEY}),
        (
            CopyIn("c", "r", HIVE, Path("/store/x.msi"), "ab" * 32, 3, None, "/old"),
            "copy-in",
            {"sha256": "ab" * 32},
        ),
    ],
)
def test_changes_of_a_windows(change: Change, kind: str, more: dict[str, str | None]) -> None:
    assert as_json(change) == {
        "code": "c",
        "kind": kind,
        "path": HIVE,
        "reason": "r",
        "backup": "/old",
        **more,
    }
