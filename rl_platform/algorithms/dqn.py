"""Deep Q-learning (Mnih et al. 2015, 1312.5602 as preprint) with double Q (van Hasselt et al. 2016,
1509.06461) and n-step returns (Sutton and Barto 2018, section 7.1), from uniform replay; on request from
prioritised replay (Schaul et al. 2016, 1511.05952) and with a dueling network (Wang et al. 2016, 1511.06581).

y = R_n + discount Q_target(s', argmax_a Q(s', a)), the arg-max by the target network without ``doubleQ``;
Huber loss with threshold 1, of which importance weights are factors. Illegal actions (action mask) take part
in no arg-max. ``trainEvery`` counts env steps per update, ``targetUpdateEvery`` counts updates. Where it
differs from Mnih et al.: Adam instead of RMSprop, one learning round per fragment with as many minibatches as
are due, so sampling and learning both run in bulk; priorities are renewed after the round.

Shape legend: B rows of a minibatch, A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from rl_platform.algorithms.algorithm import Algorithm, Exploration
from rl_platform.data.spaces import Spaces
from rl_platform.data.tree import Tree
from rl_platform.execution import operators as op
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.action_values import by_heads
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
from rl_platform.workers.replay_draws import WEIGHT, Draws, Proportional, Uniform

if TYPE_CHECKING:
    import torch


def next_values(heads: Heads) -> dict[str, Array]:
    """``next_q`` [N, A]: the target network's values of s' in all minibatches of a round, illegal at -1e9."""
    return {"next_q": heads.legal_action_values()}


def dqn_loss(double_q: bool) -> Loss:
    """Huber loss of the n-step temporal difference, mean over B."""

    def loss(
        policy: Policy, params: Params, target: Params | None, batch: Batch, knobs: Knobs
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        import torch

        del target
        next_q_BA = batch["next_q"]
        with torch.no_grad():
            if double_q:
                following = policy.heads(params, batch, knobs, "next/")
                best_B = following.legal_action_values().argmax(1, keepdim=True)
                next_B = next_q_BA.gather(1, best_B)[:, 0]
            else:
                next_B = next_q_BA.amax(1)
            target_B = torch.addcmul(batch["reward"], batch["discount"], next_B)
        q_BA = policy.heads(params, batch, knobs).action_values()
        q_B = q_BA.gather(1, batch["action"][:, None])[:, 0]
        stats = {"q_mean": q_B.detach().mean()}
        if WEIGHT not in batch:
            return torch.nn.functional.smooth_l1_loss(q_B, target_B), stats
        error_B = torch.nn.functional.smooth_l1_loss(q_B, target_B, reduction="none")
        return (batch[WEIGHT] * error_B).mean(), {**stats, "td_error": q_B.detach() - target_B}

    return Loss(loss, closed_form(double_q))


def closed_form(double_q: bool) -> ClosedForm:
    """The same loss with its gradient: d huber / d q = clip(q - y, -1, 1) at the action taken."""

    def descent(read: Read, batch: Tree, knobs: Knobs) -> Descent:
        row_B, action_B, next_q_BA = np.arange(len(batch["action"])), batch["action"], batch["next_q"]
        judge_BA = read("next/").legal_action_values() if double_q else next_q_BA
        next_B = next_q_BA[row_B, judge_BA.argmax(1)]
        heads = read("")
        q_BA = heads.action_values()
        q_B = q_BA[row_B, action_B]
        td_error_B = q_B - batch["reward"] - batch["discount"] * next_B
        error, gradient_B = huber(td_error_B, batch.get(WEIGHT))
        gradient_BA = np.zeros_like(q_BA)
        gradient_BA[row_B, action_B] = gradient_B
        stats = {"q_mean": float(q_B.mean())} | ({"td_error": td_error_B} if WEIGHT in batch else {})
        return Descent(error, by_heads(heads.by_name, gradient_BA), stats)

    return descent


def plan(run: Run, cfg: spec.DQN) -> Plan:
    """Store fragments and learn from samples, in a fixed ratio of env steps to updates."""
    steps, priority = cfg.fragment_length * run.workers.num_envs, cfg.prioritized_replay
    due, correction = max(1, steps // cfg.train_every), priority.correction if priority else None
    store = op.rollouts(run, ticks=cfg.fragment_length).then(
        op.select_experiences(run.trained), op.store_to_replay(run, n_step(cfg.n_step, cfg.gamma))
    )
    learn = op.replay(run, batch_size=cfg.batch_size, minibatches=due, correction=correction).then(
        op.train_one_step(run, dqn_loss(cfg.double_q), target_columns=next_values),
        *([op.update_priorities(run)] if priority else []),
        op.update_target_network(run, every=op.Every(updates=cfg.target_update_every)),
        op.publish_weights(run),
        op.report(run, every=op.Every(env_steps=1024)),
    )
    pace = op.EnvStepsPerUpdate(cfg.train_every, sample="store", learn="learn", after=cfg.learning_starts)
    return op.concurrently(store=store, learn=learn, output="learn", pace=pace)


def exploration(cfg: spec.DQN) -> Exploration:
    """Epsilon falls linearly from ``initial`` to ``final`` over the first ``steps`` env steps."""
    explore = cfg.exploration

    def knobs(env_steps: int, environments: int) -> dict[str, float]:
        del environments
        progress = min(1.0, env_steps / explore.steps)
        return {"epsilon": explore.initial + progress * (explore.final - explore.initial)}

    return knobs


def refuse(name: str) -> Callable[[Spaces, ModelSpec], None]:
    """What learns action values from replay cannot do, as ``algorithm.<name>``."""

    def check(spaces: Spaces, model: ModelSpec) -> None:
        if spaces.action.kind != "discrete":
            found = f"needs a Discrete action space, this one is {spaces.action.kind}: use ppo"
            raise ValueError(f"algorithm.{name} {found}")
        if model.recurrent.kind != "none":
            raise ValueError(
                f"algorithm.{name} does not learn recurrent policies yet: set model.recurrent.kind to none"
            )
        if model.observation_filter != "none" or model.return_filter != "none":
            raise ValueError(
                f"algorithm.{name} does not filter observations or returns yet: set "
                "model.observationFilter and model.returnFilter to none"
            )

    return check


def draws(capacity: int, priority: spec.PrioritizedReplay | None) -> Draws:
    return Proportional(capacity, priority.exponent) if priority else Uniform()


DQN = Algorithm(
    policy=lambda spaces, model, cfg: q_policy(spaces, model, cfg.dueling),
    learning=lambda cfg: Learning(Optimizer(max_grad_norm=cfg.max_grad_norm), target=True),
    plan=plan,
    replay_capacity=lambda cfg: cfg.buffer_size,
    replay_draws=lambda cfg, capacity: draws(capacity, cfg.prioritized_replay),
    look_back=lambda cfg: cfg.n_step - 1,
    exploration=exploration,
    refuse=refuse("dqn"),
)
