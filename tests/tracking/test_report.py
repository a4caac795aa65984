from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_platform.tracking.report import Report

metrics = st.dictionaries(st.text(max_size=20), st.floats(), max_size=6)
counts = st.integers(0, 2**62)


@given(counts, st.dictionaries(st.text(max_size=8), counts, max_size=3), counts, counts, metrics)
def test_a_report_comes_back_from_its_line_as_it_was(
    env_steps: int, agent_steps: dict[str, int], updates: int, iteration: int, values: dict[str, float]
) -> None:
    report = Report(env_steps, agent_steps, updates, iteration, 1.25, values)
    back = Report.from_line(report.to_line())
    assert repr(back) == repr(report)  # repr, because NaN is not equal to itself


@given(metrics)
def test_a_line_is_strict_json_in_one_line_whatever_the_metrics(values: dict[str, float]) -> None:
    def refuse(token: str) -> float:
        raise AssertionError(f"{token} is not JSON")

    line = Report(1, metrics=values).to_line()
    json.loads(line, parse_constant=refuse)
    assert "\n" not in line


def test_numpy_scalars_are_taken_as_the_numbers_they_are() -> None:
    report = Report(
        np.int64(3), {"default": np.int32(3)}, metrics={"a": np.float32(0.5), "b": np.float64("nan")}
    )  # type: ignore[arg-type,dict-item]
    back = Report.from_line(report.to_line())
    assert back.env_steps == 3
    assert back.metrics["a"] == 0.5
    assert math.isnan(back.metrics["b"])


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '{"envSteps":1}', "null", '{"envSteps": "a"}'])
def test_a_line_that_is_no_report_is_refused_with_the_line(line: str) -> None:
    with pytest.raises(ValueError, match="not a report"):
        Report.from_line(line)
