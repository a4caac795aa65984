"""PPO's loss on fragments in whatever order they come: what asynchronous plans do, with a note of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rl_platform.algorithms.ppo import PPO, ppo_loss
from rl_platform.execution import operators as op
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind
from rl_platform.execution.parts import Op
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.objectives.gae import gae
from rl_platform.spec import algorithms as spec

LEARNED: list[tuple[int, int, int, int]] = []
"""(worker, its how-manyth fragment, env steps, policy versions behind) of all that was learned from."""


def note(item: Item, counters: Counters) -> Sequence[Item]:
    LEARNED.append((item.source, item.sequence, item.env_steps, counters.version - item.version))
    return [item]


def settings(config: Any) -> spec.PPO:
    return spec.PPO.model_validate({name: value for name, value in config.items() if name != "maxLag"})


def plan(run: Run, config: Any) -> Plan:
    cfg = settings(config)
    flow = op.rollouts(run, ticks=16, order="ready", in_flight=2, max_lag=config.get("maxLag")).then(
        Op("note", frozenset({Kind.ROLLOUT}), Kind.ROLLOUT, note),
        op.select_experiences(run.trained),
        op.concat_batches(env_steps=cfg.batch_size),
        op.prepare(gae(cfg.gamma, cfg.gae_lambda)),
        op.train_one_step(run, ppo_loss(cfg), cfg.epochs, cfg.minibatch_size),
        op.publish_weights(run),
        op.report(run),
    )
    return flow.as_plan("asynchronous")


def learning(config: Any) -> Any:
    return PPO.learning(settings(config))


ALGORITHM = replace(PPO, plan=plan, learning=learning)
