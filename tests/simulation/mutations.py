"""Operators on a syntax tree, each of which plants one bug at one of the places that it fits."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

Change = Callable[[], None]
"""Plants the bug into the tree that it was found in."""

OTHER: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def always(tree: ast.AST) -> Iterator[Change]:
    """A condition is a constant True."""
    yield from _constant_tests(tree, True)


def never(tree: ast.AST) -> Iterator[Change]:
    """A condition is a constant False."""
    yield from _constant_tests(tree, False)


def _constant_tests(tree: ast.AST, value: bool) -> Iterator[Change]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp):
            yield lambda node=node: setattr(node, "test", ast.Constant(value))  # type: ignore[misc]


def drop_term(tree: ast.AST) -> Iterator[Change]:
    """One of the terms of an ``and`` or ``or`` is forgotten."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BoolOp):
            for index in range(len(node.values)):
                yield lambda node=node, index=index: _drop(node, index)  # type: ignore[misc]


def _drop(node: ast.BoolOp, index: int) -> None:
    del node.values[index]
    if len(node.values) == 1:
        neutral = isinstance(node.op, ast.And)
        node.values.append(ast.Constant(neutral))


def swap_comparison(tree: ast.AST) -> Iterator[Change]:
    """A comparison is its opposite."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            yield lambda node=node: node.ops.__setitem__(0, OTHER[type(node.ops[0])]())  # type: ignore[misc]


def skip_statement(tree: ast.AST) -> Iterator[Change]:
    """A call, or a change of something, does not happen."""
    for body, index in _statements(tree):
        statement = body[index]
        call = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        if call or isinstance(statement, ast.AugAssign):
            yield lambda body=body, index=index: body.__setitem__(index, ast.Pass())  # type: ignore[misc]


def swap_statements(tree: ast.AST) -> Iterator[Change]:
    """Two steps in the wrong order."""
    for body, index in _statements(tree):
        if index + 1 < len(body):
            yield lambda body=body, index=index: _swap(body, index)  # type: ignore[misc]


def _swap(body: list[ast.stmt], index: int) -> None:
    body[index], body[index + 1] = body[index + 1], body[index]


def drop_keyword(tree: ast.AST) -> Iterator[Change]:
    """A named argument is left to its default."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for index in range(len(node.keywords)):
                yield lambda node=node, index=index: node.keywords.pop(index)  # type: ignore[misc]


def drop_entry(tree: ast.AST) -> Iterator[Change]:
    """An entry of a dictionary or tuple is missing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for index in range(len(node.keys)):
                yield lambda node=node, index=index: _drop_entry(node, index)  # type: ignore[misc]


def _drop_entry(node: ast.Dict, index: int) -> None:
    del node.keys[index], node.values[index]


def other_number(tree: ast.AST) -> Iterator[Change]:
    """Off by one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield lambda node=node: setattr(node, "value", node.value + 1)  # type: ignore[misc]


def _statements(tree: ast.AST) -> Iterator[tuple[list[ast.stmt], int]]:
    for node in ast.walk(tree):
        for name in ("body", "orelse"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                for index in range(len(body)):
                    yield body, index


OPERATORS: dict[str, Callable[[ast.AST], Iterator[Change]]] = {
    "always": always,
    "never": never,
    "drop-term": drop_term,
    "swap-comparison": swap_comparison,
    "skip-statement": skip_statement,
    "swap-statements": swap_statements,
    "drop-keyword": drop_keyword,
    "drop-entry": drop_entry,
    "other-number": other_number,
}


def function_of(tree: ast.Module, name: str) -> ast.AST:
    """Raises ValueError."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise ValueError(f"there is no function {name}")


def mutated(source: str, function: str, operator: str, was: str, becomes: str = "") -> str:
    """``was``, ``becomes``: parts of the first line that differs, before and after, as `ast.unparse` has it.

    Raises ValueError where there is no such place, or more than one.
    """
    places = [
        text
        for text, before, after in sites(source, function, operator)
        if was in before and becomes in after
    ]
    if len(places) != 1:
        raise ValueError(f"{function}: {len(places)} places for {operator} at {was!r} {becomes!r}")
    return places[0]


def sites(source: str, function: str, operator: str) -> Iterator[tuple[str, str, str]]:
    """Each mutated source, and the first line that differs: before, after."""
    plain = ast.unparse(ast.parse(source)).splitlines()
    count = sum(1 for _ in OPERATORS[operator](function_of(ast.parse(source), function)))
    for index in range(count):
        tree = ast.parse(source)
        list(OPERATORS[operator](function_of(tree, function)))[index]()
        text = ast.unparse(ast.fix_missing_locations(tree))
        lines = text.splitlines()
        differing = ((was, line) for line, was in zip(lines, plain, strict=False) if line != was)
        before, after = next(differing, ("", ""))
        yield text, before.strip(), after.strip()
