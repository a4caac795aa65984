"""Decentralised distributed PPO (Wijmans et al. 2020, 1911.00357).

Every rollout worker is a learner too: it learns from what it has sampled, where that lies, and the gradients
of all are averaged at each step (equation 2), so that all keep the same parameters; nobody collects the data.
Together they take PPO's steps (`rl_platform.algorithms.ppo`) on the batch of all workers. Advantages are not
standardised by default, as in the paper. Where it differs: all workers sample to the end, as slow as some may
be (the paper cuts off stragglers once 60 % of the workers are done), and minibatches are drawn from the rows
of all workers, so that a worker's share in one varies a little.
"""

from __future__ import annotations

from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.algorithms.ppo import ppo_loss
from rl_platform.execution import operators as op
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.build import actor_critic_policy
from rl_platform.objectives.gae import gae
from rl_platform.objectives.scaling import scale_rewards
from rl_platform.spec import algorithms as spec
from rl_platform.workers.learner import Learning
from rl_platform.workers.optimizer import Optimizer


def plan(run: Run, cfg: spec.DDPPO) -> Plan:
    """All sample with one policy version, and learn from all of it where it was sampled."""
    flow = op.rollouts(run, env_steps=cfg.batch_size).then(
        op.select_experiences(run.trained),
        op.concat_batches(env_steps=cfg.batch_size),
        op.prepare(scale_rewards, gae(cfg.gamma, cfg.gae_lambda)),
        op.train_one_step(run, ppo_loss(cfg), cfg.epochs, cfg.minibatch_size),
        op.update_filters(run),
        op.publish_weights(run),
        op.report(run),
    )
    return flow.as_plan("ddppo")


DDPPO = Algorithm(
    policy=lambda spaces, model, cfg: actor_critic_policy(spaces, model),
    learning=lambda cfg: Learning(Optimizer(epsilon=1e-5, max_grad_norm=cfg.max_grad_norm)),
    plan=plan,
    learns_in_workers=True,
)
