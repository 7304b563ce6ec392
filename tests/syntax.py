"""Python's syntax, as far as `tests.codes` has to know it: modules, calls, what a name is given."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp
# Where in a value something stands: indices, and None for any item of what is gone through.
Place = tuple[int | None, ...]


@dataclass(frozen=True)
class Module:
    """A module by its full name, with its path below the root."""

    name: str
    path: str
    tree: ast.Module

    @classmethod
    def read(cls, path: Path, root: Path) -> Module:
        relative = path.relative_to(root)
        name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        return cls(name, str(relative), ast.parse(path.read_text("utf-8")))

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self) -> dict[str, str]:
        """The full names behind the local ones."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            elif isinstance(node, ast.Import):
                found |= {a.asname or a.name: a.name for a in node.names}
        return found

    @cached_property
    def makers(self) -> frozenset[str]:
        """What may be called by its name alone: functions, classes, what is imported."""
        defined = (node for node in self.nodes if isinstance(node, Function | ast.ClassDef))
        return frozenset(node.name for node in defined).union(self.imports)

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        return {item.name: item for item in self.tree.body if isinstance(item, ast.ClassDef)}

    @cached_property
    def calls(self) -> list[tuple[ast.Call, tuple[Function, ...]]]:
        """All calls, each with the functions around it, the innermost first."""
        return list(_calls(self.tree, ()))


def _calls(
    node: ast.AST, around: tuple[Function, ...]
) -> Iterator[tuple[ast.Call, tuple[Function, ...]]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield child, around
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _calls(child, (child, *around))
        else:
            yield from _calls(child, around)


def full_name(expression: ast.expr, module: Module) -> str:
    """Give the full name that `expression` has in `module`; "" for what is no name."""
    match expression:
        case ast.Name(id=name):
            return module.imports.get(name, f"{module.name}.{name}")
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
            return f"{module.name}.{name}"
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return f"{module.imports.get(owner, module.name)}.{name}"
        case _:
            return ""


def called(call: ast.Call) -> Iterator[ast.expr]:
    """Give what is called, also where it is handed to functools.partial."""
    yield call.func
    if isinstance(call.func, ast.Name) and call.func.id == "partial":
        yield from call.args[:1]


def raised_values(module: Module) -> Iterator[tuple[int, str]]:
    """Give the lines that raise something whose class is a value: `raise kind("code", …)`.

    One with the code of another error (``type(error)(error.code, …)``) has it from there.
    """
    for node in module.nodes:
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Attribute())):
                continue
            case ast.Raise(exc=ast.Call(args=[ast.Attribute(attr="code"), *_])):
                continue
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name))) if (
                name[0].isupper() or name in module.makers
            ):
                continue
            case ast.Raise(exc=ast.Call(func=what)):
                yield node.lineno, ast.unparse(what)


def positional(function: Function) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args]


def defaults(function: Function) -> Iterator[tuple[str, ast.expr]]:
    """Give the parameters that need not be given, with their values."""
    arguments, names = function.args, positional(function)
    with_default = names[len(names) - len(arguments.defaults) :]
    yield from ((n.arg, value) for n, value in zip(with_default, arguments.defaults, strict=True))
    for name, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if value is not None:
            yield name.arg, value


def parameters(function: Function) -> frozenset[str]:
    return frozenset(item.arg for item in (*positional(function), *function.args.kwonlyargs))


def local_values(function: Function, name: str) -> Iterator[tuple[ast.expr, Place]]:
    yield from assignments(function.body, name)
    for node in ast.walk(function):
        if isinstance(node, Comprehension):
            yield from taken(node, name)


def taken(comprehension: Comprehension, name: str) -> Iterator[tuple[ast.expr, Place]]:
    """Give what a comprehension goes through to fill its own variable `name`."""
    for generator in comprehension.generators:
        for path in _paths(generator.target, name):
            yield generator.iter, (None, *path)


def assignments(body: Sequence[ast.stmt], name: str) -> Iterator[tuple[ast.expr, Place]]:
    """Give the values that `name` gets in `body`, each with where in the value it stands."""
    for node in chain.from_iterable(ast.walk(statement) for statement in body):
        match node:
            case ast.Assign(targets=targets, value=value):
                yield from ((value, p) for target in targets for p in _paths(target, name))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from ((value, path) for path in _paths(target, name))
            case ast.For(target=target, iter=value):
                yield from ((value, (None, *path)) for path in _paths(target, name))
            case ast.NamedExpr(target=target, value=value):
                yield from ((value, path) for path in _paths(target, name))


def _paths(target: ast.expr, name: str) -> Iterator[Place]:
    match target:
        case ast.Name(id=found) if found == name:
            yield ()
        case ast.Tuple(elts=items) | ast.List(elts=items):
            for number, item in enumerate(items):
                yield from ((number, *path) for path in _paths(item, name))
