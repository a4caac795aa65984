"""YAML means here what it means to kubectl; what would be misread is refused with its line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.spec.yaml_reading import NODES, read_documents, read_scalar

# Written down from `kubectl label --local -o json`, which sends exactly this to the API server.
# fmt: off
KUBECTL: dict[str, Any] = {
    "3e-4": 0.0003, "1e6": 1000000, "1E3": 1000, "1e06": 1000000, "-1e-6": -1e-06, "0e0": 0, "1e-": "1e-",
    ".5": 0.5, "5.": 5, "+.5e3": 500, "-.5": -0.5, ".5e-3": 0.0005, "-.5e-3": -0.0005, ".0": 0, "1.0": 1,
    "0.5.": "0.5.", ".": ".", "..": "..", "-.e5": "-.e5", "e5": "e5", "5e": "5e", "1e": "1e", "+": "+",
    "010": 8, "0o10": 8, "0O7": 7, "-010": -8, "-0o7": -7, "08": 8, "09": 9, "08.5": 8.5, "0o8": "0o8",
    "0x1F": 31, "0X1f": 31, "0x": "0x", "0xG": "0xG", "0b11": 3, "0B1": 1, "-0b11": -3, "0b2": "0b2",
    "1_000": 1000, "1__0": 10, "1_": 1, "_1": "_1", "0_7": 7, "0_8": 8, "0x_1": 1, "0x1F_F": 511,
    "1_0.5": 10.5, "5_._5": 5.5, "1_e3": 1000, "1e1_0": 10000000000, ".5_0": 0.5, ".5_": ".5_", "._": "._",
    "+5": 5, "-5": -5, "-0": 0, "-0.0": 0, "1:30": "1:30", "2001-01-01": "2001-01-01", "=": "=",
    "-+5": "-+5", "yes": True, "On": True, "YES": True, "y": True, "Y": True, "TRUE": True, "True": True,
    "tRUE": "tRUE", "no": False, "off": False, "n": False, "N": False, "yEs": "yEs", "oN": "oN", "~": None,
    "Null": None, "9223372036854775807": 9223372036854775807, "9223372036854775808": 9.223372036854776e+18,
    "-9223372036854775809": -9.223372036854776e+18, "12345678901234567890123": 1.2345678901234568e+22,
    "6.3341873355064112e16": 63341873355064110, "-9223372036854775000.0": -9223372036854775000,
    "0.1e-400": 0, "1e400": "1e400", ".5e400": ".5e400", "1e+400": "1e+400", "1.5e300": 1.5e+300,
    "!!float 3": 3, '!!int "7"': 7, "!!str": "", "!!str yes": "yes", "!!bool on": True, "!!null ''": None,
    "'3'": '3', '"3e-4"': '3e-4', "''": '', "'yes'": 'yes', "inf": "inf", "NaN": "NaN", "1,000": "1,000",
}
# fmt: on


@pytest.mark.parametrize("written", KUBECTL)
def test_a_scalar_is_what_kubectl_sends_to_the_server(written: str) -> None:
    documents, problems = read_documents(f"value: {written}\n", "a.yaml")
    assert problems == []
    value, expected = documents[0].value["value"], KUBECTL[written]
    assert value == expected
    assert json.dumps(value) == json.dumps(expected) or isinstance(expected, float)
    assert isinstance(value, bool) == isinstance(expected, bool)


@given(st.text(st.sampled_from("0123456789.+-_eExXoObBaAfFyYnNtruE~"), min_size=1, max_size=12))
def test_any_scalar_is_read_without_a_crash_and_text_stays_as_written(text: str) -> None:
    value = read_scalar(text)
    assert value is None or isinstance(value, bool | int | float) or value == text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda it: not 2**53 <= abs(it) < 2**63)
    | st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF, exclude_characters="\x7f"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcé ", max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abcé ", max_size=5), JSON, max_size=4))
def test_json_is_read_as_json(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    documents, problems = read_documents(text, "a.json")
    assert problems == []
    assert documents[0].value == json.loads(text)


def test_every_field_and_item_knows_its_line() -> None:
    text = "# a comment\na:\n  b: 1\n  c:\n    - 5\n    - d: {e: 2,\n          f: 3}\n"
    documents, _ = read_documents(text, "a.yaml")
    assert documents[0].line == 2
    lines = documents[0].lines
    assert [lines[it] for it in [("a",), ("a", "b"), ("a", "c"), ("a", "c", 0), ("a", "c", 1)]] == [
        2,
        3,
        4,
        5,
        6,
    ]
    assert (lines["a", "c", 1, "d", "e"], lines["a", "c", 1, "d", "f"]) == (6, 7)


def test_empty_documents_are_passed_over_and_lines_count_on() -> None:
    documents, problems = read_documents("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n", "a.yaml")
    assert problems == []
    assert [(it.value, it.lines) for it in documents] == [({"a": 1}, {("a",): 3}), ({"b": 2}, {("b",): 7})]


def test_anchors_aliases_and_merges_are_read_as_kubectl_reads_them() -> None:
    text = (
        "base: &base {a: 1, b: [1]}\nother: &other {a: 2, c: 3}\n"
        "one: {<<: *base, b: 5}\nmany: {<<: [*base, *other], d: 4}\nagain: *base\n'<<': text\n"
    )
    documents, problems = read_documents(text, "a.yaml")
    assert problems == []
    value = documents[0].value
    assert value["one"] == {"a": 1, "b": 5}
    assert value["many"] == {"a": 1, "b": [1], "c": 3, "d": 4}
    assert value["again"] == value["base"]
    assert value["again"] is not value["base"], "an override of one must not change the other"
    assert value["<<"] == "text"


REFUSED = [
    ("a: 1\nb: 2\na: 3\n", 3, "a", "is given twice, first in line 1"),
    ("s:\n  t: {x: 1, x: 2}\n", 2, "s.t.x", "is given twice, first in line 2"),
    ("a: .nan\n", 1, "a", "not a finite number"),
    ("a: [1, -.inf]\n", 1, "a[1]", "not a finite number"),
    ("a: !!float .inf\n", 1, "a", "not a finite number"),
    (f"a: {'9' * 5000}\n", 1, "a", "not a finite number"),
    (f"a: 0x{'f' * 500}\n", 1, "a", "not a finite number"),
    ("a: !thing 3\n", 1, "a", "tag '!thing' is not known"),
    ("a: !!python/object/apply:os.system [ls]\n", 1, "a", "is not known"),
    ("a: !!set {b, c}\n", 1, "a", "is not known"),
    ("a: !!int 1.5\n", 1, "a", "'1.5' is not of the type !!int"),
    ("a: !!int yes\n", 1, "a", "'yes' is not of the type !!int"),
    ("m:\n  y: 3\n", 2, "m", "the key 'y' is read as bool"),
    ("m:\n  1: 3\n", 2, "m", "the key '1' is read as int"),
    ("m:\n  ~: 3\n", 2, "m", "the key '~' is read as nothing"),
    ("? [a]\n: 3\n", 1, "", "key that is not a string"),
    ("b: &b {x: 1}\na: {x: 2, <<: *b}\n", 2, "a.x", "merged in afterwards"),
    ("a: {<<: 3}\n", 1, "a.<<", "merges something that is not a map"),
    ("a: &a [*a]\n", 1, "a[0]", "contains itself"),
    ('a: "\\ud800"\n', 1, "a", "half a character"),
    ("a: [1, 2\nb: 3\n", 2, "", "is not YAML"),
    ("a: 1\n\tb: 2\n", 2, "", "is not YAML"),
    ("a: *nowhere\n", 1, "", "is not YAML"),
    ("a: 1\nb: \x07\n", 2, "", "is not YAML: the character 0x7 is not allowed"),
]


@pytest.mark.parametrize(("text", "line", "path", "message"), REFUSED)
def test_what_would_be_misread_is_refused_where_it_stands(
    text: str, line: int | None, path: str, message: str
) -> None:
    _, problems = read_documents(text, "a.yaml")
    assert [(it.file, it.line, it.path) for it in problems] == [("a.yaml", line, path)]
    assert message in problems[0].message
    assert problems[0].hint


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
        "m0: &m0 {k: v}\n" + "".join(f"m{n}: &m{n} {{a: *m{n - 1}, b: *m{n - 1}}}\n" for n in range(1, 60)),
        "a: " + "[" * 70 + "]" * 70,
        "a: " + "[" * 20_000,
        "a: " + "{b: " * 3_000,
        "a: [" + "1," * (NODES + 1) + "]",
    ],
    ids=["billion laughs", "doubling maps", "deep", "very deep", "deep maps", "long"],
)
def test_a_bomb_is_refused_in_a_sentence(text: str) -> None:
    _, problems = read_documents(text, "a.yaml")
    assert len(problems) == 1
    assert "too large or nested too deeply" in problems[0].message


def test_problems_of_every_document_are_found_at_once() -> None:
    _, problems = read_documents("a: 1\na: 2\n---\nb: .inf\n---\nc: !x 1\n", "a.yaml")
    assert [it.line for it in problems] == [2, 4, 6]
