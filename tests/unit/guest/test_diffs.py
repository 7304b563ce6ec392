from __future__ import annotations

from converter.formats.registry import Value, ValueType
from converter.guest.diffs import registry_diff, text_diff

FORGED = "/boot/entries/a\n0 changes\nconvertible\n.conf"
ESCAPED = r"/boot/entries/a\n0 changes\nconvertible\n.conf"


def test_a_name_is_one_line() -> None:
    """A line of it by itself would look like one of the command's."""
    assert text_diff(FORGED, b"old\n", b"new\n").splitlines() == [
        f"--- a{ESCAPED}",
        f"+++ b{ESCAPED}",
        "@@ -1 +1 @@",
        "-old",
        "+new",
    ]
    assert text_diff(FORGED, b"\0", b"").splitlines() == [f"Binary file {ESCAPED}: 1 bytes, then 0"]


def test_a_key_and_a_value_are_one_line_each() -> None:
    value = Value(ValueType.DWORD, bytes([1, 0, 0, 0]))
    shown = registry_diff(FORGED, "key\n0 changes", "a\nb", None, value)
    assert shown.splitlines() == [ESCAPED, r" [key\n0 changes]", r'+"a\nb"=dword:00000001']
