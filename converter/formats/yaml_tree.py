"""YAML as network configuration uses it (netplan, cloud-init): mappings, lists and words.

Every scalar is text as it is written: no `yes` becomes a truth value, no MAC address a number in
base 60. Nothing is constructed from tags. Depth and number of nodes are bounded before they cost
anything; an alias stands for the node it names, which then is in the tree once more by reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Text, a list of trees, or a mapping from text to trees.
Tree = str | list[Any] | dict[str, Any]

LARGEST: Final = 256 << 10
_DEEPEST: Final = 24
_MOST_NODES: Final = 10_000


def parse(text: str) -> Tree:
    """Read the first document of `text`; an empty one is an empty mapping.

    Raises `FormatError` for what is no YAML, or larger than any configuration of a network.
    """
    if len(text) > LARGEST:
        raise FormatError(f"is {len(text)} characters long, at most {LARGEST} are expected")
    try:
        return _Composer(yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except yaml.YAMLError as error:
        raise FormatError(" ".join(str(error).split())) from None
    except (ValueError, AssertionError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"cannot be read as YAML: {error}") from None


def dump(tree: Tree) -> str:
    """Write a tree; `parse` of the result gives it back."""
    return str(
        yaml.dump(tree, Dumper=_Dumper, default_flow_style=False, sort_keys=False, width=100)
    )


class _Dumper(
    yaml.emitter.Emitter,
    yaml.serializer.Serializer,
    yaml.representer.SafeRepresenter,
    yaml.resolver.BaseResolver,
):
    """Writes text without quotes wherever it reads as the same text, `true` and `2` too."""

    def __init__(self, stream: Any, **options: Any) -> None:  # noqa: ANN401 - PyYAML's own
        writing = {key: options[key] for key in ("width", "allow_unicode") if key in options}
        yaml.emitter.Emitter.__init__(self, stream, **writing)
        yaml.serializer.Serializer.__init__(self)
        yaml.representer.SafeRepresenter.__init__(self, default_flow_style=False, sort_keys=False)
        yaml.resolver.BaseResolver.__init__(self)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - every node is written out
        return True


class _Composer:
    """Makes the tree of one document from the parser's events."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        # What an anchor names, how many nodes that is, and how deep.
        self._anchors: dict[str, tuple[Tree, int, int]] = {}
        self._nodes = 0

    def document(self) -> Tree:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                return self._node(next(self._events), 0) or {}
        return {}

    def _node(self, event: yaml.Event, depth: int) -> Tree:
        before = self._nodes
        self._count(1, depth)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise FormatError(f"has an alias *{event.anchor} of nothing that is complete")
            tree, size, height = self._anchors[event.anchor]
            self._count(size, depth + height)
            return tree
        if isinstance(event, yaml.ScalarEvent):
            tree = str(event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            tree = self._sequence(depth)
        else:
            tree = self._mapping(depth)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = tree, self._nodes - before, _height(tree)
        return tree

    def _count(self, nodes: int, depth: int) -> None:
        self._nodes += nodes
        if depth > _DEEPEST or self._nodes > _MOST_NODES:
            raise FormatError("has more nodes, or deeper ones, than any configuration")

    def _sequence(self, depth: int) -> Tree:
        items: list[Tree] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> Tree:
        items: dict[str, Tree] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if isinstance(key, str):
                items[key] = value
        return items


def _height(tree: Tree) -> int:
    if isinstance(tree, str):
        return 0
    inner = tree if isinstance(tree, list) else tree.values()
    return 1 + max(map(_height, inner), default=0)


def mapping(tree: object, *keys: str) -> dict[str, Any]:
    """Give the mapping that `keys` lead to from the root; empty if there is none."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) else {}


def word(tree: object, *keys: str) -> str:
    """Give the text that `keys` lead to from the root; "" if there is none."""
    inner = mapping(tree, *keys[:-1]).get(keys[-1]) if keys else tree
    return inner if isinstance(inner, str) else ""


def words(tree: object, *keys: str) -> tuple[str, ...]:
    """Give the texts of the list (or the one text) that `keys` lead to; of mappings their keys."""
    inner = mapping(tree, *keys[:-1]).get(keys[-1]) if keys else tree
    if isinstance(inner, str):
        return (inner,) if inner else ()
    items = inner if isinstance(inner, list) else []
    flat = (next(iter(item), "") if isinstance(item, dict) else item for item in items)
    return tuple(item for item in flat if isinstance(item, str))
