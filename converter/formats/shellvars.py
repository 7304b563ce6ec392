"""Files of shell assignments: os-release(5), /etc/default/grub, initramfs.conf(5).

Understood are assignments that stand where a command would (sh(1), "Simple Commands"), several of
them on a line too, with `export`, `+=` and values quoted in any way; those in front of a command
are for that command only, and do not count. Everything else survives as it is.

Nothing is run: an expansion in a value is given as it is written (`is_dynamic` tells), and edits of
such a value leave it in place. Conditions are not looked at, and here-documents not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from converter.formats.kernel_args import Edit, Span, applied, spliced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from converter.formats.kernel_args import Editor

MAX_DEPTH: Final = 16
# Of lines with a quote that is not closed, after which reading goes on with the next line. A shell
# would stop at the first; and each has all that follows it read.
_MOST_FAULTS: Final = 8
# Of assignments to a few variables; only the last to each counts. Each has the file read anew,
# twice at the most.
_MOST_EDITS: Final = 8

_BLANK: Final = re.compile(r"(?:[ \t\r]|\\\n)+")
_COMMENT: Final = re.compile(r"#[^\n]*")
# What commands stand between: blanks, comments, operators and reserved words.
_BETWEEN: Final = re.compile(
    r"(?:[ \t\r\n;&|(){}]|\\\n|#[^\n]*|(?:if|then|elif|else|fi|while|until|do|done|!)(?=[\s;]))+"
)
_EXPORT: Final = re.compile(r"(?:export|readonly|declare|typeset|local)(?=[ \t])(?:[ \t]+-\w+)*")
_NAME: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?=)")
_OPERATOR: Final = re.compile(r"[<>()]+")
_BARE: Final = re.compile(r"""[^\s'"\\$`;&|<>()]+""")
_VARIABLE: Final = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_IN_QUOTES: Final = re.compile(r'[^"\\$`]+')
_BACKQUOTED: Final = re.compile(r"`(?:\\.|[^`\\])*`", re.DOTALL)
# What means nothing inside of $(…) or ${…}, and in quotes there.
_IN_NESTED: Final = re.compile(r"""[^'"\\$(){}]+""")
_IN_NESTED_QUOTES: Final = re.compile(r'[^"\\$]+')
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:,@%+=-]*")
_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a value: its text, or the name of the `variable` it stands for.

    `is_dynamic`: an expansion that is not carried out here; `text` is how it is written.
    """

    text: str
    start: int
    end: int
    variable: str = ""
    is_dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """One assignment. Places are in the text; `appends` is `+=`."""

    name: str
    operator: int
    start: int
    end: int
    parts: tuple[Part, ...]
    appends: bool = False

    @property
    def value(self) -> str:
        """Its value without quotes, expansions as they are written."""
        return "".join(part.text for part in self.parts)

    @property
    def is_dynamic(self) -> bool:
        """Whether the value holds an expansion."""
        return any(part.variable or part.is_dynamic for part in self.parts)

    @property
    def words(self) -> tuple[Span, ...]:
        """The words of the value with their places in the text, quotes left out."""
        places = [
            (part.start + at, part.start + at + 1)
            if part.end - part.start == len(part.text)
            else (part.start, part.end)
            for part in self.parts
            for at in range(len(part.text))
        ]
        return tuple(
            Span(match[0], places[match.start()][0], places[match.end() - 1][1])
            for match in _WORD.finditer(self.value)
        )


@dataclass(frozen=True, slots=True)
class ShellVars:
    """The text of such a file, with its assignments in order. Every edit gives a new one."""

    text: str
    assignments: tuple[Assignment, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return self.text

    def all(self, name: str) -> tuple[Assignment, ...]:
        """Give every assignment to `name`."""
        return tuple(item for item in self.assignments if item.name == name)

    def get(self, name: str) -> str | None:
        """Give the value that `name` has at the end, unquoted; None if nothing is assigned."""
        value: str | None = None
        for item in self.all(name):
            value = (value or "") + item.value if item.appends else item.value
        return value

    def is_dynamic(self, name: str) -> bool:
        """Tell whether the value of `name` holds an expansion, which is not carried out here."""
        return any(item.is_dynamic for item in self.all(name)[-1:])

    def with_value(self, name: str, value: str) -> ShellVars:
        """Give the file with `value` in the last assignment to `name`, or in a new one."""
        found = self.all(name)
        if not found:
            return self._with_new(f"{name}={quote(value)}\n", name)
        last = found[-1]
        return parse(f"{self.text[: last.operator]}={quote(value)}{self.text[last.end :]}")

    def _with_new(self, line: str, name: str) -> ShellVars:
        """Add an assignment: at the end, or before all where nothing at the end would be read."""
        gap = "" if not self.text or self.text.endswith("\n") else "\n"
        # A backslash at the end of the file would continue it.
        for text in (f"{self.text}{gap}{line}", f"{self.text}\n\n{line}"):
            made = parse(text)
            if made.all(name):
                return made
        return parse(f"{line}{self.text}")

    def edited(self, item: Assignment, edit: Edit) -> ShellVars:
        """Give the file with the words of one assignment edited where they stand.

        Quotes and expansions in the value stay. Where words cannot be put in like that, a value
        without expansions is written anew; one with them is left alone.
        """
        if edit == Edit():
            return self
        number = self.assignments.index(item)
        candidates = [_spliced(self.text, item, edit)]
        if not item.is_dynamic:
            wanted = applied(_words(item), edit)
            candidates.append(
                f"{self.text[: item.start]}{quote(' '.join(wanted))}{self.text[item.end :]}"
            )
        for text in candidates:
            new = parse(text)
            if self._became(new, {number: edit}):
                return new
        return self

    def with_words(self, names: Iterable[str], edit: Editor) -> ShellVars:
        """Give the file with the words edited of the assignments to `names`: the last ones."""
        wanted = frozenset(names)
        found = [number for number, item in enumerate(self.assignments) if item.name in wanted]
        made = {number: edit(_words(self.assignments[number])) for number in found[-_MOST_EDITS:]}
        return self._edited_at({number: one for number, one in made.items() if one != Edit()})

    def _edited_at(self, edits: Mapping[int, Edit]) -> ShellVars:
        """Give the file with edits of the assignments of these numbers, all at once if they can."""
        if not edits:
            return self
        text = self.text
        for number in sorted(edits, reverse=True):  # the places of those before stay
            text = _spliced(text, self.assignments[number], edits[number])
        made = parse(text)
        if self._became(made, edits):
            return made
        made = self
        for number, one in edits.items():
            made = made.edited(made.assignments[number], one)
        return made

    def _became(self, new: ShellVars, edits: Mapping[int, Edit]) -> bool:
        """Tell whether `new` differs in these words of the assignments of these numbers only."""
        pairs = zip(self.assignments, new.assignments, strict=False)
        return len(new.assignments) == len(self.assignments) and all(
            _is_made(made, item, edits.get(number)) for number, (item, made) in enumerate(pairs)
        )


def _words(item: Assignment) -> list[str]:
    return [span.word for span in item.words]


def _is_made(made: Assignment, item: Assignment, edit: Edit | None) -> bool:
    """Tell whether an assignment is what an edit was to make of `item`, or is as it was."""
    if (made.name, made.is_dynamic) != (item.name, item.is_dynamic):
        return False
    if edit is None:
        return made.value == item.value
    return _words(made) == applied(_words(item), edit)


def _spliced(text: str, item: Assignment, edit: Edit) -> str:
    """Put an edit of an item's words into the text, as it is where they cannot be put in."""
    new = [word for word in (*edit.changed.values(), *edit.added) if word is not None]
    if not all(_PLAIN.fullmatch(word) for word in new):
        return text
    if _for_init(item) or (item.words and not edit.added):
        return spliced(text, item.words, edit)
    changed = spliced(text, item.words, Edit(edit.changed))
    end = item.end + len(changed) - len(text)
    return _with_added(changed, item, end, edit.added) if edit.added else changed


def _for_init(item: Assignment) -> bool:
    return any(span.word == "--" for span in item.words)


def _with_added(text: str, item: Assignment, end: int, added: Iterable[str]) -> str:
    """Put words at the end of the value that now ends at `end`: inside its last quotes, or new."""
    inside = end - item.start >= 2 and text[end - 1] in "'\""
    at = end - 1 if inside else end
    value = text[item.start : at].lstrip("'\"")
    new = (" " if value and not value[-1].isspace() else "") + " ".join(added)
    return f"{text[:at]}{new}{text[at:]}" if inside else f'{text[:at]}"{new}"{text[at:]}'


def parse(text: str) -> ShellVars:
    """Read a file; any text is accepted."""
    return ShellVars(text, tuple(_Scanner(text).assignments()))


def evaluate(files: Iterable[ShellVars]) -> dict[str, str]:
    """Give the values of all variables after `files` were sourced one after the other.

    Variables in values are carried out, as empty where nothing has assigned them; other expansions
    are given as they are written.
    """
    values: dict[str, str] = {}
    for item in (item for file in files for item in file.assignments):
        value = "".join(
            values.get(part.variable, "") if part.variable else part.text for part in item.parts
        )
        values[item.name] = values.get(item.name, "") + value if item.appends else value
    return values


def quote(value: str) -> str:
    """Write `value` so that sh(1) reads it as it is."""
    if value and _PLAIN.fullmatch(value):
        return value
    escaped = re.sub(r"([$`\"\\])", r"\\\1", value)
    return f'"{escaped}"'


class _UnclosedError(Exception):
    """A quote or expansion is not closed: this is no assignment, and a shell would stop."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def assignments(self) -> Iterator[Assignment]:
        faults = 0
        while self._at < len(self._text) and faults < _MOST_FAULTS:
            start = self._at
            try:
                yield from self._command()
            except _UnclosedError:
                faults += 1
                self._at = self._text.find("\n", start) + 1 or len(self._text)

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()
        return match is not None

    def _command(self) -> Iterator[Assignment]:
        """Read a command, if there is one, and what is in front of it."""
        if self._skip(_BETWEEN):
            return
        is_exported = self._skip(_EXPORT)
        found: list[Assignment] = []
        while True:
            self._skip(_BLANK)
            match = _NAME.match(self._text, self._at)
            if match is None:
                break
            self._at = match.end()
            parts = tuple(self._word())
            found.append(
                Assignment(
                    match[1], match.end(1), match.end(), self._at, parts, appends=match[2] == "+="
                )
            )
        if is_exported or self._is_end():
            yield from found
        if not self._is_end():
            self._skip_command()

    def _is_end(self) -> bool:
        return self._at >= len(self._text) or self._text[self._at] in "\n;&|)}#"

    def _skip_command(self) -> None:
        """Pass over the words of a command."""
        start = self._at
        while self._at < len(self._text):
            if self._text[self._at] in "\n;&|":
                break
            if not self._skip(_BLANK) and not self._skip(_OPERATOR):
                before = self._at
                if self._text[before] == "#" and self._text[before - 1 : before].isspace():
                    self._skip(_COMMENT)
                for _ in self._word():
                    pass
                if self._at == before:
                    self._at += 1
        if self._at == start:
            self._at += 1

    def _word(self) -> Iterator[Part]:
        """Read a word, up to what ends one outside quotes."""
        while self._at < len(self._text):
            start, character = self._at, self._text[self._at]
            if character == "'":
                self._at = self._find("'", start + 1) + 1
                yield self._part(start + 1, self._at - 1)
            elif character == '"':
                self._at += 1
                yield from self._quoted()
            elif character == "\\":
                self._at = min(start + 2, len(self._text))
                text = self._text[start + 1 : self._at]
                yield Part(text.strip("\n"), start, self._at)
            elif character in "$`":
                yield self._expansion(0)
            elif self._skip(_BARE):
                yield self._part(start, self._at)
            else:
                return

    def _quoted(self) -> Iterator[Part]:
        """Read what stands in double quotes, and the closing one."""
        if self._text[self._at : self._at + 1] == '"':
            yield Part("", self._at, self._at)
        while True:
            start = self._at
            if start >= len(self._text):
                raise _UnclosedError
            character = self._text[start]
            if character == '"':
                self._at += 1
                return
            if character == "\\":
                self._at = min(start + 2, len(self._text))
                pair = self._text[start : self._at]
                special = pair[1:] in ("$", "`", '"', "\\", "\n")
                yield Part(pair[1:].strip("\n") if special else pair, start, self._at)
            elif character in "$`":
                yield self._expansion(0)
            else:
                self._skip(_IN_QUOTES)
                yield self._part(start, self._at)

    def _part(self, start: int, end: int) -> Part:
        return Part(self._text[start:end], start, end)

    def _find(self, what: str, start: int) -> int:
        found = self._text.find(what, start)
        if found < 0:
            raise _UnclosedError
        return found

    def _expansion(self, depth: int) -> Part:
        """Read an expansion, or a `$` that begins none."""
        start = self._at
        if match := _VARIABLE.match(self._text, start):
            self._at = match.end()
            return Part(match[0], start, self._at, match[1] or match[2])
        if self._text[start] == "`":
            if not self._skip(_BACKQUOTED):
                raise _UnclosedError
        elif self._text[start + 1 : start + 2] in ("(", "{"):
            self._at = start + 2
            self._nested(")" if self._text[start + 1] == "(" else "}", depth)
        else:
            self._at = start + (2 if self._text[start + 1 : start + 2] in tuple("?#*@$!-") else 1)
            return Part(self._text[start : self._at], start, self._at)
        return Part(self._text[start : self._at], start, self._at, is_dynamic=True)

    def _nested(self, closing: str, depth: int) -> None:
        """Pass over the inside of `$(…)` or `${…}`."""
        if depth > MAX_DEPTH:
            raise _UnclosedError
        opening = "(" if closing == ")" else "{"
        levels = 1
        while levels:
            self._skip(_IN_NESTED)
            if self._at >= len(self._text):
                raise _UnclosedError
            character = self._text[self._at]
            if character == "'" and closing == ")":
                self._at = self._find("'", self._at + 1)
            elif character == '"':
                self._at += 1
                self._pass_quoted(depth)
                continue
            elif character == "\\":
                self._at += 1
            elif character == "$" and self._text[self._at + 1 : self._at + 2] in ("(", "{"):
                self._expansion(depth + 1)
                continue
            levels += (character == opening) - (character == closing)
            self._at += 1

    def _pass_quoted(self, depth: int) -> None:
        while True:
            self._skip(_IN_NESTED_QUOTES)
            if self._at >= len(self._text):
                raise _UnclosedError
            character = self._text[self._at]
            if character == '"':
                self._at += 1
                return
            if character == "$" and self._text[self._at + 1 : self._at + 2] in ("(", "{"):
                self._expansion(depth + 1)
            else:
                self._at += 2 if character == "\\" else 1
