"""Statuses of other versions and other hands: what can be read counts; none ends a pass or an informer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_operator.job_facts import job_facts
from rl_operator.status_reading import status_from
from rl_operator.times import written
from rl_platform.spec.status import TrainingJobStatus
from tests.rl_operator.observations import NOW, running

Json = dict[str, Any]
SINCE = written(NOW)


def document() -> Json:
    conditions = [
        {"type": it, "status": "True", "reason": "AsExpected", "lastTransitionTime": SINCE}
        for it in ("Training", "Degraded")
    ]
    told: Json = running(attempt=3).model_dump(mode="json", by_alias=True, exclude_none=True)
    return told | {"conditions": conditions}


WHOLE = status_from(document())
ODD: list[tuple[str, Callable[[Json], object], Callable[[TrainingJobStatus], object], object]] = [
    ("a later field", lambda it: it.update(sweep={"of": "a later version"}), lambda it: it, WHOLE),
    ("one further down", lambda it: it["driver"].update(cell=7), lambda it: it, WHOLE),
    ("one in a list", lambda it: it["conditions"][0].update(severity="Low"), lambda it: it, WHOLE),
    (
        "a later condition",
        lambda it: it["conditions"].insert(0, {**it["conditions"][0], "type": "Paused"}),
        lambda it: it,
        WHOLE,
    ),
    ("no time", lambda it: it["driver"].update(notBefore="2026-13-45T99:99:99Z"), lambda it: it, WHOLE),
    ("no number", lambda it: it.update(activeSeconds="long"), lambda it: it, WHOLE),
    (
        "a driver that lacks its state",
        lambda it: it["driver"].pop("state"),
        lambda it: (it.attempt, it.driver),
        (3, None),
    ),
    ("too many faults", lambda it: it.update({f"f{n}": n for n in range(999)}), lambda it: it.attempt, 0),
]


@pytest.mark.parametrize(("change", "of", "left"), [it[1:] for it in ODD], ids=[it[0] for it in ODD])
def test_what_cannot_be_read_is_left_out_and_the_rest_counts(
    change: Callable[[Json], object], of: Callable[[TrainingJobStatus], object], left: object
) -> None:
    told = document()
    change(told)
    before = repr(told)
    assert of(status_from(told)) == left
    assert repr(told) == before


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda it: st.lists(it, max_size=3) | st.dictionaries(st.text(max_size=9), it, max_size=3),
    max_leaves=9,
)
PARTS = st.dictionaries(
    st.sampled_from(["algorithm", "scheduling", "conditions", "progress", "checkpoint", "driver", "attempt"]),
    ANYTHING,
)


@given(PARTS | ANYTHING, PARTS | ANYTHING)
def test_nothing_that_was_stored_under_another_schema_is_too_odd(spec: Any, status: Any) -> None:
    stored = {"metadata": {"creationTimestamp": SINCE}, "spec": spec, "status": status}
    assert job_facts(stored).created == NOW
    assert status_from(status or {}) is not None
