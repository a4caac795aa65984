"""Algorithms that learn the values of actions from replay: fields and defaults."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from rl_platform.spec.algorithm_fields import Norm, Rate, Rows, Share
from rl_platform.spec.fields import Fault, SpecModel, Steps


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
