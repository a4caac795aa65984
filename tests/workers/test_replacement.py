"""How soon a lost worker is made again, and when a run gives up."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.workers.remote_worker import Broken
from rl_platform.workers.replacement import (
    GIVE_UP,
    GIVE_UP_SHORT_LIVES,
    LONGEST_WAIT_SECONDS,
    SOUND_SECONDS,
    Record,
    refuse_hopeless,
)
from rl_platform.workers.worker_losses import WorkersLost


def delays(times: int, brings_fragments: bool = False) -> list[float]:
    """Of a worker that is lost a second after each start."""
    record, now, found = Record(), 100.0, []
    for _ in range(times):
        record.made = now
        if brings_fragments:
            record.failures = 0
        now += 1.0
        found.append(record.lost(now))
        assert record.due == now + found[-1]
        now = record.due
    return found


@pytest.mark.parametrize("brings_fragments", [False, True])
def test_who_dies_at_every_start_is_made_less_and_less_often(brings_fragments: bool) -> None:
    assert delays(9, brings_fragments) == [0, 1, 2, 4, 8, 16, 32, LONGEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS]


def test_after_a_sound_life_the_first_loss_costs_no_time() -> None:
    record = Record()
    for _ in range(5):
        record.lost(record.due)
    record.made = record.due
    assert record.lost(record.made + SOUND_SECONDS + 1) == 0


@dataclass
class One:
    record: Record = field(default_factory=Record)


def test_a_run_gives_up_only_where_all_workers_fail() -> None:
    everyone = [One(), One()]
    everyone[0].record.failures = GIVE_UP + 3
    everyone[1].record.failures = GIVE_UP - 1
    refuse_hopeless("killed", None, everyone)
    everyone[1].record.failures = GIVE_UP
    said = (
        "rollout workers ended without a word, 11 times in all, each of the 2 at least .*: os._exit, a crash "
        "in native code, too little memory or a lost node; the last one so: killed"
    )
    with pytest.raises(WorkersLost, match=said):
        refuse_hopeless("killed", None, everyone)
    with pytest.raises(EnvironmentFault, match="no licence") as caught:
        refuse_hopeless("", Broken("no licence", True, "its traceback"), everyone)
    assert "its traceback" in str(caught.value.__cause__)


def test_what_is_no_fault_of_the_environment_is_not_tried_again() -> None:
    with pytest.raises(RuntimeError, match="no attribute"):
        refuse_hopeless("", Broken("no attribute", False, "ours"), [One(), One()])


def test_fragments_between_do_not_keep_a_run_alive_in_which_no_worker_lives() -> None:
    everyone = [One(), One()]
    for lives in range(1, GIVE_UP_SHORT_LIVES + 1):
        for each in everyone:
            each.record.made = each.record.due
            each.record.lost(each.record.made + 1.0)
            each.record.failures = 0  # it has brought a fragment
        if lives < GIVE_UP_SHORT_LIVES:
            refuse_hopeless("killed", None, everyone)
    with pytest.raises(WorkersLost, match=f"or {GIVE_UP_SHORT_LIVES} times within 60 s of its start"):
        refuse_hopeless("killed", None, everyone)
    everyone[0].record = Record()
    refuse_hopeless("killed", None, everyone)


def test_who_has_brought_a_fragment_after_a_sound_life_is_no_reason_to_give_up() -> None:
    everyone = [One(), One()]
    for each in everyone:
        each.record.restarts = GIVE_UP_SHORT_LIVES
    everyone[0].record.brought(everyone[0].record.made + SOUND_SECONDS - 1)
    with pytest.raises(WorkersLost):
        refuse_hopeless("killed", None, everyone)
    everyone[0].record.brought(everyone[0].record.made + SOUND_SECONDS + 1)
    refuse_hopeless("killed", None, everyone)
