"""Deep Q-learning (Mnih et al. 2015, 1312.5602 as preprint) with double Q (van Hasselt et al. 2016,
1509.06461) and n-step returns (Sutton and Barto 2018, section 7.1), from uniform replay.

y = R_n + discount Q_target(s', argmax_a Q(s', a)), the arg-max by the target network without ``doubleQ``;
Huber loss with threshold 1. Illegal actions (action mask) take part in no arg-max. ``trainEvery`` counts env
steps per update, ``targetUpdateEvery`` counts updates. Where it differs from Mnih et al.: Adam instead of
RMSprop, one learning round per fragment with as many minibatches as are due, so sampling and learning both
run in bulk.

Shape legend: B rows of a minibatch, A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.data.spaces import Spaces
from rl_platform.data.tree import Tree
from rl_platform.execution import operators as op
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.build import q_policy
from rl_platform.models.model_spec import ModelSpec
from rl_platform.models.ops import Array
from rl_platform.models.policy import Heads, Knobs, Policy
from rl_platform.objectives.huber import huber
from rl_platform.objectives.n_step import n_step
from rl_platform.spec import algorithms as spec
from rl_platform.workers.learner import Learning
from rl_platform.workers.objective import Batch, ClosedForm, Descent, Loss, Params, Read
from rl_platform.workers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch


def next_values(heads: Heads) -> dict[str, Array]:
    """``next_q`` [N, A]: the target network's values of s' in all minibatches of a round, illegal at -1e9."""
    return {"next_q": heads.legal("q")}


def dqn_loss(cfg: spec.DQN) -> Loss:
    """Huber loss of the n-step temporal difference, mean over B."""

    def loss(
        policy: Policy, params: Params, target: Params | None, batch: Batch, knobs: Knobs
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        import torch

        del target
        next_q_BA = batch["next_q"]
        with torch.no_grad():
            if cfg.double_q:
                best_B = policy.heads(params, batch, knobs, "next/").legal("q").argmax(1, keepdim=True)
                next_B = next_q_BA.gather(1, best_B)[:, 0]
            else:
                next_B = next_q_BA.amax(1)
            target_B = torch.addcmul(batch["reward"], batch["discount"], next_B)
        q_BA = policy.heads(params, batch, knobs)["q"]
        q_B = q_BA.gather(1, batch["action"][:, None])[:, 0]
        error = torch.nn.functional.smooth_l1_loss(q_B, target_B)
        return error, {"q_mean": q_B.detach().mean()}

    return Loss(loss, closed_form(cfg))


def closed_form(cfg: spec.DQN) -> ClosedForm:
    """The same loss with its gradient: d huber / d q = clip(q - y, -1, 1) at the action taken."""

    def descent(read: Read, batch: Tree, knobs: Knobs) -> Descent:
        row_B, action_B, next_q_BA = np.arange(len(batch["action"])), batch["action"], batch["next_q"]
        next_B = next_q_BA[row_B, read("next/").legal("q").argmax(1)] if cfg.double_q else next_q_BA.max(1)
        q_BA = read("")["q"]
        q_B = q_BA[row_B, action_B]
        error, gradient_B = huber(q_B - batch["reward"] - batch["discount"] * next_B)
        gradient_BA = np.zeros_like(q_BA)
        gradient_BA[row_B, action_B] = gradient_B
        return Descent(error, {"q": gradient_BA}, {"q_mean": float(q_B.mean())})

    return descent


def plan(run: Run, cfg: spec.DQN) -> Plan:
    """Store fragments and learn from samples, in a fixed ratio of env steps to updates."""
    steps = cfg.fragment_length * run.workers.num_envs
    learn_every = max(1, steps // cfg.train_every)
    store = op.rollouts(run, ticks=cfg.fragment_length).then(
        op.select_experiences(run.trained), op.store_to_replay(run, n_step(cfg.n_step, cfg.gamma))
    )
    learn = op.replay(run, batch_size=cfg.batch_size, minibatches=learn_every).then(
        op.train_one_step(run, dqn_loss(cfg), target_columns=next_values),
        op.update_target_network(run, every=op.Every(updates=cfg.target_update_every)),
        op.publish_weights(run),
        op.report(run, every=op.Every(env_steps=1024)),
    )
    pace = op.EnvStepsPerUpdate(cfg.train_every, sample="store", learn="learn", after=cfg.learning_starts)
    return op.concurrently(store=store, learn=learn, output="learn", pace=pace)


def exploration(cfg: spec.DQN) -> Callable[[int], dict[str, float]]:
    """Epsilon falls linearly from ``initial`` to ``final`` over the first ``steps`` env steps."""
    explore = cfg.exploration

    def knobs(env_steps: int) -> dict[str, float]:
        progress = min(1.0, env_steps / explore.steps)
        return {"epsilon": explore.initial + progress * (explore.final - explore.initial)}

    return knobs


def refuse(spaces: Spaces, model: ModelSpec) -> None:
    if spaces.action.kind != "discrete":
        raise ValueError(
            f"algorithm.dqn needs a Discrete action space, this one is {spaces.action.kind}: use ppo"
        )
    if model.recurrent.kind != "none":
        raise ValueError(
            "algorithm.dqn does not learn recurrent policies yet: set model.recurrent.kind to none"
        )
    if model.observation_filter != "none" or model.return_filter != "none":
        raise ValueError(
            "algorithm.dqn does not filter observations or returns yet: set model.observationFilter and "
            "model.returnFilter to none"
        )


DQN = Algorithm(
    policy=lambda spaces, model, cfg: q_policy(spaces, model),
    learning=lambda cfg: Learning(Optimizer(max_grad_norm=cfg.max_grad_norm), target=True),
    plan=plan,
    replay_capacity=lambda cfg: cfg.buffer_size,
    look_back=lambda cfg: cfg.n_step - 1,
    exploration=exploration,
    refuse=refuse,
)
