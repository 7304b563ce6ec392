from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import kernel_args
from converter.formats.kernel_args import Edit

CONSOLES = ("tty0", "ttyS0,115200n8")
WORDS = st.lists(
    st.sampled_from(
        [
            *("quiet", "root=/dev/sda1", 'x="a b"', "console=tty0", "console=ttyS0", "--", "ttyS0"),
            *("console=hvc0", "console=ttyS0,9600n8", 'console="tty0"', "resume=/dev/sda2"),
        ]
    ),
    max_size=8,
)


def console_line(line: str) -> str:
    return kernel_args.edited(line, lambda words: kernel_args.consoles(words, CONSOLES))


def test_words_are_separated_by_blanks_outside_double_quotes() -> None:
    line = 'root=LABEL=x\tdyndbg="file a.c +p" "acpi_osi=!Windows 2012"  quiet'
    assert kernel_args.split(line) == [
        "root=LABEL=x",
        'dyndbg="file a.c +p"',
        '"acpi_osi=!Windows 2012"',
        "quiet",
    ]


def test_values_are_without_their_quotes() -> None:
    words = kernel_args.split('root="/dev/sda1" "root=UUID=x" root rootflags=subvol=@')
    assert kernel_args.values(words, "root") == ["/dev/sda1", "UUID=x"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "console=tty0 console=ttyS0,115200n8"),
        ("quiet", "quiet console=tty0 console=ttyS0,115200n8"),
        ("ro  quiet ", "ro  quiet console=tty0 console=ttyS0,115200n8 "),
        ("console=tty0 console=ttyS0,115200n8", "console=tty0 console=ttyS0,115200n8"),
        # There, but the screen would be /dev/console.
        ("console=ttyS0,115200n8 ro console=tty0", "ro console=tty0 console=ttyS0,115200n8"),
        # Its own speed is kept; without one the kernel would take 9600.
        ("console=ttyS0,57600 quiet", "quiet console=tty0 console=ttyS0,57600"),
        ("console=tty0 console=ttyS0 x", "console=tty0 console=ttyS0,115200n8 x"),
        # A console of the old host must not be the last.
        ("console=tty0 console=ttyS0,1 console=hvc0", "console=tty0 console=hvc0 console=ttyS0,1"),
        ("console=tty1 console=ttyS0,9600", "console=tty1 console=tty0 console=ttyS0,9600"),
        ("ttyS0 tty0", "ttyS0 tty0 console=tty0 console=ttyS0,115200n8"),
        # What follows -- is for init.
        ("ro -- single", "ro console=tty0 console=ttyS0,115200n8 -- single"),
        (
            "ro -- console=ttyS0 x -- console=tty1",
            "ro console=tty0 console=ttyS0,115200n8 -- console=ttyS0 x -- console=tty1",
        ),
        # Such a speed is none.
        (
            'console=tty0 console=ttyS0,96"00 x" quiet',
            "console=tty0 console=ttyS0,115200n8 quiet",
        ),
        (
            'console=ttyS0,9600 console=tty0 console=ttyS0,"1 2',
            'console=tty0 console=ttyS0,9600 console=ttyS0,"1 2',
        ),
        (
            'console=tty0  console=ttyS0 console="',
            'console=tty0  console=ttyS0,115200n8 console="',
        ),
        ("--- quiet", "--- quiet console=tty0 console=ttyS0,115200n8"),
    ],
)  # fmt: skip
def test_the_serial_line_is_the_last_console(line: str, expected: str) -> None:
    assert console_line(line) == expected


@given(WORDS)
def test_consoles_are_made_once(words: list[str]) -> None:
    once = console_line(" ".join(words))
    assert console_line(once) == once
    kernel = once.split(" -- ")[0].split() if "--" in words else kernel_args.split(once)
    found = [v.partition(",")[0] for v in kernel_args.values(kernel, "console")]
    if "--" not in words:
        assert found[-1] == "ttyS0"
        assert "tty0" in found
        others = [w for w in words if not w.replace('"', "").startswith("console=tty")]
        left = [w for w in kernel if not w.replace('"', "").startswith("console=tty")]
        assert left == others


@given(WORDS, st.data())
def test_an_edit_of_the_text_is_the_edit_of_the_words(
    words: list[str], data: st.DataObject
) -> None:
    new = st.none() | st.sampled_from(["a", "b=c"])
    places = [number for number, word in enumerate(words) if word != "--"]
    drawn = st.dictionaries(st.sampled_from(places), new) if places else st.just({})
    changed: dict[int, str | None] = data.draw(drawn)
    edit = Edit(changed, tuple(data.draw(st.lists(st.just("n=1"), max_size=2))))
    gaps = data.draw(
        st.lists(st.sampled_from([" ", "\t", "  "]), min_size=len(words), max_size=len(words))
    )
    line = "".join(word + gap for word, gap in zip(words, gaps, strict=True))
    assert kernel_args.split(kernel_args.edited(line, lambda _: edit)) == kernel_args.applied(
        words, edit
    )


def test_only_what_changes_is_touched() -> None:
    def name(key: str, value: str) -> str | None:
        return {"root": "UUID=1", "resume": None}.get(key, value)

    line = "  root=/dev/sda1\tro   resume=/dev/sda2  quiet  "
    changed = kernel_args.edited(line, lambda words: kernel_args.renaming(words, name))
    assert changed == "  root=UUID=1\tro  quiet  "


@given(st.text())
def test_any_line_survives(line: str) -> None:
    assert kernel_args.edited(line, lambda _: Edit()) == line


def test_new_words_come_before_a_quote_that_never_ends() -> None:
    line = 'root=/dev/sda1 a="b c'
    once = kernel_args.edited(line, lambda words: kernel_args.consoles(words, ("tty0", "ttyS0")))
    assert once == 'root=/dev/sda1 console=tty0 console=ttyS0 a="b c'
    assert kernel_args.applied(kernel_args.split(line), Edit({}, ("ro",)))[-2:] == ["ro", 'a="b c']
    assert kernel_args.edited('"', lambda _: Edit({}, ("ro",))) == 'ro "'
