"""YAML as kubectl and the API server read it, with the line of every field, bounded against hostile input.

`3e-4` and `1e6` are numbers, `010` is octal, `yes` and `on` are booleans, `1e6` is the whole number 1000000.
Where the cluster would take in silence what is nearly always a slip (a field given twice, a key that is not a
string, an unknown tag), it is refused here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from rl_platform.spec.free_json import is_unicode
from rl_platform.spec.problems import Path, Problem, path_text

NODES = 100_000  # of one file, aliases expanded
DEPTH = 64
_PLAIN = "plain"
_TAG = "tag:yaml.org,2002:"
_SCALARS: dict[str, tuple[type, ...]] = {
    _PLAIN: (str, int, float, bool, type(None)),
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
}
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[0-7]*|0[bB][01]+|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DOTTED = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+)?")


@dataclass(slots=True)
class Document:
    """One YAML document as JSON values, and the line where each field or list item stands."""

    value: Any
    line: int
    lines: dict[Path, int] = field(default_factory=dict)

    def forget_lines(self, replaced: Iterable[Path]) -> None:
        """What stands at these paths is no longer what the file says."""
        tops = set(replaced)
        self.lines = {
            path: line
            for path, line in self.lines.items()
            if not any(path[:length] in tops for length in range(1, len(path) + 1))
        }


def read_scalar(text: str) -> str | int | float | bool | None:
    """A plain scalar as the API server gets it. Floats without a fraction are whole numbers, as in JSON.

    May return an infinity or NaN, which JSON does not have: the caller refuses it.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    if text[0] in "+-0123456789":
        plain = text.replace("_", "")
        if _INTEGER.fullmatch(plain):
            return _integer(plain)
        if _FLOAT.fullmatch(plain):
            return _float(plain, text)
    elif _DOTTED.fullmatch(text):
        return _float(text.replace("_", ""), text)
    return text


def _integer(plain: str) -> int | float:
    sign, digits = (-1, plain[1:]) if plain[0] == "-" else (1, plain.removeprefix("+"))
    if len(digits) > 64 and digits[0] != "0":
        return sign * float(digits)  # far beyond 64 bits; int() refuses very long decimal numbers
    octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
    value = sign * int(digits, 8 if octal else 0)
    if -(2**63) <= value < 2**63:
        return value
    try:
        return float(value)
    except OverflowError:
        return sign * math.inf


def _float(plain: str, text: str) -> int | float | str:
    value = float(plain)
    if math.isinf(value):
        return text  # the server's parser gives up on the number, and takes it as text
    if not value.is_integer() or not -(2.0**63) <= value < 2.0**63:
        return value
    return int(Decimal(repr(value)))  # beyond 2**53 the server takes the shortest digits, not the exact value


class _Loader(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser, yaml.composer.Composer):
    """Composes nodes; what a plain scalar means is left to `read_scalar`."""

    def __init__(self, text: str) -> None:
        yaml.reader.Reader.__init__(self, text)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)
        yaml.composer.Composer.__init__(self)

    def descend_resolver(self, parent: Any, index: Any) -> None:
        """Path resolvers are not used."""

    def ascend_resolver(self) -> None:
        """Path resolvers are not used."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else f"{_TAG}str"
        return f"{_TAG}seq" if kind is yaml.SequenceNode else f"{_TAG}map"


def read_documents(text: str, file: str) -> tuple[list[Document], list[Problem]]:
    """Every document of a file that is not empty, and everything that was wrong with the YAML."""
    reader = _NodeReader(file)
    documents: list[Document] = []
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            document = Document(None, node.start_mark.line + 1)
            document.value = reader.read(node, document)
            if document.value is not None:
                documents.append(document)
    except yaml.YAMLError as error:
        reader.problems.append(_syntax_problem(error, text, file))
    except (RecursionError, _TooLargeError):
        hint = f"at most {NODES} values (aliases expanded) and {DEPTH} levels"
        reader.problems.append(Problem(file, None, "", "is too large or nested too deeply", hint))
    return documents, reader.problems


def _syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if isinstance(error, yaml.reader.ReaderError):
        what = f"the character {error.character:#x} is not allowed"
    context = getattr(error, "context", None)
    line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
    said = f"is not YAML: {what} ({context})" if context else f"is not YAML: {what}"
    return Problem(file, line, "", said, "check quotes and indentation")


class _TooLargeError(Exception):
    """The document has more values than a manifest may have."""


class _NodeReader:
    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._left = NODES
        self._open: list[yaml.Node] = []
        self._refused: set[tuple[int, str]] = set()  # a node behind an anchor is read many times

    def read(self, node: yaml.Node, document: Document, path: Path = ()) -> Any:
        self._left -= 1
        if self._left < 0 or len(self._open) > DEPTH:
            raise _TooLargeError
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if any(node is other for other in self._open):
            self._refuse(node, path, "contains itself", "an alias may not stand inside its own anchor")
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, document, path)
            assert isinstance(node, yaml.SequenceNode)
            return self._sequence(node, document, path)
        finally:
            self._open.pop()

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        tag, text = node.tag.removeprefix(_TAG), node.value
        if tag not in _SCALARS:
            return self._refuse(node, path, f"the tag {node.tag!r} is not known", "remove the tag")
        value = text if tag == "str" else read_scalar(text)
        if type(value) not in _SCALARS[tag]:
            message = f"{text[:40]!r} is not of the type !!{tag}"
            return self._refuse(node, path, message, "remove the tag, or mend the value")
        if isinstance(value, float) and not math.isfinite(value):
            message = f"{text[:40]} is not a finite number, or too large for one"
            return self._refuse(node, path, message, "JSON and Kubernetes know finite numbers only")
        if isinstance(value, str) and not is_unicode(value):
            # JSON writes characters beyond 16 bits as two escapes, a pair of surrogates.
            value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            if "\ufffd" in value:
                return self._refuse(node, path, "has half a character (a lone surrogate)", "text is Unicode")
        return value

    def _sequence(self, node: yaml.SequenceNode, document: Document, path: Path) -> list[Any]:
        self._check_tag(node, path, "seq")
        for index, item in enumerate(node.value):
            document.lines[(*path, index)] = item.start_mark.line + 1
        return [self.read(item, document, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, document: Document, path: Path) -> dict[str, Any]:
        self._check_tag(node, path, "map")
        found: dict[str, Any] = {}
        given: dict[str, int] = {}  # explicit fields and merges → line
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            line = key_node.start_mark.line + 1
            if key in given:
                message = f"is given twice, first in line {given[key]}"
                self._refuse(key_node, (*path, key), message, "keep one of them")
                continue
            if key == "<<" and key_node.tag == _PLAIN:
                self._refuse_late_merge(key_node, self._merge(value_node, found, document, path), given, path)
            else:
                document.lines[(*path, key)] = line
                found[key] = self.read(value_node, document, (*path, key))
            given[key] = line
        return found

    def _merge(self, node: yaml.Node, found: dict[str, Any], document: Document, path: Path) -> set[str]:
        """Put the fields of other maps into ``found``; returns their names."""
        names: set[str] = set()
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in reversed(sources):  # the first one wins, so it comes last
            merged = self.read(source, document, path)
            if isinstance(merged, dict):
                found.update(merged)
                names |= merged.keys()
            else:
                self._refuse(source, (*path, "<<"), "merges something that is not a map", "an alias of a map")
        return names

    def _refuse_late_merge(self, node: yaml.Node, names: set[str], given: dict[str, int], path: Path) -> None:
        """kubectl lets a later merge win over the field, YAML lets the field win."""
        for key in sorted(names & given.keys()):
            message = f"is given in line {given[key]} and merged in afterwards: readers differ on which wins"
            self._refuse(node, (*path, key), message, "write `<<` before the fields that replace its own")

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, path, "has a key that is not a string", "keys are strings")
            return None
        key = self._scalar(node, path)
        if isinstance(key, str):
            return key
        text = f"the key {node.value!r} is read as {'nothing' if key is None else type(key).__name__}"
        self._refuse(node, path, text, f'put it in quotes: "{node.value}"')
        return None

    def _check_tag(self, node: yaml.Node, path: Path, tag: str) -> None:
        if node.tag != f"{_TAG}{tag}":
            self._refuse(node, path, f"the tag {node.tag!r} is not known", "remove the tag")

    def _refuse(self, node: yaml.Node, path: Path, message: str, hint: str) -> None:
        if (id(node), message) not in self._refused:
            self._refused.add((id(node), message))
            line = node.start_mark.line + 1
            self.problems.append(Problem(self._file, line, path_text(path), message, hint))
