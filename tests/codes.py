"""Every stable code that `converter/` can give, found in its syntax.

A code is an argument of whatever makes an error, a `Finding` or a `Difference`. It is followed back
from there through parameters (to every caller), constants, local names, tables and either branch of
a condition, to the literal that it is. What cannot be followed, and what is put together at run
time, is an error: nobody could look it up. A code that is taken from another error or finding
(``error.code``) has its literal where that was made.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.syntax import (
    Function,
    Module,
    assignments,
    called,
    defaults,
    full_name,
    local_values,
    parameters,
    positional,
    raised_values,
    taken,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.syntax import Place

ROOT: Final = Path(__file__).resolve().parents[1]
FINDING: Final = "Finding"
DIFFERENCE: Final = "Difference"
# What stands for the operands of an f-string.
HOLE: Final = "\0"

_BASE: Final = "ConversionError"
_HOME: Final = "converter.errors"
_FIELDS: Final = {
    FINDING: ("severity", "code", "message", "hint", "service_message"),
    DIFFERENCE: ("code",),
    _BASE: ("code", "message", "hint"),
}
# A finding or an error that is there already has them.
_PASSED_ON: Final = frozenset({"code", "severity", "message", "hint", "service_message"})
_DEEPEST: Final = 8
_KEBAB: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

_Call = tuple[Module, ast.Call, tuple[Function, ...]]


@dataclass(frozen=True, slots=True)
class Given:
    """A place where `kind` (a class's name) is made with `code`."""

    place: str
    kind: str
    code: str
    severities: frozenset[str]
    service: frozenset[str]
    has_hint: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """A place whose code cannot be followed."""

    place: str
    why: str


def scan(root: Path = ROOT) -> tuple[tuple[Given, ...], tuple[Lost, ...]]:
    """Give all codes in `root`/converter with their places, and what could not be followed."""
    modules = [Module.read(path, root) for path in sorted((root / "converter").rglob("*.py"))]
    return _Scan({module.name: module for module in modules}).run()


@dataclass(frozen=True, slots=True, eq=False)
class _Scope:
    """Where an expression stands: its module, the functions around it, what a caller gave them."""

    module: Module
    around: tuple[Function, ...] = ()
    given: _Arguments = field(default_factory=dict)


_Arguments = dict[str, tuple[ast.expr, _Scope]]


class _LostError(Exception):
    """An expression cannot be followed to literals."""


class _ParameterError(Exception):
    """An expression depends on a parameter of the innermost function: ask its callers."""


class _Scan:
    def __init__(self, modules: dict[str, Module]) -> None:
        self._modules = modules
        self._given: list[Given] = []
        self._lost: list[Lost] = []
        self._errors = self._subclasses()
        self._known_callers = self._callers()

    def _subclasses(self) -> frozenset[str]:
        found = {_BASE}
        classes = list(chain.from_iterable(m.classes.values() for m in self._modules.values()))
        while True:
            new = {
                item.name
                for item in classes
                if any(isinstance(base, ast.Name) and base.id in found for base in item.bases)
            }
            if new <= found:
                return frozenset(found)
            found |= new

    def run(self) -> tuple[tuple[Given, ...], tuple[Lost, ...]]:
        for module in self._modules.values():
            self._lost += [
                Lost(f"{module.path}:{line}", f"{what} is no known class")
                for line, what in raised_values(module)
            ]
            for call, around in module.calls:
                home, _, kind = full_name(call.func, module).rpartition(".")
                names = _FIELDS.get(_BASE if kind in self._errors else kind)
                # In their own module, a constructor gives on what it was given.
                is_giving_on = module.name == _HOME and around and around[0].name == "__init__"
                if names and home.startswith("converter") and not is_giving_on:
                    scope = _Scope(module, around)
                    arguments = _arguments(call, names, scope)
                    self._follow(kind, arguments, scope, f"{module.path}:{call.lineno}", 0)
        return tuple(self._given), tuple(self._lost)

    def _follow(
        self,
        kind: str,
        arguments: _Arguments,
        scope: _Scope,
        place: str,
        depth: int,
    ) -> None:
        """Note what is made with `arguments`, or ask the callers of the function in `scope`."""
        try:
            codes = self._texts(*arguments["code"])
            severities = self._severities(arguments)
            service = self._service(arguments)
        except _ParameterError:
            self._ask_callers(kind, arguments, scope, place, depth)
        except (_LostError, KeyError, RecursionError) as error:
            self._lost.append(Lost(place, str(error)))
        else:
            for code in codes:
                if HOLE in code:
                    self._lost.append(Lost(place, f"the code {code!r} is made at run time"))
                elif not _KEBAB.fullmatch(code):
                    self._lost.append(Lost(place, f"{code!r} is no code"))
                else:
                    has_hint = self._has_hint(arguments)
                    self._given.append(Given(place, kind, code, severities, service, has_hint))

    def _severities(self, arguments: _Arguments) -> frozenset[str]:
        if "severity" not in arguments:
            return frozenset()
        return frozenset(text.lower() for text in self._texts(*arguments["severity"]))

    def _service(self, arguments: _Arguments) -> frozenset[str]:
        if "service_message" not in arguments:
            return frozenset()
        return self._texts(*arguments["service_message"]) - {""}

    def _has_hint(self, arguments: _Arguments) -> bool:
        if "hint" not in arguments:
            return False
        hint = arguments["hint"][0]
        return not (isinstance(hint, ast.Constant) and hint.value == "")

    def _ask_callers(
        self,
        kind: str,
        arguments: _Arguments,
        scope: _Scope,
        place: str,
        depth: int,
    ) -> None:
        function = scope.around[0]
        names = [item.arg for item in positional(function)]
        target = f"{scope.module.name}.{function.name}"
        if names[:1] in (["self"], ["cls"]):
            del names[0]
            target = f".{function.name}"  # whatever it is called on
        callers = self._known_callers[target] if depth < _DEEPEST else []
        if not callers:
            self._lost.append(Lost(place, f"nothing is known of who calls {function.name}()"))
        for caller, call, around in callers:
            outer = _Scope(caller, around)
            at = _Scope(scope.module)
            given = {name: (value, at) for name, value in defaults(function)}
            inner = _Scope(scope.module, scope.around, given | _arguments(call, names, outer))
            bound = {
                name: _bound(expression, inner if at is scope else at)
                for name, (expression, at) in arguments.items()
            }
            self._follow(kind, bound, outer, f"{caller.path}:{call.lineno}", depth + 1)

    def _callers(self) -> dict[str, list[_Call]]:
        """Give the calls of everything that is called by a name; ".name" are those of methods."""
        found: dict[str, list[_Call]] = defaultdict(list)
        for module in self._modules.values():
            for call, around in module.calls:
                for what in called(call):
                    found[full_name(what, module)].append((module, call, around))
                    if isinstance(what, ast.Attribute):
                        found[f".{what.attr}"].append((module, call, around))
        return found

    def _texts(  # noqa: PLR0911 - a table
        self, expression: ast.expr, scope: _Scope
    ) -> frozenset[str]:
        """Give every text that `expression` can be; none, where it is passed on."""
        match expression:
            case ast.Constant(value=str() as text):
                return frozenset({text})
            case ast.JoinedStr(values=parts):
                return frozenset(
                    {"".join(str(p.value) if isinstance(p, ast.Constant) else HOLE for p in parts)}
                )
            case ast.IfExp(body=one, orelse=other):
                return self._texts(one, scope) | self._texts(other, scope)
            case ast.BoolOp(values=parts):
                return frozenset(chain.from_iterable(self._texts(part, scope) for part in parts))
            case ast.Name(id=name):
                return self._named(name, scope)
            case ast.Attribute(value=ast.Name(id="Severity"), attr=name):
                return frozenset({name})
            case ast.Attribute():
                return self._attribute(expression, scope)
            case ast.Subscript() | ast.Call():
                return self._chosen(expression, scope)
            case _:
                raise _LostError(f"{ast.unparse(expression)} cannot be followed")

    def _chosen(self, expression: ast.Subscript | ast.Call, scope: _Scope) -> frozenset[str]:
        """Give what may be taken out of a table."""
        match expression:
            case ast.Subscript(value=table):
                return self._any(self._items(table, scope))
            case ast.Call(func=ast.Attribute(value=table, attr="get"), args=[_, *default]):
                return self._any([*self._items(table, scope), *((item, scope) for item in default)])
            case ast.Call(func=ast.Name(id="next"), args=[ast.GeneratorExp() as every, *default]):
                found = self._any((item, scope) for item in default)
                values = list(taken(every, every.elt.id)) if isinstance(every.elt, ast.Name) else []
                if not values:
                    return found | self._texts(every.elt, scope)
                return found.union(*(self._value(*pair, scope) for pair in values))
            case _:
                raise _LostError(f"{ast.unparse(expression)} cannot be followed")

    def _any(self, items: Iterable[tuple[ast.expr, _Scope]]) -> frozenset[str]:
        return frozenset(chain.from_iterable(self._texts(item, at) for item, at in items))

    def _attribute(self, expression: ast.Attribute, scope: _Scope) -> frozenset[str]:
        full = full_name(expression, scope.module)
        owner = expression.value
        if isinstance(owner, ast.Name):
            home, _, name = scope.module.imports.get(owner.id, "").rpartition(".")
            for at, key in ((home, name), (scope.module.name, owner.id)):
                if at in self._modules and key in self._modules[at].classes:
                    inside = self._modules[at].classes[key].body
                    return self._assigned(inside, expression.attr, _Scope(self._modules[at]))
            home, _, name = full.rpartition(".")
            if home in self._modules and owner.id in scope.module.imports:
                return self._constant(name, self._modules[home])
        if expression.attr in _PASSED_ON:
            return frozenset()
        raise _LostError(f"{ast.unparse(expression)} cannot be followed")

    def _named(self, name: str, scope: _Scope) -> frozenset[str]:
        if name in scope.given:
            return self._texts(*scope.given[name])
        for function in scope.around:
            values = list(local_values(function, name))
            if values:
                return frozenset(
                    chain.from_iterable(self._value(value, path, scope) for value, path in values)
                )
            if name in parameters(function):
                if function is scope.around[0]:
                    raise _ParameterError
                raise _LostError(f"{name} is a parameter of an outer function")
        return self._constant(name, scope.module)

    def _constant(self, name: str, module: Module) -> frozenset[str]:
        if name in module.imports:
            home, _, name = module.imports[name].rpartition(".")
            if home not in self._modules:
                raise _LostError(f"{home}.{name} cannot be followed")
            module = self._modules[home]
        return self._assigned(module.tree.body, name, _Scope(module))

    def _assigned(self, body: Sequence[ast.stmt], name: str, scope: _Scope) -> frozenset[str]:
        values = [value for value, path in assignments(body, name) if not path]
        if not values:
            raise _LostError(f"{name} cannot be followed")
        return frozenset(chain.from_iterable(self._texts(value, scope) for value in values))

    def _value(self, expression: ast.expr, path: Place, scope: _Scope) -> frozenset[str]:
        """Give the texts of what is at `path` in a value: an index, or None for every item."""
        if not path:
            return self._texts(expression, scope)
        first, *rest = path
        if first is not None:
            if not isinstance(expression, ast.Tuple | ast.List):
                raise _LostError(f"{ast.unparse(expression)} cannot be followed")
            return self._value(expression.elts[first], tuple(rest), scope)
        return frozenset(
            chain.from_iterable(
                self._value(item, tuple(rest), at) for item, at in self._items(expression, scope)
            )
        )

    def _items(self, expression: ast.expr, scope: _Scope) -> Iterator[tuple[ast.expr, _Scope]]:
        """Give the items of a tuple, a list, or a dict's values, written out or in a constant."""
        match expression:
            case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Dict(values=items):
                yield from ((item, scope) for item in items)
            case ast.Call(func=ast.Attribute(value=table, attr="items"), args=[]):
                for keys, values, at in self._pairs(table, scope):
                    yield from (
                        (ast.Tuple([key or value, value]), at)
                        for key, value in zip(keys, values, strict=True)
                    )
            case ast.Name(id=name):
                module = scope.module
                found = list(assignments(module.tree.body, name))
                if not found:
                    raise _LostError(f"the items of {name} cannot be followed")
                for value, _ in found:
                    yield from self._items(value, _Scope(module))
            case _:
                raise _LostError(f"the items of {ast.unparse(expression)} cannot be followed")

    def _pairs(
        self, table: ast.expr, scope: _Scope
    ) -> Iterator[tuple[list[ast.expr | None], list[ast.expr], _Scope]]:
        match table:
            case ast.Dict(keys=keys, values=values):
                yield keys, values, scope
            case ast.Name(id=name):
                for value, _ in assignments(scope.module.tree.body, name):
                    yield from self._pairs(value, _Scope(scope.module))
            case _:
                raise _LostError(f"{ast.unparse(table)} cannot be followed")


def _bound(expression: ast.expr, scope: _Scope) -> tuple[ast.expr, _Scope]:
    """Give what a caller gave for a parameter, where the expression is nothing else."""
    if isinstance(expression, ast.Name) and expression.id in scope.given:
        return scope.given[expression.id]
    return expression, scope


def _arguments(call: ast.Call, names: Sequence[str], scope: _Scope) -> _Arguments:
    is_partial = isinstance(call.func, ast.Name) and call.func.id == "partial"
    positional = call.args[1:] if is_partial else call.args
    found = {name: (value, scope) for name, value in zip(names, positional, strict=False)}
    return found | {item.arg: (item.value, scope) for item in call.keywords if item.arg}
