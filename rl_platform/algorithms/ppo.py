"""Proximal policy optimisation, clipped (Schulman et al. 2017, 1707.06347, equations 7 and 9).

The policy maximises min(r A, clip(r, 1-c, 1+c) A) with r = pi(a|s) / pi_old(a|s) from the log-probability
stored while acting; the critic regresses on A + V_old (GAE returns, 1506.02438). Details as in "The 37
implementation details of PPO" (ICLR blog track 2022): orthogonal initialisation, Adam epsilon 1e-5,
advantages standardised per minibatch, global gradient clipping, shuffled minibatches. Where it differs:
minibatches are of nearly equal size instead of dropping or keeping a short last one; ``targetKl`` stops the
epochs after the first minibatch beyond 1.5 times it (as Spinning Up).

Shape legend: N rows of a minibatch (only valid ones, also of sequences).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.data.tree import Tree
from rl_platform.execution import operators as op
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.build import actor_critic_policy
from rl_platform.models.policy import Knobs, Policy
from rl_platform.models.scored_actions import score
from rl_platform.objectives.clipped_surrogate import clipped_surrogate, value_regression
from rl_platform.objectives.gae import gae
from rl_platform.objectives.scaling import scale_rewards
from rl_platform.spec import algorithms as spec
from rl_platform.workers.learner import Learning
from rl_platform.workers.objective import Batch, ClosedForm, Descent, Loss, Params, Read
from rl_platform.workers.optimizer import Optimizer

if TYPE_CHECKING:
    import torch


def ppo_loss(cfg: spec.PPO | spec.APPO | spec.DDPPO) -> Loss:
    """Clipped surrogate + value regression - entropy bonus, as means over N."""

    def loss(
        policy: Policy, params: Params, target: Params | None, batch: Batch, knobs: Knobs
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        import torch

        del target
        clip = knobs["clip_range"]
        heads = policy.heads(params, batch, knobs)
        log_ratio_N = heads.log_probability(batch["action"]) - batch["log_probability"]
        ratio_N = log_ratio_N.exp()
        advantage_N = batch["advantage"]
        clipped_N = ratio_N.clamp(1 - clip, 1 + clip)
        policy_loss = -torch.minimum(ratio_N * advantage_N, clipped_N * advantage_N).mean()

        value_N = heads["value"][:, 0]
        error_N = (value_N - batch["return"]).square()
        if cfg.value_clip_range is not None:
            near_N = batch["value"] + (value_N - batch["value"]).clamp(
                -cfg.value_clip_range, cfg.value_clip_range
            )
            error_N = torch.maximum(error_N, (near_N - batch["return"]).square())
        value_loss = 0.5 * error_N.mean()

        total = policy_loss + cfg.value_coefficient * value_loss
        stats = {"policy_loss": policy_loss.detach(), "value_loss": value_loss.detach()}
        if knobs["entropy_coefficient"]:
            entropy = heads.entropy().mean()
            total = total - knobs["entropy_coefficient"] * entropy
            stats["entropy"] = entropy.detach()
        with torch.no_grad():
            stats["approx_kl"] = (ratio_N - 1 - log_ratio_N).mean()  # Schulman's k3 estimator
            stats["clip_fraction"] = ((ratio_N - 1).abs() > clip).float().mean()
        return total, stats

    return Loss(loss, closed_form(cfg), ("advantage",) if cfg.normalize_advantage else ())


def closed_form(cfg: spec.PPO | spec.APPO | spec.DDPPO) -> ClosedForm:
    """The same loss with its gradient, for networks that are learned from without autograd."""

    def descent(read: Read, batch: Tree, knobs: Knobs) -> Descent:
        heads, entropy_weight = read(""), -float(knobs["entropy_coefficient"])
        scored = score(heads, batch["action"])
        advantage_N = batch["advantage"]
        surrogate = clipped_surrogate(
            scored.log_probability, batch["log_probability"], advantage_N, float(knobs["clip_range"])
        )
        value_loss, by_value_N = value_regression(
            heads["value"][:, 0], batch["return"], batch["value"], cfg.value_clip_range
        )
        gradients = scored.gradient(surrogate.gradient, entropy_weight / len(advantage_N))
        gradients["value"] = np.float32(cfg.value_coefficient) * by_value_N[:, None]
        total = surrogate.loss + cfg.value_coefficient * value_loss
        stats = {"policy_loss": surrogate.loss, "value_loss": value_loss}
        stats |= {"approx_kl": surrogate.approx_kl, "clip_fraction": surrogate.clip_fraction}
        if entropy_weight:
            stats["entropy"] = float(scored.entropy.mean())
            total += entropy_weight * stats["entropy"]
        return Descent(total, gradients, stats)

    return descent


def plan(run: Run, cfg: spec.PPO) -> Plan:
    """Sample a batch with one policy version, learn from it, publish; nothing overlaps."""
    flow = op.rollouts(run, env_steps=cfg.batch_size).then(
        op.select_experiences(run.trained),
        op.concat_batches(env_steps=cfg.batch_size),
        op.prepare(scale_rewards, gae(cfg.gamma, cfg.gae_lambda)),
        op.train_one_step(run, ppo_loss(cfg), cfg.epochs, cfg.minibatch_size, cfg.target_kl),
        op.update_filters(run),
        op.publish_weights(run),
        op.report(run),
    )
    return flow.as_plan("ppo")


def learning(cfg: spec.PPO) -> Learning:
    return Learning(Optimizer(epsilon=1e-5, max_grad_norm=cfg.max_grad_norm))


PPO = Algorithm(
    policy=lambda spaces, model, cfg: actor_critic_policy(spaces, model), learning=learning, plan=plan
)
