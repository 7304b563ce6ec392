from __future__ import annotations

import pytest

from converter.data import load
from converter.formats import kernel_args
from converter.steps.boot_arguments import consoles, is_too_long


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("5", False), ("0", False), ("6", True), ("-1", True), ("5.5", True), ("", False)),
        *(("menu", False), ("nan", True), ("inf", True)),
    ],
)
def test_times(value: str, *, expected: bool) -> None:
    assert is_too_long(value) is expected


def test_consoles() -> None:
    words = ["quiet"]
    assert kernel_args.applied(words, consoles(words)) == [
        "quiet",
        "console=tty0",
        "console=ttyS0,115200n8",
    ]


def test_the_parameters_that_name_devices() -> None:
    assert {"root", "resume", "boot"} <= set(load("linux")["kernel_arguments"]["devices"])
