"""IMPALA: importance-weighted actor-learner architecture (Espeholt et al. 2018, 1802.01561).

Actors follow policies that are some updates old; V-trace corrects what they did for what the learner would do
now (`rl_platform.objectives.vtrace`, equation by equation). The policy ascends on rho log pi(a|s) (r + gamma
v' - V(s)), the critic regresses on v, and a bonus on entropy keeps it from deciding too early (section 4.2).
``publishEvery`` updates pass between two sets of weights that actors get. Where it differs from the paper:
Adam instead of RMSprop, and means over the batch instead of sums.

Shape legend: N valid rows of a batch.
"""

from __future__ import annotations

from rl_platform.algorithms.a2c import actor_critic_loss
from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.execution import operators as op
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.build import actor_critic_policy
from rl_platform.objectives.scaling import scale_rewards
from rl_platform.objectives.vtrace import vtrace
from rl_platform.spec import algorithms as spec
from rl_platform.workers.learner import Learning
from rl_platform.workers.optimizer import Optimizer


def plan(run: Run, cfg: spec.IMPALA) -> Plan:
    """Learn once from each batch of fragments, whichever policies they are from."""
    corrected = cfg.correction == "vtrace"
    targets = vtrace(cfg.gamma, cfg.trace_lambda, cfg.rho_max, cfg.c_max, corrected)
    flow = op.rollouts(run, ticks=cfg.fragment_length, order="ready", in_flight=2).then(
        op.select_experiences(run.trained),
        op.concat_batches(env_steps=cfg.batch_size),
        op.prepare(scale_rewards, targets),
        op.train_one_step(run, actor_critic_loss(cfg.value_coefficient), assessor="learner"),
        op.update_filters(run),
        op.publish_weights(run, every=op.Every(updates=cfg.publish_every)),
        op.report(run, every=op.Every(env_steps=1024)),
    )
    return flow.as_plan("impala")


IMPALA = Algorithm(
    policy=lambda spaces, model, cfg: actor_critic_policy(spaces, model),
    learning=lambda cfg: Learning(Optimizer(epsilon=1e-5, max_grad_norm=cfg.max_grad_norm)),
    plan=plan,
)
