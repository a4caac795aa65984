"""What is there when a phase begins is looked through for garbage no more."""

from __future__ import annotations

import gc

from rl_platform.driver.settled import settled


def test_a_phase_is_shown_and_what_was_there_is_left_out_of_collections() -> None:
    shown: list[str] = []
    phase, before = settled(shown.append), gc.get_freeze_count()
    made = [[i] for i in range(1000)]
    phase("training")
    assert shown == ["training"]
    assert gc.get_freeze_count() >= before + len(made)
