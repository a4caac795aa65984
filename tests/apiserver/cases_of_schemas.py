"""Contract cases: pruning, defaults, validation and transition rules of a custom resource."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.apiserver.calls import Json, Place
from tests.apiserver.cases_of_writes import made
from tests.apiserver.sample_crd import SAMPLES

GOOD: dict[str, Json] = {
    "defaults": {},
    "given": {"count": 5, "mode": "slow", "nested": {"flag": False}},
    "null_of_a_default": {"count": None, "mode": None},
    "null_of_nullable": {"title": None},
    "null_of_no_default": {"parts": None, "free": None, "ratio": None},
    "pruned": {"unknown": 1, "nested": {"unknown": 2}, "parts": [{"name": "a", "unknown": 3}]},
    "kept_where_free": {"free": {"a": [1, {"b": None}], "c": 1.5}},
    "default_in_a_list": {"parts": [{"name": "a"}, {"name": "b", "size": 2}]},
    "default_below_nothing": {},
    "default_below_something": {"absent": {}},
    "words": {"words": {"a": "b"}},
    "number_for_int_or_string": {"size": 3},
    "string_for_int_or_string": {"size": "3Gi"},
    "whole_float_for_integer": {"count": 3.0},
    "integer_for_number": {"ratio": 2},
}
BAD: dict[str, Json] = {
    "string_for_integer": {"count": "3"},
    "float_for_integer": {"count": 1.5},
    "bool_for_integer": {"count": True},
    "integer_for_string": {"mode": 1},
    "list_for_object": {"nested": []},
    "object_for_list": {"parts": {}},
    "too_small": {"count": -1},
    "too_large": {"count": 11},
    "not_above_an_open_bound": {"ratio": 0},
    "not_in_enum": {"mode": "never"},
    "too_short": {"title": "a"},
    "too_long": {"title": "abcdefghi"},
    "no_match": {"title": "ABC"},
    "too_many_items": {"parts": [{"name": each} for each in "abcd"]},
    "same_key_twice": {"parts": [{"name": "a"}, {"name": "a"}]},
    "required_in_a_list": {"parts": [{"name": "a"}, {"size": 1}]},
    "too_many_words": {"words": {"a": "1", "b": "2", "c": "3"}},
    "word_of_another_type": {"words": {"a": 1}},
    "bool_for_int_or_string": {"size": True},
    "two_faults": {"count": 11, "title": "A"},
}


def accepted(at: Place, spec: Json) -> Any:
    return at.create(SAMPLES, {"metadata": {"name": "it"}, "spec": {"fixed": "a", **spec}}).seen


def patched(at: Place, spec: Json) -> Any:
    """The same by merge patch; nulls remove."""
    made(at, SAMPLES)
    return at.merge(SAMPLES, "it", {"spec": spec}).seen


def required_field(at: Place) -> Any:
    return at.create(SAMPLES, {"metadata": {"name": "it"}, "spec": {}}).seen


def no_spec(at: Place) -> Any:
    return at.create(SAMPLES, {"metadata": {"name": "it"}}).seen


def strict_and_unknown(at: Place) -> Any:
    body = {"metadata": {"name": "it"}, "spec": {"fixed": "a", "unknown": 1}}
    return at.create(SAMPLES, body, fieldValidation="Strict").seen, at.get(SAMPLES, "it").code


def strict_and_known(at: Place) -> Any:
    body = {"metadata": {"name": "it"}, "spec": {"fixed": "a", "free": {"unknown": 1}}}
    return at.create(SAMPLES, body, fieldValidation="Strict").seen


def immutable_field(at: Place) -> Any:
    made(at, SAMPLES)
    refused = at.merge(SAMPLES, "it", {"spec": {"fixed": "b"}})
    same = at.merge(SAMPLES, "it", {"spec": {"fixed": "a", "count": 2}})
    return refused.seen, same.seen


def unknown_top_level(at: Place) -> Any:
    return at.create(SAMPLES, {"metadata": {"name": "it"}, "spec": {"fixed": "a"}, "extra": 1}).seen


def unknown_in_status(at: Place) -> Any:
    made(at, SAMPLES)
    return at.merge(SAMPLES, "it", {"status": {"phase": "x", "unknown": 1}}, "status").seen


def pruning_is_no_change(at: Place) -> Any:
    first = made(at, SAMPLES)
    second = at.merge(SAMPLES, "it", {"spec": {"unknown": 1}})
    return first.version == second.version, second.generation


CASES: dict[str, Callable[[Place], Any]] = {
    **{f"schema_takes-{name}": partial(accepted, spec=spec) for name, spec in GOOD.items()},
    **{f"schema_refuses-{name}": partial(accepted, spec=spec) for name, spec in BAD.items()},
    **{f"schema_patched-{name}": partial(patched, spec=spec) for name, spec in [*GOOD.items(), *BAD.items()]},
    **{
        case.__name__: case
        for case in (
            required_field,
            no_spec,
            strict_and_unknown,
            strict_and_known,
            immutable_field,
            unknown_top_level,
            unknown_in_status,
            pruning_is_no_change,
        )
    },
}
