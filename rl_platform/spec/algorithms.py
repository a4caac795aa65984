"""The algorithms a manifest may name, with every field and default: one member of ``spec.algorithm``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from rl_platform.spec.fields import Fault, ModuleOrEntrypoint, SpecModel, Steps
from rl_platform.spec.free_json import JsonMap

Rate = Annotated[float, Field(gt=0, le=10)]
Share = Annotated[float, Field(ge=0, le=1)]
Coefficient = Annotated[float, Field(ge=0, le=1e6)]
Norm = Annotated[float, Field(gt=0, le=1e9)]
Rows = Annotated[int, Field(ge=1, le=10**8)]


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
        if self.minibatch_size > self.batch_size:
            yield Fault(
                ("minibatchSize",),
                f"{self.minibatch_size} is more than batchSize, which is {self.batch_size}",
                "a minibatch is a part of a batch: lower minibatchSize or raise batchSize",
            )


class Exploration(SpecModel):
    """Epsilon-greedy: the share of random actions falls linearly, then stays."""

    initial: Share = Field(default=1.0, description="Epsilon at the first env step.")
    final: Share = Field(default=0.05, description="Epsilon after `steps` env steps.")
    steps: Steps = Field(default=10_000, description="Env steps from initial to final.")


class DQN(SpecModel):
    """Deep Q-learning (Mnih et al. 2015), double (1509.06461), n-step, from uniform replay."""

    learning_rate: Rate = Field(default=2.5e-4, description="Step size of Adam; may be scheduled.")
    gamma: Share = Field(default=0.99, description="Discount per agent step.")
    batch_size: Rows = Field(default=128, description="Transitions per update.")
    buffer_size: Rows = Field(default=10_000, description="Transitions the replay buffer holds, per policy.")
    learning_starts: int = Field(
        default=1000, ge=0, le=10**9, description="Env steps before the first update."
    )
    train_every: int = Field(default=4, ge=1, le=10**6, description="Env steps per update.")
    fragment_length: int = Field(
        default=4, ge=1, le=100_000, description="Env steps per lane between two rounds of updates."
    )
    target_update_every: int = Field(
        default=500, ge=1, le=10**9, description="Updates between target copies."
    )
    n_step: int = Field(default=1, ge=1, le=1000, description="Rewards summed before bootstrapping.")
    double_q: bool = Field(default=True, description="Choose the next action by the trained network.")
    max_grad_norm: Norm = Field(default=10.0, description="Gradients are scaled down to this global norm.")
    exploration: Exploration = Field(default_factory=Exploration, description="How random acting fades out.")

    def faults(self) -> Iterator[Fault]:
        for field, value in (("batchSize", self.batch_size), ("learningStarts", self.learning_starts)):
            if value > self.buffer_size:
                yield Fault(
                    (field,),
                    f"{value} is more than bufferSize, which is {self.buffer_size}",
                    f"the replay buffer would never hold so much: raise bufferSize or lower {field}",
                )


class Custom(SpecModel):
    """An algorithm of your own."""

    entrypoint: ModuleOrEntrypoint = Field(description="`module`, or `module:object` of the algorithm.")
    config: JsonMap = Field(default_factory=dict, description="Handed to the algorithm as it is.")


AlgorithmConfig = PPO | DQN | Custom


class AlgorithmSpec(SpecModel):
    """Exactly one member is set; an empty one means all its defaults."""

    ppo: PPO | None = Field(default=None, description="Proximal policy optimisation.")
    dqn: DQN | None = Field(default=None, description="Deep Q-learning.")
    custom: Custom | None = Field(default=None, description="An algorithm of your own.")

    def faults(self) -> Iterator[Fault]:
        members = self._members()
        if len(members) != 1:
            found = f"{' and '.join(members)} are set" if members else "no algorithm is set"
            yield Fault((), found, "exactly one member of ppo, dqn, custom is needed, e.g. `ppo: {}`")

    @property
    def selected(self) -> tuple[str, AlgorithmConfig]:
        """Name and fields of the algorithm that was chosen."""
        (member,) = self._members().items()
        return member

    def _members(self) -> dict[str, AlgorithmConfig]:
        members: dict[str, AlgorithmConfig | None] = {"ppo": self.ppo, "dqn": self.dqn, "custom": self.custom}
        return {name: config for name, config in members.items() if config is not None}
