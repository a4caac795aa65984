"""Advantage actor-critic, the synchronous form of A3C (Mnih et al. 2016, 1602.01783, algorithm S3).

The policy ascends on log pi(a|s) A and the critic regresses on A + V, once for each fragment of n steps of
every lane, and then all act with the new weights. A is the n-step advantage sum_i gamma^i r_i + gamma^n
V(s_n) - V(s), cut where an episode ends; ``gaeLambda`` below 1 weighs n and fewer (1506.02438). Where it
differs from Mnih et al.: Adam instead of RMSprop, and means over the batch instead of sums.

Shape legend: N valid rows of a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.data.tree import Tree
from rl_platform.execution import operators as op
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.build import actor_critic_policy
from rl_platform.models.policy import Knobs, Policy
from rl_platform.models.scored_actions import score
from rl_platform.objectives.clipped_surrogate import value_regression
from rl_platform.objectives.gae import gae
from rl_platform.objectives.policy_gradient import policy_gradient
from rl_platform.objectives.scaling import scale_rewards
from rl_platform.spec import algorithms as spec
from rl_platform.workers.learner import Learning
from rl_platform.workers.objective import Batch, ClosedForm, Descent, Loss, Params, Read
from rl_platform.workers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch


def actor_critic_loss(value_coefficient: float) -> Loss:
    """Policy gradient + value regression - entropy bonus, as means over N."""

    def loss(
        policy: Policy, params: Params, target: Params | None, batch: Batch, knobs: Knobs
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        del target
        heads = policy.heads(params, batch, knobs)
        policy_loss = -(heads.log_probability(batch["action"]) * batch["advantage"]).mean()
        value_loss = 0.5 * (heads["value"][:, 0] - batch["return"]).square().mean()
        total = policy_loss + value_coefficient * value_loss
        stats = {"policy_loss": policy_loss.detach(), "value_loss": value_loss.detach()}
        if knobs["entropy_coefficient"]:
            entropy = heads.entropy().mean()
            total = total - knobs["entropy_coefficient"] * entropy
            stats["entropy"] = entropy.detach()
        return total, stats

    return Loss(loss, closed_form(value_coefficient))


def closed_form(value_coefficient: float) -> ClosedForm:
    """The same loss with its gradient, for networks that are learned from without autograd."""

    def descent(read: Read, batch: Tree, knobs: Knobs) -> Descent:
        heads, entropy_weight = read(""), -float(knobs["entropy_coefficient"])
        scored = score(heads, batch["action"])
        policy_loss, by_log_probability_N = policy_gradient(scored.log_probability, batch["advantage"])
        value_loss, by_value_N = value_regression(heads["value"][:, 0], batch["return"])
        gradients = scored.gradient(by_log_probability_N, entropy_weight / len(by_value_N))
        gradients["value"] = by_value_N[:, None] * value_coefficient
        total = policy_loss + value_coefficient * value_loss
        stats = {"policy_loss": policy_loss, "value_loss": value_loss}
        if entropy_weight:
            stats["entropy"] = float(scored.entropy.mean())
            total += entropy_weight * stats["entropy"]
        return Descent(total, gradients, stats)

    return descent


def plan(run: Run, cfg: spec.A2C) -> Plan:
    """Every lane takes n steps, the learner one, and all go on with the new weights."""
    batch_size = cfg.fragment_length * run.workers.num_envs * run.workers.count
    flow = op.rollouts(run, ticks=cfg.fragment_length).then(
        op.select_experiences(run.trained),
        op.concat_batches(env_steps=batch_size),
        op.prepare(scale_rewards, gae(cfg.gamma, cfg.gae_lambda)),
        op.train_one_step(run, actor_critic_loss(cfg.value_coefficient)),
        op.update_filters(run),
        op.publish_weights(run),
        op.report(run, every=op.Every(env_steps=1024)),
    )
    return flow.as_plan("a2c")


A2C = Algorithm(
    policy=lambda spaces, model, cfg: actor_critic_policy(spaces, model),
    learning=lambda cfg: Learning(Optimizer(epsilon=1e-5, max_grad_norm=cfg.max_grad_norm)),
    plan=plan,
)
