"""Asynchronous advantage actor-critic (Mnih et al. 2016, 1602.01783, algorithm S3).

Every worker computes the gradient of A2C's loss for its own fragment, with the weights that it acted with,
and sends nothing else; the learner steps along each gradient as it comes, whatever it has learned meanwhile,
with optimizer statistics shared by all. ``publishEvery`` updates pass between two sets of weights that
workers get. Where it differs from Mnih et al.: Adam instead of RMSprop, and means instead of sums.
"""

from __future__ import annotations

from rl_platform.algorithms.a2c import actor_critic_loss
from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.execution import operators as op
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.build import actor_critic_policy
from rl_platform.objectives.gae import gae
from rl_platform.objectives.scaling import scale_rewards
from rl_platform.spec import algorithms as spec
from rl_platform.workers.learner import Learning
from rl_platform.workers.optimizer import Optimizer


def plan(run: Run, cfg: spec.A3C) -> Plan:
    """Step along every worker's gradient as soon as it is there."""
    flow = op.gradients(run, ticks=cfg.fragment_length, order="ready").then(
        op.apply_gradients(run),
        op.update_filters(run),
        op.publish_weights(run, every=op.Every(updates=cfg.publish_every)),
        op.report(run, every=op.Every(env_steps=1024)),
    )
    return flow.as_plan("a3c")


A3C = Algorithm(
    policy=lambda spaces, model, cfg: actor_critic_policy(spaces, model),
    learning=lambda cfg: Learning(Optimizer(epsilon=1e-5, max_grad_norm=cfg.max_grad_norm)),
    plan=plan,
    gradients=lambda cfg: (
        actor_critic_loss(cfg.value_coefficient),
        (scale_rewards, gae(cfg.gamma, cfg.gae_lambda)),
    ),
)
