"""Algorithms that learn a policy and its value from what the policy itself did: fields and defaults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from rl_platform.spec.algorithm_fields import Coefficient, Count, Norm, Rate, Rows, Share, Ticks
from rl_platform.spec.fields import Fault, SpecModel


class PPO(SpecModel):
    """Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) with GAE (1506.02438)."""

    learning_rate: Rate = Field(default=3e-4, description="Step size of Adam; may be scheduled.")
    gamma: Share = Field(default=0.99, description="Discount per agent step.")
    gae_lambda: Share = Field(default=0.95, description="0: one-step advantages, 1: Monte Carlo.")
    clip_range: Rate = Field(
        default=0.2, description="How far the probability ratio may move; may be scheduled."
    )
    epochs: int = Field(default=4, ge=1, le=10_000, description="Passes over each batch.")
    minibatch_size: Rows = Field(default=256, description="Rows per update.")
    batch_size: Rows = Field(default=1024, description="Env steps per iteration, over all lanes.")
    entropy_coefficient: Coefficient = Field(
        default=0.0, description="Weight of the entropy bonus; may be scheduled."
    )
    value_coefficient: Coefficient = Field(default=0.5, description="Weight of the value loss.")
    value_clip_range: Norm | None = Field(
        default=None, description="Clip value updates to this; absent: no clipping."
    )
    max_grad_norm: Norm = Field(default=0.5, description="Gradients are scaled down to this global norm.")
    normalize_advantage: bool = Field(default=True, description="Standardise advantages per minibatch.")
    target_kl: Norm | None = Field(
        default=None, description="End an iteration's epochs beyond 1.5 times this."
    )

    def faults(self) -> Iterator[Fault]:
        yield from _minibatch_faults(self)


class A2C(SpecModel):
    """Advantage actor-critic (Mnih et al. 2016, arXiv 1602.01783), all workers in step."""

    learning_rate: Rate = Field(default=1e-3, description="Step size of Adam; may be scheduled.")
    gamma: Share = Field(default=0.99, description="Discount per agent step.")
    gae_lambda: Share = Field(default=1.0, description="1: n-step returns over the fragment, as published.")
    fragment_length: Ticks = Field(default=16, description="Env steps per lane and update: the n of n-step.")
    entropy_coefficient: Coefficient = Field(
        default=0.01, description="Weight of the entropy bonus; may be scheduled."
    )
    value_coefficient: Coefficient = Field(default=0.5, description="Weight of the value loss.")
    max_grad_norm: Norm = Field(default=0.5, description="Gradients are scaled down to this global norm.")


class A3C(SpecModel):
    """Asynchronous advantage actor-critic (Mnih et al. 2016, arXiv 1602.01783): workers send gradients."""

    learning_rate: Rate = Field(default=1e-3, description="Step size of Adam; may be scheduled.")
    gamma: Share = Field(default=0.99, description="Discount per agent step.")
    gae_lambda: Share = Field(default=1.0, description="1: n-step returns over the fragment, as published.")
    fragment_length: Ticks = Field(
        default=16, description="Env steps per lane and gradient: the n of n-step."
    )
    publish_every: Count = Field(default=1, description="Updates between two publications of the weights.")
    entropy_coefficient: Coefficient = Field(
        default=0.01, description="Weight of the entropy bonus; may be scheduled."
    )
    value_coefficient: Coefficient = Field(default=0.5, description="Weight of the value loss.")
    max_grad_norm: Norm = Field(default=0.5, description="Gradients are scaled down to this global norm.")


class IMPALA(SpecModel):
    """Importance-weighted actor-learners (Espeholt et al. 2018, arXiv 1802.01561): V-trace."""

    learning_rate: Rate = Field(default=1e-3, description="Step size of Adam; may be scheduled.")
    gamma: Share = Field(default=0.99, description="Discount per agent step.")
    fragment_length: Ticks = Field(default=32, description="Env steps per lane that are sampled at a time.")
    batch_size: Rows = Field(default=512, description="Env steps per update, at least: whole fragments.")
    trace_lambda: Share = Field(default=1.0, description="Below 1, later differences count for less.")
    rho_max: Norm = Field(default=1.0, description="Limit of the ratios that decide what is learned.")
    c_max: Norm = Field(default=1.0, description="Limit of the ratios that decide how fast it is learned.")
    correction: Literal["vtrace", "none"] = Field(
        default="vtrace", description="none: as if the learner had acted itself, to compare with."
    )
    publish_every: Count = Field(default=1, description="Updates between two publications of the weights.")
    entropy_coefficient: Coefficient = Field(
        default=0.01, description="Weight of the entropy bonus; may be scheduled."
    )
    value_coefficient: Coefficient = Field(default=0.5, description="Weight of the value loss.")
    max_grad_norm: Norm = Field(default=0.5, description="Gradients are scaled down to this global norm.")


class APPO(SpecModel):
    """Asynchronous PPO with a target network (Luo et al. 2019, arXiv 1912.00167) on V-trace."""

    learning_rate: Rate = Field(default=1e-3, description="Step size of Adam; may be scheduled.")
    gamma: Share = Field(default=0.99, description="Discount per agent step.")
    fragment_length: Ticks = Field(default=32, description="Env steps per lane that are sampled at a time.")
    batch_size: Rows = Field(default=512, description="Env steps per batch, at least: whole fragments.")
    minibatch_size: Rows = Field(default=256, description="Rows per update.")
    epochs: int = Field(default=2, ge=1, le=10_000, description="Passes over each batch.")
    clip_range: Rate = Field(
        default=0.3, description="How far the ratio to the target policy may move; may be scheduled."
    )
    trace_lambda: Share = Field(default=1.0, description="Below 1, later differences count for less.")
    rho_max: Norm = Field(default=1.0, description="Limit of the ratios that decide what is learned.")
    c_max: Norm = Field(default=1.0, description="Limit of the ratios that decide how fast it is learned.")
    target_update_every: Count = Field(default=8, description="Updates between target copies.")
    publish_every: Count = Field(default=1, description="Updates between two publications of the weights.")
    entropy_coefficient: Coefficient = Field(
        default=0.01, description="Weight of the entropy bonus; may be scheduled."
    )
    value_coefficient: Coefficient = Field(default=0.5, description="Weight of the value loss.")
    value_clip_range: Norm | None = Field(
        default=None, description="Clip value updates to this; absent: no clipping."
    )
    max_grad_norm: Norm = Field(default=0.5, description="Gradients are scaled down to this global norm.")
    normalize_advantage: bool = Field(default=True, description="Standardise advantages per minibatch.")

    def faults(self) -> Iterator[Fault]:
        yield from _minibatch_faults(self)


class DDPPO(SpecModel):
    """Decentralised distributed PPO (Wijmans et al. 2020, arXiv 1911.00357): rollout workers learn."""

    learning_rate: Rate = Field(default=3e-4, description="Step size of Adam; may be scheduled.")
    gamma: Share = Field(default=0.99, description="Discount per agent step.")
    gae_lambda: Share = Field(default=0.95, description="0: one-step advantages, 1: Monte Carlo.")
    clip_range: Rate = Field(
        default=0.2, description="How far the probability ratio may move; may be scheduled."
    )
    epochs: int = Field(default=2, ge=1, le=10_000, description="Passes over each batch.")
    minibatch_size: Rows = Field(default=512, description="Rows per update, over all workers.")
    batch_size: Rows = Field(default=1024, description="Env steps per iteration, over all workers.")
    entropy_coefficient: Coefficient = Field(
        default=0.01, description="Weight of the entropy bonus; may be scheduled."
    )
    value_coefficient: Coefficient = Field(default=0.5, description="Weight of the value loss.")
    value_clip_range: Norm | None = Field(
        default=None, description="Clip value updates to this; absent: no clipping."
    )
    max_grad_norm: Norm = Field(default=0.5, description="Gradients are scaled down to this global norm.")
    normalize_advantage: bool = Field(default=False, description="Standardise advantages per minibatch.")

    def faults(self) -> Iterator[Fault]:
        yield from _minibatch_faults(self)


def _minibatch_faults(config: PPO | APPO | DDPPO) -> Iterator[Fault]:
    if config.minibatch_size > config.batch_size:
        yield Fault(
            ("minibatchSize",),
            f"{config.minibatch_size} is more than batchSize, which is {config.batch_size}",
            "a minibatch is a part of a batch: lower minibatchSize or raise batchSize",
        )
