from __future__ import annotations

import math
import posixpath
import re

from hypothesis import given
from hypothesis import strategies as st

from rl_platform.tracking.mlflow_names import flat_params, in_chunks, legal_key, legal_metrics

texts = st.text(st.sampled_from("aB0_-. :/()@é\n"), max_size=300)


@given(texts)
def test_every_name_becomes_one_that_mlflow_takes(text: str) -> None:
    key = legal_key(text)
    assert re.fullmatch(r"[A-Za-z0-9_\-. :/]{1,250}", key)
    assert posixpath.normpath(key) == key
    assert key != "."
    assert not key.startswith(("..", "/"))


@given(st.text(st.sampled_from("abc_/"), min_size=1, max_size=20))
def test_legal_names_stay_as_they_are(text: str) -> None:
    if posixpath.normpath(text) == text and not text.startswith("/"):
        assert legal_key(text) == text


def test_mlflow_itself_takes_the_names() -> None:
    from mlflow.utils.validation import _validate_metric_name

    for name in ("time(s)", "a@1", "../up", "/root", "a//b", "train/default/policy_loss", "é", "", "."):
        _validate_metric_name(legal_key(name))


def test_infinities_become_nan_and_numbers_stay() -> None:
    values = legal_metrics({"a": 1.5, "b": math.inf, "c": -math.inf, "d": math.nan})
    assert values["a"] == 1.5
    assert all(math.isnan(values[key]) for key in "bcd")


def test_a_spec_is_flattened_to_params() -> None:
    document = {"seed": 3, "a": {"b": 0.1, "c": {"d": True}, "e": {}}, "list": [1, "x", False], "none": None}
    assert flat_params(document) == {"seed": "3", "a.b": "0.1", "a.c.d": "true", "list": "[1, x, false]"}


def test_params_whose_names_differ_only_in_illegal_characters_are_told_apart() -> None:
    assert flat_params({"k(": 1, "k)": 2, "k@": 3}) == {"k_": "1", "k__2": "2", "k__3": "3"}


def test_values_are_cut_to_what_mlflow_takes() -> None:
    assert len(flat_params({"long": "x" * 10_000})["long"]) == 6000


@given(st.lists(st.integers(), max_size=50), st.integers(1, 7))
def test_chunks_are_bounded_and_lose_nothing(items: list[int], size: int) -> None:
    chunks = list(in_chunks(items, size))
    assert [item for chunk in chunks for item in chunk] == items
    assert all(0 < len(chunk) <= size for chunk in chunks)
