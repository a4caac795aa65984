"""The speller of the tests writes what it was given, in many ways."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rl_platform.spec.yaml_reading import read_documents
from tests.spec.jobs import JSON_MAPS, TRICKY
from tests.spec.spelled_yaml import spelled


@given(JSON_MAPS, st.integers())
def test_what_is_spelled_is_read_as_it_was(document: dict[str, Any], seed: int) -> None:
    document |= dict.fromkeys(TRICKY, 1)
    text = spelled({"document": document, "texts": TRICKY}, Random(seed))
    (read,), problems = read_documents(text, "")
    assert problems == []
    assert read.value == {"document": document, "texts": TRICKY}


def test_numbers_are_spelled_in_many_ways() -> None:
    for value, ways in (
        (1_000_000, {"1e6", "1000000.0", "0xf4240", "1_000_000"}),
        (3e-4, {"3.000e-04", "3.0E-04"}),
    ):
        assert ways <= {spelled(value, Random(seed)) for seed in range(200)}
