"""Ape-X: distributed prioritised experience replay for deep Q-learning (Horgan et al. 2018, 1803.00933).

Many environments explore to many degrees: environment i of N acts at random with probability
epsilon^(1 + 7 i / (N - 1)), from 0.4 down to 0.0007. Transitions come to replay with priorities from the
values that their actor said while acting (section 3, algorithm 1), so what is drawn first is worth it, and
get new ones whenever they are learned from. Loss, n-step returns, double Q and dueling network are those of
`rl_platform.algorithms.dqn`. Where it differs from the paper: Adam instead of RMSprop, a ratio of env steps
to updates instead of a free race, a ring as replay buffer that drops the oldest transition first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_platform.algorithms.algorithm import Algorithm, Exploration
from rl_platform.algorithms.dqn import dqn_loss, draws, next_values, refuse
from rl_platform.execution import operators as op
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.build import q_policy
from rl_platform.objectives.n_step import n_step
from rl_platform.spec import algorithms as spec
from rl_platform.workers.learner import Learning
from rl_platform.workers.optimizer import Optimizer
from rl_platform.workers.rollout_worker import EPSILONS


def plan(run: Run, cfg: spec.ApeX) -> Plan:
    """Store fragments with their actors' priorities, learn from samples, renew what was drawn."""
    due = max(1, cfg.fragment_length * run.workers.num_envs // cfg.train_every)
    store = op.rollouts(run, ticks=cfg.fragment_length, order="ready", in_flight=2).then(
        op.select_experiences(run.trained),
        op.store_to_replay(run, n_step(cfg.n_step, cfg.gamma, prioritized=True)),
    )
    size, correction = cfg.batch_size, cfg.prioritized_replay.correction
    ahead = op.queue(run, depth=2)
    feed = op.replay(run, batch_size=size, minibatches=due, correction=correction, in_flight=2).then(
        op.submit(run, ahead, dqn_loss(cfg.double_q), target_columns=next_values)
    )
    learn = op.updates(run, ahead).then(
        op.update_priorities(run),
        op.update_target_network(run, every=op.Every(updates=cfg.target_update_every)),
        op.publish_weights(run, every=op.Every(updates=cfg.publish_every)),
        op.report(run, every=op.Every(env_steps=1024)),
    )
    pace = op.EnvStepsPerUpdate(cfg.train_every, "store", "learn", cfg.learning_starts, "feed", ahead)
    return op.concurrently(store=store, feed=feed, learn=learn, output="learn", pace=pace)


def exploration(cfg: spec.ApeX) -> Exploration:
    """An epsilon for each environment of the run; a single one explores like the first of many."""
    first, exponent = cfg.exploration.epsilon, cfg.exploration.exponent

    def knobs(env_steps: int, environments: int) -> Mapping[str, Any]:
        del env_steps
        rank = np.arange(environments) / max(1, environments - 1)
        return {"epsilon": first, EPSILONS: (first ** (1 + exponent * rank)).astype(np.float32)}

    return knobs


APEX = Algorithm(
    plan=plan,
    exploration=exploration,
    refuse=refuse("apex"),
    policy=lambda spaces, model, cfg: q_policy(spaces, model, cfg.dueling, scored=True),
    look_back=lambda cfg: cfg.n_step - 1,
    replay_capacity=lambda cfg: cfg.buffer_size,
    replay_draws=lambda cfg, capacity: draws(capacity, cfg.prioritized_replay),
    learning=lambda cfg: Learning(Optimizer(max_grad_norm=cfg.max_grad_norm), target=True),
)
