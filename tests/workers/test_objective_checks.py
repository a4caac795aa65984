"""A statistic of every row is for replayed samples, where somebody reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from rl_platform.algorithms.dqn import dqn_loss
from rl_platform.data.spaces import Spaces
from rl_platform.models.build import initial_knobs, q_policy
from rl_platform.workers.learner import Learner
from rl_platform.workers.objective_checks import BadObjective, refuse_bad_answer
from rl_platform.workers.optimizer import Optimizer
from rl_platform.workers.policy_learner import Learning
from tests.models import policies as p

POLICY = q_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model())
UPDATES, ROWS = 2, 6


def saying(value: Callable[[Any], Any]) -> Callable[..., Any]:
    def loss(policy: Any, params: Any, target: Any, batch: Any, knobs: Any) -> Any:
        values = policy.heads(params, batch, knobs).action_values()
        return values.square().mean(), {"extra": value(values.detach())}

    return loss


def learned(loss: Any) -> Any:
    learner = Learner({"default": POLICY}, ["default"], Learning(Optimizer()), 0)
    rng = np.random.default_rng(0)
    samples = {
        "obs": rng.standard_normal((UPDATES, ROWS, *POLICY.spaces.obs["obs"].shape)).astype(np.float32),
        "action": np.zeros((UPDATES, ROWS), np.int64),
    }
    knobs = {**initial_knobs(POLICY), "learning_rate": np.array(1e-3, np.float32)}
    return learner.update_on_samples("default", samples, loss, knobs)


def test_of_samples_a_statistic_may_be_of_every_row() -> None:
    assert learned(saying(lambda values: values.max(-1).values)).rows["extra"].shape == (UPDATES, ROWS)


@pytest.mark.parametrize("value", [lambda values: values, lambda values: values.mean(0)])
def test_of_samples_a_statistic_of_another_shape_is_named(value: Callable[[Any], Any]) -> None:
    problem = rf"loss returned its statistic 'extra' of shape .*; expected a number, or \[{ROWS}\], one of"
    with pytest.raises(BadObjective, match=problem):
        learned(saying(value))


def test_what_the_librarys_losses_say_of_every_row_may_be_left_unread() -> None:
    loss = torch.zeros((), requires_grad=True)
    refuse_bad_answer(dqn_loss(double_q=True), (loss, {"td_error": torch.zeros(ROWS)}))
