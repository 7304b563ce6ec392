from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import kernel_args, shellvars
from converter.formats.kernel_args import Edit

if TYPE_CHECKING:
    from collections.abc import Sequence

SHELLISH = st.lists(
    st.sampled_from([*"""AB=+"'\\$`(){}#;& \n\tx1""", "export ", "A=", "$(", "\\\n"]), max_size=30
).map("".join)

# As Debian's and Fedora's packages and Ubuntu's cloud images have it.
DEFAULTS = """\
# If you change this file, run 'update-grub' afterwards
GRUB_DEFAULT=0
GRUB_TIMEOUT=5\t# seconds
GRUB_DISTRIBUTOR=`( . /etc/os-release; echo ${NAME:-Debian} ) 2>/dev/null || echo Debian`
GRUB_CMDLINE_LINUX_DEFAULT="quiet splash"
GRUB_CMDLINE_LINUX='rd.lvm.lv=vg/root resume=/dev/sda2'
export GRUB_TERMINAL="serial console"
#GRUB_GFXMODE=640x480
GRUB_SERIAL_COMMAND="serial --speed=115200 --unit=0 \\
    --word=8"
"""


def add(word: str) -> Edit:
    return Edit(added=(word,))


def with_words(text: str, name: str, edit: Edit) -> str:
    variables = shellvars.parse(text)
    return str(variables.edited(variables.all(name)[-1], edit))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRUB_DEFAULT", "0"),
        ("GRUB_TIMEOUT", "5"),
        ("GRUB_CMDLINE_LINUX_DEFAULT", "quiet splash"),
        ("GRUB_CMDLINE_LINUX", "rd.lvm.lv=vg/root resume=/dev/sda2"),
        ("GRUB_TERMINAL", "serial console"),
        ("GRUB_GFXMODE", None),
        ("GRUB_SERIAL_COMMAND", "serial --speed=115200 --unit=0     --word=8"),
    ],
)
def test_reads_what_a_shell_would(name: str, value: str | None) -> None:
    assert shellvars.parse(DEFAULTS).get(name) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=1\nA=2\n", "2"),
        ("A=a'b c'\"d\"\\ e", "ab cd e"),
        ('A="a\\"b\\$c\\`d\\\\e\\fg"', 'a"b$c`d\\e\\fg'),
        ("A='a\\b\"c'", 'a\\b"c'),
        ("A=1; A=2 A=3", "3"),
        ("A=1\nA+=2\nA+=' 3'", "12 3"),
        ("A+=x", "x"),
        ("A=\n", ""),
        ("A=''", ""),
        ("A=#x", "#x"),
        ("A=a#b # c", "a#b"),
        ("A=one\\\ntwo", "onetwo"),
        ("  A=1", "1"),
        ("\tif true; then A=1; else A=2; fi", "2"),
        ("[ -f /x ] && A=1", "1"),
        ("declare -x A=1", "1"),
        ("A=1\r\n", "1"),
        # An assignment in front of a command is for that command only.
        ("A=1\nA=2 command --x", "1"),
        ("echo A=2", None),
        ("echo 'x\nA=2\n'", None),
        ("B='\nA=2\n'\n", None),
        ("# A=2", None),
        ("AA=2\nBA=3", None),
        # Of what a shell would not read, the lines that look sound.
        ("B='x\nA=2\n", "2"),
        ("A", None),
        ("export A", None),
    ],
)
def test_finds_the_last_assignment(text: str, value: str | None) -> None:
    assert shellvars.parse(text).get("A") == value


@pytest.mark.parametrize(
    "value",
    ["$(cat /x)", '"$(cat "/a b") x"', "`cat x`", '"${B:-x y}"', "$B", '"a $B"', "$((1 + 2))"],
)
def test_tells_values_that_are_computed(value: str) -> None:
    variables = shellvars.parse(f"A={value}\nC=1\n")
    assert variables.is_dynamic("A")
    assert variables.get("C") == "1"


@pytest.mark.parametrize("value", ["'$(x)'", '"\\$x"', "\\`x\\`", "a$", '"5$"'])
def test_a_quoted_dollar_is_a_character(value: str) -> None:
    assert not shellvars.parse(f"A={value}").is_dynamic("A")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=1 # one\n", "A=5 # one\n"),
        ("A=1\nexport A='x y'\nB=1", "A=1\nexport A=5\nB=1"),
        ("B=1", "B=1\nA=5\n"),
        ("", "A=5\n"),
        ("#A=1\n", "#A=1\nA=5\n"),
        ("A+=1\n", "A=5\n"),
        ("x\\", "x\\\n\nA=5\n"),
        # A shell reads up to what is not closed, and no further.
        ("B=2\n" + "x=$(\n" * 65, "A=5\nB=2\n" + "x=$(\n" * 65),
    ],
)
def test_a_value_is_replaced_where_it_counts(text: str, expected: str) -> None:
    assert str(shellvars.parse(text).with_value("A", "5")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('A="quiet"  # why\n', 'A="quiet n=1"  # why\n'),
        ("A='quiet'\n", "A='quiet n=1'\n"),
        ("A=quiet\n", 'A=quiet" n=1"\n'),
        ('A=""\n', 'A="n=1"\n'),
        ("A=\n", 'A="n=1"\n'),
        ('A="$A quiet"\n', 'A="$A quiet n=1"\n'),
        ("A=$(cat /x)\n", 'A=$(cat /x)" n=1"\n'),
        ('A="`cat /x` y "\n', 'A="`cat /x` y n=1"\n'),
        ('A+=" quiet"\n', 'A+=" quiet n=1"\n'),
        ('A="a \\\n  b"\n', 'A="a \\\n  b n=1"\n'),
        ('A="quiet -- x"\n', 'A="quiet n=1 -- x"\n'),
    ],
)
def test_words_are_added_without_touching_the_rest(text: str, expected: str) -> None:
    assert with_words(text, "A", add("n=1")) == expected


def test_words_are_changed_where_they_stand() -> None:
    text = 'A="quiet  $(x y) resume=/dev/sda2\tb" # c\n'
    words = [span.word for span in shellvars.parse(text).all("A")[0].words]
    at = words.index("resume=/dev/sda2")
    assert with_words(text, "A", Edit({at: "resume=UUID=1"})) == (
        'A="quiet  $(x y) resume=UUID=1\tb" # c\n'
    )
    assert with_words(text, "A", Edit({at: None})) == 'A="quiet  $(x y)\tb" # c\n'


def test_a_word_over_quotes_is_written_anew_or_left() -> None:
    assert with_words("A=a\" b\"c' d'\n", "A", Edit({1: "x"})) == 'A="a x d"\n'
    dynamic = 'A=$B" b"c\n'
    assert with_words(dynamic, "A", Edit({1: "x"})) == dynamic


def test_files_are_evaluated_in_order() -> None:
    files = [
        shellvars.parse('A="quiet"\nT=10\n'),
        shellvars.parse('A="$A console=${C}"\nT="$(x)"\n'),
        shellvars.parse("A+=' y'"),
    ]
    assert shellvars.evaluate(files) == {"A": "quiet console= y", "T": "$(x)"}


@given(SHELLISH, st.sampled_from(["A", "B"]))
def test_any_text_survives(text: str, name: str) -> None:
    variables = shellvars.parse(text)
    assert str(variables) == text
    for item in variables.assignments:
        assert text[item.operator : item.start] in ("=", "+=")
        assert str(variables.edited(item, Edit())) == text
    variables.get(name)


@given(st.text(max_size=20))
def test_a_value_is_read_as_it_was_written(value: str) -> None:
    made = shellvars.parse("B=1\n").with_value("A", value)
    assert made.get("A") == value
    assert not made.is_dynamic("A")


@given(SHELLISH)
def test_an_added_word_is_there_once_it_was_added(text: str) -> None:
    variables = shellvars.parse(text)
    for item in variables.assignments:
        made = variables.edited(item, add("n=1"))
        number = variables.assignments.index(item)
        words = [span.word for span in made.assignments[number].words]
        before = [span.word for span in item.words]
        assert words in (before, kernel_args.applied(before, add("n=1")))


def test_long_and_deep_files_end() -> None:
    for text in ("A=" + "$(" * 5000, 'A="' + "${" * 5000, "A=" + "`" * 5001, "(" * 20000):
        assert shellvars.parse(text).get("A") is None


def test_a_file_that_says_the_same_for_ever_is_edited_at_its_end() -> None:
    """Each edit reads the whole file: a guest's may have thousands of lines to be edited."""
    variables = shellvars.parse("A=quiet\n" * 1000)
    edited = str(variables.with_words(["A"], lambda _words: add("n=1")))
    count = edited.count("n=1")
    assert 4 <= count <= 8
    assert edited.endswith('A=quiet" n=1"\n' * count)


def test_an_assignment_that_cannot_be_edited_does_not_keep_others_from_it() -> None:
    text = 'A=$B" b"c\nC=\'y\'\nB="x"\nD=z\n'

    def edit(words: Sequence[str]) -> Edit:
        return Edit({1: "x"}) if len(words) > 1 else add("n=1")

    edited = shellvars.parse(text).with_words(["A", "B", "C"], edit)
    assert str(edited) == 'A=$B" b"c\nC=\'y n=1\'\nB="x n=1"\nD=z\n'
    assert edited == shellvars.parse(str(edited))
