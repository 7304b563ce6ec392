"""YAML of network configuration: words as they are written, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, yaml_tree

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=8)
TREES = st.recursive(
    WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(WORDS, TREES, max_size=3))
def test_what_is_dumped_is_read_again(tree: dict[str, yaml_tree.Tree]) -> None:
    assert yaml_tree.parse(yaml_tree.dump(tree)) == tree


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#,\n \t%@?", max_size=40) | st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        yaml_tree.parse(text)
    except FormatError:
        return


def test_words_stay_as_they_are_written() -> None:
    tree = yaml_tree.parse(
        "a: yes\nb: 00:11:22:33:44:55\nc: 012\nd: ~\ne: 2001-01-01\nf: 'x'\ng: !!int 7\n"
    )
    assert tree == {
        "a": "yes",
        "b": "00:11:22:33:44:55",
        "c": "012",
        "d": "~",
        "e": "2001-01-01",
        "f": "x",
        "g": "7",
    }


def test_nothing_is_constructed_from_a_tag() -> None:
    assert yaml_tree.parse("!!python/object/apply:os.system ['true']") == ["true"]


def test_an_alias_stands_for_its_node() -> None:
    assert yaml_tree.parse("a: &x {b: c}\nd: *x\n") == {"a": {"b": "c"}, "d": {"b": "c"}}


# Ten of the one before, six times over: a million words in seven lines.
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdef", "bcdefg", strict=True)
)
STAIRS = "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60))


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: *x",
        "a: &x [*x]",
        "\udcff: 1",
        "a: " + "[" * 300 + "]" * 300,
        "x" * (yaml_tree.LARGEST + 1),
        "[" + "a," * 10_001 + "]",
        LAUGHS,
        STAIRS,
    ],
)
def test_what_is_broken_or_has_no_bounds_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        yaml_tree.parse(text)


def test_no_document_is_an_empty_mapping() -> None:
    assert yaml_tree.parse("") == {}
    assert yaml_tree.parse("# nothing\n---\n...\n") == {}


def test_accessors_take_any_shape() -> None:
    tree = yaml_tree.parse("a: {b: c, l: [x, {to: y, via: z}, [q]]}\nw: one\n")
    assert yaml_tree.word(tree, "a", "b") == "c"
    assert yaml_tree.word(tree, "w", "b") == ""
    assert yaml_tree.mapping(tree, "w") == {}
    assert yaml_tree.words(tree, "a", "l") == ("x", "to")
    assert yaml_tree.words(tree, "w") == ("one",)
    assert yaml_tree.words(tree, "nothing") == ()
