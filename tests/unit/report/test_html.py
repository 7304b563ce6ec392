from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from converter.model import Finding, Plan, Severity, WriteFile
from converter.report.html import human_size, render, visible
from tests.unit import windows_samples
from tests.unit.poison import MARKUP, TERMINAL, poisoned
from tests.unit.samples import FACTS, LINUX, PLAN, linux, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.model import Facts

ATTACK = "<script>alert(1)</script>\"'><img src=https://evil.example/x onerror=alert(1)>"


class Parser(HTMLParser):
    """Collects tags and attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def attacked() -> str:
    """Render a report where everything that a guest can write is an attack."""
    kernel = replace(LINUX.kernels[0], release=ATTACK, image=ATTACK)
    assert LINUX.bootloader
    facts = linux(
        distribution=ATTACK,
        version=ATTACK,
        pretty_name=ATTACK,
        hostname=ATTACK,
        default_kernel=kernel,
        bootloader=replace(LINUX.bootloader, config=ATTACK),
        networks=(),
    )
    filesystems = (replace(FACTS.filesystems[0], type=ATTACK, uuid=ATTACK, label=ATTACK),)
    mounts = (replace(FACTS.mounts[0], path=ATTACK),)
    change = WriteFile(ATTACK, ATTACK, ATTACK, b"", 0o644, 0, 0, "", ATTACK)
    made = report()
    return render(
        replace(
            made,
            after=replace(facts, filesystems=filesystems, mounts=mounts),
            plan=Plan((change,), diffs=(f"+{ATTACK}",)),
            findings=(Finding(Severity.WARNING, ATTACK, ATTACK, ATTACK, ATTACK),),
            disks=(replace(made.disks[0], path=ATTACK),),
        )
    )


def test_nothing_of_the_guest_becomes_markup() -> None:
    plain, parsed = Parser(render(report())), Parser(attacked())
    assert set(parsed.tags) <= set(plain.tags) | {"details"}
    assert "script" not in parsed.tags
    assert "img" not in parsed.tags
    assert not any(name.startswith("on") or name in {"src", "href"} for name in parsed.attributes)
    assert ATTACK in parsed.text


@pytest.mark.parametrize("facts", [lambda: FACTS, windows_samples.facts])
def test_a_report_of_attacks_has_the_elements_of_a_plain_one(facts: Callable[[], Facts]) -> None:
    made = report(before=facts(), after=facts())
    plain, parsed = Parser(render(made)), Parser(render(poisoned(made, MARKUP)))
    # What is added to the end of the diff is a line of its own.
    assert Counter(parsed.tags) - Counter(plain.tags) == Counter(["span"])
    assert parsed.attributes == plain.attributes
    assert parsed.text.count(MARKUP) > 15


@pytest.mark.parametrize("facts", [lambda: FACTS, windows_samples.facts])
def test_a_report_of_attacks_on_terminals_shows_them(facts: Callable[[], Facts]) -> None:
    text = render(poisoned(report(before=facts(), after=facts()), TERMINAL))
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert "\\u{1b}[2J" in text


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = render(report())
    assert not re.search(r"(?i)https?://|url\(|@import|<link|<script|\bsrc=|\bhref=", text)
    assert "default-src 'none'" in text


def test_shows_what_a_person_wants_to_know() -> None:
    text = Parser(render(report())).text
    words = ("web", "Debian GNU/Linux 12", "legacy-bios", "nvme", "it is old", "converter explain")
    for expected in (*words, "renew it"):
        assert expected in text
    assert "+UUID=1" in text
    assert "/etc/old" in text
    assert '"VirtualizationType": "hvm"' in text


def test_a_guest_without_anything_is_shown_too() -> None:
    facts = linux(hostname="", kernels=(), default_kernel=None, initramfs=None, bootloader=None)
    bare = replace(facts, disks=(), filesystems=(), volumes=(), mounts=())
    text = Parser(render(report(before=bare, after=bare, plan=Plan(()), findings=()))).text
    assert "The guest needed no change" in text
    assert "Nothing worth saying" in text
    assert "converter explain" not in text


def test_what_would_not_show_or_reorders_is_made_visible() -> None:
    assert visible("a\u202eb\x1b[2J\udcff\n") == "a\\u{202e}b\\u{1b}[2J\\u{dcff}\n"
    assert visible({"x": ["\x00", ("\x07", 1)]}) == {"x": ["\\u{0}", ["\\u{7}", 1]]}
    made = render(report(plan=replace(PLAN, diffs=("+\u202ehidden",))))
    made.encode()
    assert "\u202e" not in made


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (4 << 30, "4 GiB"), (3 << 60, "3.146e+06 TiB")],
)
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text
