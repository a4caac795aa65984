"""Asynchronous PPO: the clipped surrogate from stale samples, held by a target network (IMPACT, Luo et al.
2019, 1912.00167).

Actors follow policies mu that are some updates old. A target policy, a copy of the learned one that is
renewed every ``targetUpdateEvery`` updates, says V-trace's values and ratios (1802.01561), and the surrogate
is clipped around it and not around mu, which differs from actor to actor: PPO's loss (1707.06347) with the
ratio min(mu / pi_target, 2) pi / mu, the paper's section 3. So one batch can be passed over several times,
and however stale it is, pi stays near the target. Where it differs from the paper: no circular buffer of
batches, and the target also says the values.

Shape legend: T rows, L lanes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.algorithms.ppo import ppo_loss
from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree
from rl_platform.execution import operators as op
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.build import actor_critic_policy
from rl_platform.objectives.scaling import scale_rewards
from rl_platform.objectives.vtrace import LOG_PROBABILITY, vtrace
from rl_platform.spec import algorithms as spec
from rl_platform.workers.learner import Learning
from rl_platform.workers.optimizer import Optimizer

LOG_RATIO_MAX = np.float32(np.log(2.0))
"""Of mu / pi_target: appendix of the paper."""


def around_target(trajectory: Trajectory, columns: Tree, knobs: Mapping[str, np.ndarray]) -> Tree:
    """A recipe step: ``log_probability`` [T, L] that PPO's ratio is taken to; min(mu / pi_target, 2) pi / mu
    is pi / max(pi_target, mu / 2).
    """
    del knobs
    target = trajectory.extra[LOG_PROBABILITY][trajectory.look_back : -1]
    return {"log_probability": np.maximum(target, columns["log_probability"] - LOG_RATIO_MAX)}


def plan(run: Run, cfg: spec.APPO) -> Plan:
    """Pass over each batch of fragments some times, whichever policies they are from."""
    targets = vtrace(cfg.gamma, cfg.trace_lambda, cfg.rho_max, cfg.c_max)
    flow = op.rollouts(run, ticks=cfg.fragment_length, order="ready", in_flight=2).then(
        op.select_experiences(run.trained),
        op.concat_batches(env_steps=cfg.batch_size),
        op.prepare(scale_rewards, targets, around_target),
        op.train_one_step(run, ppo_loss(cfg), cfg.epochs, cfg.minibatch_size, assessor="target"),
        op.update_target_network(run, every=op.Every(updates=cfg.target_update_every)),
        op.update_filters(run),
        op.publish_weights(run, every=op.Every(updates=cfg.publish_every)),
        op.report(run, every=op.Every(env_steps=1024)),
    )
    return flow.as_plan("appo")


APPO = Algorithm(
    policy=lambda spaces, model, cfg: actor_critic_policy(spaces, model),
    learning=lambda cfg: Learning(Optimizer(epsilon=1e-5, max_grad_norm=cfg.max_grad_norm), target=True),
    plan=plan,
)
