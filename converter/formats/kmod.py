"""What depmod(8) writes about a kernel's modules, as text; the binary form is in `kmod_index`.

Formats: modules.dep(5) and, for the rest, what depmod of kmod writes and modprobe reads. Paths in
modules.dep are relative to the directory of the kernel's modules; module names here are normalised
(`-` written `_`), as the kernel itself shows them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from converter.formats import globs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

# path of a module → paths of the modules it needs, in the order of modules.dep: the last first
Dependencies = dict[str, tuple[str, ...]]

MODULE_FILE: Final = re.compile(r"[^/]+\.ko(?:\.gz|\.xz|\.zst)?")
_SUFFIX: Final = re.compile(r"\.ko(?:\.gz|\.xz|\.zst)?$")
_LITERAL: Final = re.compile(r"[^*?\[\]]*")

# No name is that of more aliases, and no module has more soft dependencies: a hostile index would
# cost hours otherwise.
_PATTERN_LIMIT: Final = 1000
_SOFTDEP_LIMIT: Final = 100


@dataclass(frozen=True, slots=True)
class Alias:
    """A line of modules.alias: a shell pattern that device names match, and the module for it."""

    pattern: str
    module: str


@dataclass(frozen=True, slots=True)
class SoftDependency:
    """A line of modules.softdep: a module, and the words that say what to load with it."""

    module: str
    words: tuple[str, ...]

    @property
    def pre(self) -> tuple[str, ...]:
        """Give the names (of modules, or aliases) to load before the module."""
        return self._after("pre:")

    @property
    def post(self) -> tuple[str, ...]:
        """Give the names (of modules, or aliases) to load after the module."""
        return self._after("post:")

    def _after(self, mark: str) -> tuple[str, ...]:
        """Give the words after `mark`; words before any mark mean nothing, as to kmod."""
        current, found = "", []
        for word in self.words:
            if word in ("pre:", "post:"):
                current = word
            elif current == mark:
                found.append(word)
        return tuple(found)


def normalise(name: str) -> str:
    """Give the name of a module with `-` written `_`."""
    return name.replace("-", "_")


def module_name(path: str) -> str:
    """Give the normalised name of the module in the file `path` (its name up to the first dot)."""
    return normalise(path.rpartition("/")[2].partition(".")[0])


def plain_path(path: str) -> str:
    """Give `path` of a module file as it is called when it is not compressed."""
    return _SUFFIX.sub(".ko", path)


def normalise_alias(pattern: str) -> str | None:
    """Give an alias as the binary index holds it: `-` written `_`, but for inside brackets.

    None if its brackets do not match; depmod leaves such an alias out.
    """
    parts = re.split(r"(\[[^\]]*\])", pattern)
    outside = parts[::2]
    if any("[" in part or "]" in part for part in outside):
        return None
    parts[::2] = [normalise(part) for part in outside]
    return "".join(parts)


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield stripped


# --- modules.dep ----------------------------------------------------------------------------------


def parse_dep(text: str) -> Dependencies:
    """Read modules.dep: the paths of all modules, each with what it needs (transitively).

    A line without a colon is passed over, as modprobe does not see it either. Of two modules of
    one path the first counts.
    """
    found: Dependencies = {}
    for line in _lines(text):
        path, colon, rest = line.partition(":")
        if colon and path:
            found.setdefault(path, tuple(rest.split()))
    return found


def format_dep(dependencies: Mapping[str, Sequence[str]]) -> str:
    """Write modules.dep as depmod does."""
    return "".join(f"{dep_line(path, needs)}\n" for path, needs in dependencies.items())


def dep_line(path: str, needs: Sequence[str]) -> str:
    """Give the line of modules.dep for one module; the binary index holds the same."""
    return " ".join((f"{path}:", *needs))


def paths_by_name(paths: Iterable[str]) -> dict[str, str]:
    """Give the path of each module by its name; of two with one name, the first, as modprobe."""
    found: dict[str, str] = {}
    for path in paths:
        found.setdefault(module_name(path), path)
    return found


# --- modules.alias, modules.softdep, modules.builtin ----------------------------------------------


def parse_alias(text: str) -> tuple[Alias, ...]:
    """Read modules.alias; lines that are not of three words are passed over, as kmod does."""
    words = (line.split() for line in _lines(text))
    return tuple(Alias(w[1], normalise(w[2])) for w in words if len(w) == 3 and w[0] == "alias")


def format_alias(aliases: Iterable[Alias]) -> str:
    """Write modules.alias as depmod does."""
    lines = [f"alias {alias.pattern} {alias.module}\n" for alias in aliases]
    return "".join(("# Aliases extracted from modules themselves.\n", *lines))


def parse_softdep(text: str) -> tuple[SoftDependency, ...]:
    """Read modules.softdep."""
    words = (line.split() for line in _lines(text))
    return tuple(
        SoftDependency(normalise(w[1]), tuple(w[2:])) for w in words if w[0] == "softdep" and w[1:]
    )


def format_softdep(softdeps: Iterable[SoftDependency]) -> str:
    """Write modules.softdep as depmod does."""
    lines = [" ".join(("softdep", soft.module, *soft.words)) + "\n" for soft in softdeps]
    return "".join(("# Soft dependencies extracted from modules themselves.\n", *lines))


def parse_builtin(text: str) -> tuple[str, ...]:
    """Read modules.builtin: the names of the modules that are part of the kernel, in its order."""
    return tuple(dict.fromkeys(module_name(line) for line in _lines(text)))


def parse_blocked(text: str) -> frozenset[str]:
    """Read a file of modprobe.d(5): the modules that are not loaded for the devices there are.

    Those that are on the blacklist, and those that a command is run for that does nothing.
    """
    words = [line.split() for line in _lines(text)]
    listed = {normalise(w[1]) for w in words if len(w) > 1 and w[0] == "blacklist"}
    nothing = (w for w in words if len(w) == 3 and w[0] == "install")
    replaced = {normalise(w[1]) for w in nothing if w[2].rpartition("/")[2] in ("true", "false")}
    return frozenset(listed | replaced)


# --- what a module needs --------------------------------------------------------------------------


def resolve(name: str, *, names: Iterable[str], aliases: Iterable[Alias]) -> tuple[str, ...]:
    """Give the modules that `name`, a module's name or an alias, means to modprobe(8)."""
    module = normalise(name)
    if module in names:
        return (module,)
    wanted = normalise_alias(name) or name
    likely = (alias for alias in aliases if _may_match(wanted, alias.pattern))
    found = (a.module for a in islice(likely, _PATTERN_LIMIT) if _matches(wanted, a.pattern))
    return tuple(dict.fromkeys(found))


def _may_match(name: str, pattern: str) -> bool:
    """Tell, at little cost, whether a pattern's beginning is that of the name."""
    literal = _LITERAL.match(pattern)
    return literal is not None and name.startswith(normalise(literal[0]))


def _matches(name: str, pattern: str) -> bool:
    normalised = normalise_alias(pattern)
    return normalised is not None and globs.matches(name, normalised)


def closure(
    dependencies: Mapping[str, Sequence[str]],
    modules: Iterable[str],
    *,
    softdeps: Iterable[SoftDependency] = (),
    aliases: Sequence[Alias] = (),
) -> tuple[str, ...]:
    """Give the paths of `modules` (names) and of all they need, in an order that loads.

    What a soft dependency wants loaded before comes along where there is such a module. Names
    that no path is for are passed over: the caller knows which of them are built in.
    """
    by_name = paths_by_name(dependencies)
    before = {soft.module: soft.pre[:_SOFTDEP_LIMIT] for soft in softdeps}

    def needs(path: str) -> list[str]:
        soft = (
            by_name[module]
            for name in before.get(module_name(path), ())
            for module in resolve(name, names=by_name, aliases=aliases)
            if module in by_name
        )
        # modules.dep names what must be loaded first last.
        return [need for need in (*soft, *reversed(dependencies[path])) if need in dependencies]

    return _ordered([by_name[n] for n in map(normalise, modules) if n in by_name], needs)


def _ordered(wanted: Sequence[str], needs: Callable[[str], list[str]]) -> tuple[str, ...]:
    """Give `wanted` and all that is needed, depth first; no recursion: the image sets the depth."""
    ordered: list[str] = []
    visited: set[str] = set()
    stack = [(path, False) for path in reversed(wanted)]
    while stack:
        path, done = stack.pop()
        if done:
            ordered.append(path)
        elif path not in visited:
            visited.add(path)
            stack.append((path, True))
            stack += [(need, False) for need in reversed(needs(path))]
    return tuple(ordered)
