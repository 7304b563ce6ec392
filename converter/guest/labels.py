"""The SELinux label that a guest's policy gives a new file.

`file_contexts` of the policy in use (selabel_file(5)): lines of a pattern, an optional kind, and a
context; the most specific pattern counts. Patterns are regular expressions. Those of the guest are
not run: only the forms that nearly all of them have are understood, a fixed path with or without
`(/.*)?`, `/.*`, `.*` or `[^/]+` at its end. A path that only other patterns match gets the label of
its directory, which is what the kernel would give it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from converter.formats import shellvars
from converter.guest import paths
from converter.model import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.protocol import ReadableGuest

LABEL: Final = "security.selinux"
CONFIG: Final = "/etc/selinux/config"
# The policies of EL have 6000 lines, about 500 KiB.
_LIMIT: Final = 16 << 20
_KINDS: Final = {"--": FileKind.FILE, "-d": FileKind.DIRECTORY, "-l": FileKind.SYMLINK}
_FIXED: Final = re.compile(r"(?:[A-Za-z0-9_/@:, ~=-]|\\[.+*?$^()\[\]{}|\\-])*")
_ENDINGS: Final = {
    "": re.compile(r""),
    "(/.*)?": re.compile(r"(?:/.*)?"),
    "/.*": re.compile(r"/.*"),
    ".*": re.compile(r".*"),
    "[^/]+": re.compile(r"[^/]+"),
    "/[^/]+": re.compile(r"/[^/]+"),
}
_POLICY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_enabled(guest: ReadableGuest) -> bool:
    """Tell whether the guest starts with SELinux, enforcing or permissive (selinux_config(5))."""
    config = paths.text(guest, CONFIG)
    if config is None:
        return False
    return (shellvars.parse(config).get("SELINUX") or "enforcing").lower() != "disabled"


@dataclass(frozen=True, slots=True)
class _Rule:
    """One line of `file_contexts`: a fixed path, the form of what follows, kind and context."""

    stem: str
    ending: str
    kind: FileKind | None
    context: bytes

    def matches(self, path: str, kind: FileKind) -> bool:
        if self.kind not in (None, kind) or not path.startswith(self.stem):
            return False
        return bool(_ENDINGS[self.ending].fullmatch(path, len(self.stem)))


class Labels:
    """What the policy of a guest says; it is read when it is first asked."""

    def __init__(self, guest: ReadableGuest) -> None:
        """Ask the policy of `guest`."""
        self._guest = guest

    def find(self, path: str, kind: FileKind) -> bytes | None:
        """Give the value of the attribute `LABEL` for `path`; None where no pattern is known."""
        place = self._substituted(path)
        found = [rule for rule in self._rules if rule.matches(place, kind)]
        if not found:
            return None
        # A path without a pattern counts most, then the longest; of equal ones the last.
        best = max(
            enumerate(found), key=lambda item: (not item[1].ending, len(item[1].stem), item[0])
        )
        return best[1].context

    @cached_property
    def _folder(self) -> str:
        policy = shellvars.parse(paths.text(self._guest, CONFIG) or "").get("SELINUXTYPE") or ""
        return f"/etc/selinux/{policy}/contexts/files" if _POLICY.fullmatch(policy) else ""

    def _lines(self, *names: str) -> Iterator[list[str]]:
        for name in names if self._folder else ():
            text = paths.text(self._guest, f"{self._folder}/{name}", limit=_LIMIT) or ""
            for line in text.splitlines():
                if line.strip() and not line.lstrip().startswith("#"):
                    yield line.split()

    @cached_property
    def _rules(self) -> list[_Rule]:
        rules = (_rule(words) for words in self._lines("file_contexts", "file_contexts.local"))
        return [rule for rule in rules if rule is not None]

    @cached_property
    def _substitutions(self) -> dict[str, str]:
        """Give the directories that are labelled as others are (semanage-fcontext(8), -e)."""
        lines = self._lines("file_contexts.subs_dist", "file_contexts.subs")
        return {words[0]: words[1] for words in lines if len(words) == 2}

    def _substituted(self, path: str) -> str:
        inside = [old for old in self._substitutions if f"{path}/".startswith(f"{old}/")]
        if not inside:
            return path
        old = max(inside, key=len)
        return self._substitutions[old] + path[len(old) :]


def _rule(words: list[str]) -> _Rule | None:
    """Give what a line says; None for one of a form that is not understood."""
    if not 2 <= len(words) <= 3 or words[-1] == "<<none>>":
        return None
    if len(words) == 3 and words[1] not in _KINDS:
        return None
    fixed = _FIXED.match(words[0])
    stem = fixed[0] if fixed else ""
    ending = words[0][len(stem) :]
    if ending not in _ENDINGS:
        return None
    return _Rule(
        stem=re.sub(r"\\(.)", r"\1", stem),
        ending=ending,
        kind=_KINDS[words[1]] if len(words) == 3 else None,
        context=words[-1].encode("utf-8", "surrogateescape") + b"\0",
    )
