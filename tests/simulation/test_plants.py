"""The table of planted bugs follows the code: each still has its one place, and its scenarios exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.mutations import mutated
from tests.simulation.plants import PLANTS, Plant
from tests.simulation.scenarios import SCENARIOS

OPERATOR = Path(__file__).parents[2] / "operator" / "rl_operator"


def test_there_are_enough() -> None:
    assert len(PLANTS) >= 40


@pytest.mark.slow
@pytest.mark.parametrize("bug", PLANTS, ids=str)
def test_its_place_is_there(bug: Plant) -> None:
    source = (OPERATOR / f"{bug.module}.py").read_text()
    assert mutated(source, bug.function, bug.operator, bug.was, bug.becomes) != source
    assert set(bug.scenarios) <= set(SCENARIOS)
