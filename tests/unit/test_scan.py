"""The scan that finds codes (tests/codes.py), with every way of giving one that it knows."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.codes import scan

if TYPE_CHECKING:
    from pathlib import Path

ERRORS = """
class ConversionError(Exception): ...
class HostError(ConversionError): ...
class Code:
    GONE = "of-a-class"
CODE = "of-a-module"
"""


def scanned(root: Path, text: str) -> tuple[set[tuple[str, ...]], list[str]]:
    """Give kind, code and severities of what is given in `text`, and why the rest is lost."""
    (root / "converter").mkdir()
    (root / "converter" / "errors.py").write_text(ERRORS, "utf-8")
    head = "from converter import errors\nfrom converter.errors import CODE, Code, HostError\n"
    (root / "converter" / "used.py").write_text(head + dedent(text), "utf-8")
    found, lost = scan(root)
    return {(i.kind, i.code, *sorted(i.severities)) for i in found}, [i.why for i in lost]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ('raise HostError("literal", "m")', {"literal"}),
        ('raise HostError(code="by-keyword", message="m")', {"by-keyword"}),
        ('raise errors.HostError("by-its-module")', {"by-its-module"}),
        ('from converter.errors import HostError as Other\nraise Other("renamed")', {"renamed"}),
        ("raise HostError(CODE)", {"of-a-module"}),
        ("raise HostError(errors.CODE)", {"of-a-module"}),
        ("raise HostError(Code.GONE)", {"of-a-class"}),
        ('_MINE = "own"\ndef f():\n    raise HostError(_MINE)', {"own"}),
        ('def f(x):\n    raise HostError("one" if x else "two")', {"one", "two"}),
        (('def f(x):\n    code = "one"\n    if x:\n        code = "two"\n'
         "    raise HostError(code)"), {"one", "two"}),
        ('_T = {"k": "one", "l": "two"}\ndef f(x):\n    raise HostError(_T[x])', {"one", "two"}),
        (('_T = (("one", 1), ("two", 2))\ndef f():\n    for code, _ in _T:\n'
         "        raise HostError(code)"), {"one", "two"}),
        ('_T = {"one": 1}\ndef f():\n    return [HostError(c) for c, _ in _T.items()]', {"one"}),
        ('def f(code):\n    return HostError(code)\nf("one")\nf(code="two")', {"one", "two"}),
        ('def f(code="default"):\n    return HostError(code)\nf()', {"default"}),
        ('def f(code):\n    return HostError(code)\ndef g(name):\n    return f(name)\ng("far")',
         {"far"}),
        (('class A:\n    def f(self, code):\n        return HostError(code)\n'
         '    def g(self):\n        return self.f("method")'), {"method"}),
        (('from functools import partial\ndef f(code, x):\n    return HostError(code)\n'
         'g = partial(f, "partial")'), {"partial"}),
        (
            '_T = {"k": "one"}\ndef f(x):\n    raise HostError(_T.get(x, "other"))',
            {"one", "other"},
        ),
        (
            ('_T = {"k": "one"}\ndef f(x):\n'
            '    raise HostError(next((v for k, v in _T.items() if k in x), Code.GONE))'),
            {"one", "of-a-class"},
        ),
        (
            ('_T = {"k": "one"}\ndef f(x):\n'
            "    code = next((code for k, code in _T.items() if k in x), Code.GONE)\n"
            "    raise HostError(code)"),
            {"one", "of-a-class"},
        ),
        ("def f(error):\n    raise HostError(error.code)", set()),
        ("def f(error):\n    raise type(error)(error.code)", set()),
    ],
)  # fmt: skip
def test_codes_are_followed(tmp_path: Path, text: str, codes: set[str]) -> None:
    found, lost = scanned(tmp_path, text)
    assert lost == []
    assert {item[1] for item in found} == codes


def test_a_finding_keeps_code_and_severity_together(tmp_path: Path) -> None:
    text = """
    def f(severity, code):
        return Finding(severity, code, "m")
    f(Severity.ERROR, "grave")
    f(Severity.INFO, "light")
    def g(x):
        return Finding(Severity.ERROR if x else Severity.WARNING, "both", "m")
    """
    found, lost = scanned(tmp_path, text)
    assert lost == []
    assert found == {
        ("Finding", "grave", "error"),
        ("Finding", "light", "info"),
        ("Finding", "both", "error", "warning"),
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('def f(x):\n    raise HostError(f"table-{x}", "m")', "is made at run time"),
        ('raise HostError("", "m")', "'' is no code"),
        ("def f(x):\n    raise HostError(x, 'm')", "nothing is known of who calls f()"),
        ("def f(x):\n    y = x\n    x = y\n    raise HostError(x, 'm')", "recursion"),
        ("def f():\n    raise HostError(str(1), 'm')", "str(1) cannot be followed"),
        ("def f():\n    raise HostError(nowhere, 'm')", "nowhere cannot be followed"),
        ("def f(kind):\n    raise kind('one', 'm')", "kind is no known class"),
        ("_T = {1: HostError}\ndef f(x):\n    raise _T[x]('one')", "_T[x] is no known class"),
        ("import os\ndef f():\n    raise HostError(os.sep, 'm')", "cannot be followed"),
    ],
)
def test_what_cannot_be_followed_is_told(tmp_path: Path, text: str, why: str) -> None:
    found, lost = scanned(tmp_path, text)
    assert found == set()
    (reason,) = lost
    assert why in reason
