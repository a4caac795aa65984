"""A network that died is noticed; one that has nothing left to learn, or is held still, is left alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from rl_platform.data.spaces import Leaf, Spaces
from rl_platform.driver.collapse import Collapse, Part, parts_of
from rl_platform.models.build import actor_critic_policy, q_policy
from rl_platform.models.distributions import distribution_for
from rl_platform.models.net import Param
from rl_platform.models.policy import Policy
from rl_platform.workers.weights import WeightSummary, summary_of
from tests.models import policies as p

PART = Part("the layer that chooses actions of policy 'default'", (0,))
"""Of a vector of three, whose last entry is another layer's."""


def weights(*values: float) -> dict[str, WeightSummary]:
    return {"default": summary_of(np.array(values, np.float32), [slice(0, 2), slice(2, 3)])}


def told(
    collapse: Collapse, returns: Sequence[float], moves: Sequence[bool], rate: float = 1e-3
) -> list[str | None]:
    """What is said to each report; the other layer moves in all of them."""
    sayings, place = [], 0.0
    for step, (mean, moved) in enumerate(zip(returns, moves, strict=True)):
        place += moved
        metrics = {"rollout/episode_return_mean": mean, "schedule/learning_rate": rate}
        sayings.append(collapse.check(metrics, 100, weights(place, 1.0, float(step))))
    return sayings


def learned_then_dead(reports: int, last: float = 9.4) -> tuple[list[float], list[bool]]:
    return [20.0, 50.0, 100.0] + [last] * reports, [True] * 3 + [False] * reports


def watching(reports: int = 5) -> Collapse:
    return Collapse({"default": (PART,)}, reports)


def test_a_layer_that_stopped_after_a_fall_is_told_after_so_many_reports() -> None:
    collapse = watching()
    *before, last = told(collapse, *learned_then_dead(5))
    assert before == [None] * 7
    assert collapse.suspected
    assert last is not None
    for words in (PART.name, "5 reports in a row", "the mean return, once 100, is 9.4"):
        assert words in last


def test_one_bit_that_moves_begins_the_count_anew() -> None:
    returns, moves = learned_then_dead(9)
    moves[7] = True
    collapse = watching()
    assert told(collapse, returns, moves) == [None] * 12
    assert collapse.suspected


@pytest.mark.parametrize("last", [100.0, 65.0])
def test_a_policy_with_nothing_left_to_learn_is_left_alone(last: float) -> None:
    assert set(told(watching(), *learned_then_dead(60, last))) == {None}


def test_rewards_that_are_rare_are_no_collapse() -> None:
    assert set(told(watching(), [0.0] * 60, [True] * 3 + [False] * 57)) == {None}
    assert set(told(watching(), [9.0, 1.0, *[0.0] * 58], [True] * 60)) == {None}


def test_a_layer_that_never_moved_is_frozen_and_not_dead() -> None:
    returns, moves = learned_then_dead(60)
    assert set(told(watching(), returns, [False] * len(moves))) == {None}


def test_a_learning_rate_near_nought_moves_nothing_and_is_no_collapse() -> None:
    assert set(told(watching(), *learned_then_dead(60), rate=1e-8)) == {None}


def test_weights_that_were_not_published_anew_say_nothing() -> None:
    collapse = watching()
    told(collapse, *learned_then_dead(2))
    metrics = {"rollout/episode_return_mean": 9.4, "schedule/learning_rate": 1e-3}
    for _ in range(60):
        assert collapse.check(metrics, 100, weights(3.0, 1.0, 4.0)) is None


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_resumed_run_is_told_at_the_same_report(cut: int) -> None:
    returns, moves = learned_then_dead(5)
    collapse, place, sayings = watching(), 0.0, []
    for step, (mean, moved) in enumerate(zip(returns, moves, strict=True)):
        if step == cut:
            state = json.loads(json.dumps(collapse.snapshot()))
            collapse = watching()
            collapse.restore(state, weights(place, 1.0, step - 1.0))
        place += moved
        metrics = {"rollout/episode_return_mean": mean, "schedule/learning_rate": 1e-3}
        sayings.append(collapse.check(metrics, 100, weights(place, 1.0, float(step))))
    assert sayings == told(watching(), returns, moves)
    assert sayings[-1] is not None


@pytest.mark.parametrize(
    ("build", "observation", "model"),
    [
        (actor_critic_policy, p.BOX, p.Model()),
        (actor_critic_policy, p.BOX, p.Model(share_trunk="shared")),
        (actor_critic_policy, p.SET_AND_BOX, p.Model(recurrent=p.Recurrent("lstm"))),
        (actor_critic_policy, p.IMAGE, p.Model()),
        (q_policy, p.DICT, p.Model()),
    ],
)
def test_every_built_in_network_is_watched_but_for_the_critics_layer(
    build: Callable[..., Policy], observation: dict[str, Leaf], model: p.Model
) -> None:
    policy = build(Spaces(dict(observation), p.DISCRETE), model)
    choice, below = parts_of("default", policy)
    assert "chooses actions" in choice.name
    watched = {*choice.matrices, *below.matrices}
    left = {path for position, path in enumerate(policy.layout.slices) if position not in watched}
    biases = {path for path in left if path.endswith(("/b", "log_std"))}
    assert {path.rpartition("head/")[2] for path in left - biases} <= {"value/w"}
    assert len(choice.matrices) == 1


@dataclass
class NamedNet:
    """A network of one's own, with these paths."""

    params: tuple[Param, ...]
    portable: bool = True
    state: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def forward(self, *arguments: Any) -> Any:
        raise NotImplementedError  # only its parameters are looked at


@pytest.mark.parametrize(
    "paths",
    [
        ("body/w", "policy/w", "value/w"),
        ("body", "policy", "value"),
        ("w", "head/policy/w", "tower/head/value/w"),
    ],
)
def test_the_matrices_of_a_network_of_ones_own_are_known_by_their_heads(paths: tuple[str, ...]) -> None:
    distribution = distribution_for(p.DISCRETE)
    net = NamedNet(tuple(Param(path, (2, 3)) for path in paths))
    choice, below = parts_of("default", Policy(Spaces(dict(p.BOX), p.DISCRETE), net, distribution, "value"))
    assert (choice.matrices, below.matrices) == ((1,), (0,))


def test_a_network_without_hidden_layers_has_only_its_heads_to_watch() -> None:
    (choice,) = parts_of("default", q_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model(hidden=())))
    assert "chooses actions" in choice.name
