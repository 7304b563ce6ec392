"""sshd_config(5): the first value counts, files are included where they are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from converter.formats.sshd_config import is_listed, parse

if TYPE_CHECKING:
    from collections.abc import Iterable


def nothing(_pattern: str) -> Iterable[str]:
    return ()


def test_the_first_value_counts() -> None:
    found = parse("PermitRootLogin no\npermitrootlogin yes\n# Port 1\n", include=nothing)
    assert found == {"permitrootlogin": ("no",)}


def test_of_some_all_values_count() -> None:
    text = "Port 2222\nport 22\nAllowUsers a  b\nAllowUsers c\nListenAddress ::\n"
    assert parse(text, include=nothing) == {
        "port": ("2222", "22"),
        "allowusers": ("a", "b", "c"),
        "listenaddress": ("::",),
    }


def test_equals_signs_and_quotes() -> None:
    assert parse('AuthorizedKeysFile="/keys/%u"\n', include=nothing) == {
        "authorizedkeysfile": ("/keys/%u",)
    }


def test_what_is_for_some_connections_does_not_count() -> None:
    assert parse("Match User x\nPort 2222\n", include=nothing) == {}


def test_includes_come_where_they_are_named() -> None:
    def include(pattern: str) -> Iterable[str]:
        assert pattern == "/etc/ssh/sshd_config.d/*.conf"
        return ("Port 1\nMatch User x\nPermitRootLogin no\n", "Port 2\n")

    text = "Include sshd_config.d/*.conf\nPort 3\nPermitRootLogin yes\n"
    assert parse(text, include=include) == {"port": ("1", "2", "3"), "permitrootlogin": ("yes",)}


def test_files_that_include_themselves_end() -> None:
    text = "Include a\n" * 20
    assert parse(text, include=lambda _pattern: [text]) == {}


def test_users_are_patterns() -> None:
    assert is_listed("admin", ["adm*@10.0.0.*"])
    assert not is_listed("root", ["adm*", "ro"])


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    parse(text, include=nothing)
