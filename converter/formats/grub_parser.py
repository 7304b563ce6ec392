"""The grammar of GRUB 2's shell-like language (GNU GRUB manual, "Shell-like scripting").

Text becomes a tree of commands in which every word knows where it stands, so that one word can be
replaced and everything else stays as it is. Nothing is evaluated here.

Limits: bounded size and nesting; here-documents do not exist in GRUB either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SIZE: Final = 4 << 20
MAX_DEPTH: Final = 64

# Braces end a word, as blanks do (GNU GRUB manual, "Shell-like scripting", metacharacters).
_TOKEN: Final = re.compile(
    r"""(?P<blank>(?:[ \t\r]|\\\n)+)
      | (?P<comment>\#[^\n]*)
      | (?P<end>\n|;)
      | (?P<brace>[{}])
      | (?P<word>(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|\$\{[^{}\n]*\}|[^ \t\r\n;'"\\{}])+)""",
    re.VERBOSE | re.DOTALL,
)
_PART: Final = re.compile(
    r"""'(?P<single>[^']*)'
      | \$?"(?P<double>(?:\\.|[^"\\])*)"
      | \\(?P<escaped>.)
      | \$\{(?P<braced>[^{}]*)\}
      | \$(?P<named>[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?@\#*])
      | (?P<bare>[^'"\\$]+|\$)""",
    re.VERBOSE | re.DOTALL,
)
_VARIABLE: Final = re.compile(
    r"\\(?P<escaped>.)|\$\{(?P<braced>[^{}]*)\}|\$(?P<named>[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?@#*])"
    r"|(?P<bare>[^\\$]+|\$)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a word: text, or the name of a variable (`is_variable`)."""

    text: str
    is_variable: bool = False
    is_quoted: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it stands in the text, from `start` to `end`, and what it is made of."""

    start: int
    end: int
    raw: str
    parts: tuple[Part, ...]

    @property
    def literal(self) -> str | None:
        """Its value when it holds no variable."""
        if any(part.is_variable for part in self.parts):
            return None
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command, with its `{ … }` block when it has one (menuentry, submenu)."""

    words: tuple[Word, ...]
    block: tuple[Node, ...] = ()

    @property
    def name(self) -> str:
        """The command's name, "" when it is a variable."""
        return self.words[0].literal or ""


@dataclass(frozen=True, slots=True)
class If:
    """Conditions with what each guards; the last condition is empty for `else`."""

    branches: tuple[tuple[tuple[Node, ...], tuple[Node, ...]], ...]


@dataclass(frozen=True, slots=True)
class For:
    """A `for` loop over the values of `words`."""

    name: str
    words: tuple[Word, ...]
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """`while` or `until`: kept for what is in it, never carried out."""

    condition: tuple[Node, ...]
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A function definition."""

    name: str
    body: tuple[Node, ...]


Node = Command | If | For | Loop | Function


def lists(nodes: tuple[Node, ...]) -> Iterator[tuple[Node, ...]]:
    """Give `nodes` and every list of commands in them, wherever it stands."""
    yield nodes
    for node in nodes:
        match node:
            case Command():
                yield from lists(node.block)
            case If():
                for condition, body in node.branches:
                    yield from lists(condition)
                    yield from lists(body)
            case Loop():
                yield from lists(node.condition)
                yield from lists(node.body)
            case For() | Function():
                yield from lists(node.body)


def commands(nodes: tuple[Node, ...]) -> Iterator[Command]:
    """Give every simple command in `nodes`, wherever it stands."""
    return (node for nested in lists(nodes) for node in nested if isinstance(node, Command))


# Every question about a script, and every edit of it, begins with its tree.
@lru_cache(maxsize=4)
def parse(text: str) -> tuple[Node, ...]:
    """Read a script. Raises `FormatError` with the line number when it is not one."""
    if len(text) > MAX_SIZE:
        raise FormatError(f"longer than {MAX_SIZE} characters")
    return _Parser(text).script()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def script(self) -> tuple[Node, ...]:
        nodes = self._list(frozenset())
        if self._at < len(self._tokens):
            raise self._error(f"{self._peek()!r} without a beginning")
        return nodes

    def _list(self, ends: frozenset[str]) -> tuple[Node, ...]:
        """Read commands up to a word in `ends`, which is left, or to the end of the text."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error("nested too deeply")
        nodes: list[Node] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token is None:
                self._at += 1
                continue
            if token.raw in ends or token.raw in _CLOSERS:
                break
            nodes.append(self._node(token.raw))
        self._depth -= 1
        return tuple(nodes)

    def _node(self, keyword: str) -> Node:
        match keyword:
            case "if":
                return self._if()
            case "for":
                return self._for()
            case "while" | "until":
                return self._loop()
            case "function":
                return self._function()
            case "{":
                raise self._error("a block without a command")
        return self._command()

    def _command(self) -> Command:
        words = self._words()
        return Command(words, self._block() if self._peek() == "{" else ())

    def _words(self) -> tuple[Word, ...]:
        """Read words up to the end of the command or a brace."""
        words: list[Word] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token is None or token.raw in ("{", "}"):
                break
            words.append(token)
            self._at += 1
        return tuple(words)

    def _block(self) -> tuple[Node, ...]:
        self._expect("{")
        body = self._list(frozenset({"}"}))
        self._expect("}")
        return body

    def _if(self) -> If:
        branches: list[tuple[tuple[Node, ...], tuple[Node, ...]]] = []
        self._expect("if")
        while True:
            condition = self._list(frozenset({"then"}))
            self._expect("then")
            branches.append((condition, self._list(frozenset({"elif", "else", "fi"}))))
            if self._peek() != "elif":
                break
            self._at += 1
        if self._peek() == "else":
            self._at += 1
            branches.append(((), self._list(frozenset({"fi"}))))
        self._expect("fi")
        return If(tuple(branches))

    def _for(self) -> For:
        self._expect("for")
        name = self._peek()
        self._at += 1
        self._expect("in")
        words = self._words()
        return For(name, words, self._do())

    def _loop(self) -> Loop:
        self._at += 1
        condition = self._list(frozenset({"do"}))
        return Loop(condition, self._do())

    def _do(self) -> tuple[Node, ...]:
        while self._at < len(self._tokens) and self._tokens[self._at] is None:
            self._at += 1
        self._expect("do")
        body = self._list(frozenset({"done"}))
        self._expect("done")
        return body

    def _function(self) -> Function:
        self._expect("function")
        name = self._peek()
        self._at += 1
        while self._at < len(self._tokens) and self._tokens[self._at] is None:
            self._at += 1
        return Function(name, self._block())

    def _peek(self) -> str:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        return token.raw if token is not None else ""

    def _expect(self, keyword: str) -> None:
        if self._peek() != keyword:
            raise self._error(f"{keyword!r} expected, {self._peek() or 'end of line'!r} found")
        self._at += 1

    def _error(self, what: str) -> FormatError:
        known = [token.end for token in self._tokens[: self._at + 1] if token is not None]
        line = self._text.count("\n", 0, known[-1] if known else 0) + 1
        return FormatError(f"line {line}: {what}")


_CLOSERS: Final = frozenset({"then", "elif", "else", "fi", "do", "done", "}"})


def _tokens(text: str) -> list[Word | None]:
    """Split into words; None stands for the end of a command."""
    found: list[Word | None] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            line = text.count("\n", 0, at) + 1
            raise FormatError(f"line {line}: a quote is not closed")
        at = match.end()
        if match.lastgroup in ("word", "brace"):
            found.append(Word(match.start(), at, match[0], _parts(match[0])))
        elif match.lastgroup == "end":
            found.append(None)
    return found


def _parts(raw: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    for match in _PART.finditer(raw):
        if match["double"] is not None:
            parts += _quoted_parts(match["double"])
        elif match["single"] is not None:
            parts.append(Part(match["single"], is_quoted=True))
        elif match["escaped"] is not None:
            parts.append(Part(match["escaped"].strip("\n"), is_quoted=True))
        elif match["bare"] is not None:
            parts.append(Part(match["bare"]))
        else:
            parts.append(Part(match["braced"] or match["named"] or "", is_variable=True))
    return tuple(parts)


def _quoted_parts(inner: str) -> Iterator[Part]:
    if not inner:
        yield Part("", is_quoted=True)
    for match in _VARIABLE.finditer(inner):
        if match["bare"] is not None:
            yield Part(match["bare"], is_quoted=True)
        elif match["escaped"] is not None:
            # Only these lose their backslash in double quotes; before others it stays.
            special = match["escaped"] in '$"\\\n'
            text = match["escaped"].strip("\n") if special else match[0]
            yield Part(text, is_quoted=True)
        else:
            name = match["braced"] or match["named"] or ""
            yield Part(name, is_variable=True, is_quoted=True)
