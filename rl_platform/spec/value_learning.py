"""Algorithms that learn the values of actions from replay: fields and defaults."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from rl_platform.spec.algorithm_fields import Coefficient, Count, Norm, Rate, Rows, Share, Ticks
from rl_platform.spec.fields import Fault, SpecModel, Steps


class Exploration(SpecModel):
    """Epsilon-greedy: the share of random actions falls linearly, then stays."""

    initial: Share = Field(default=1.0, description="Epsilon at the first env step.")
    final: Share = Field(default=0.05, description="Epsilon after `steps` env steps.")
    steps: Steps = Field(default=10_000, description="Env steps from initial to final.")


class PrioritizedReplay(SpecModel):
    """Proportional prioritisation (Schaul et al. 2016, arXiv 1511.05952); the correction grows linearly."""

    exponent: Share = Field(default=0.6, description="0: uniform; 1: in proportion to the TD error.")
    initial_correction: Share = Field(
        default=0.4, description="Exponent of importance weights at the first env step."
    )
    final_correction: Share = Field(default=1.0, description="The same after `correctionSteps`; 1: unbiased.")
    correction_steps: Steps = Field(default=100_000, description="Env steps from initial to final.")

    def correction(self, env_steps: int) -> float:
        """Exponent of importance weights."""
        progress = min(1.0, env_steps / self.correction_steps)
        return self.initial_correction + progress * (self.final_correction - self.initial_correction)


class DQN(SpecModel):
    """Deep Q-learning (Mnih et al. 2015), double (1509.06461), n-step, dueling and prioritised if wanted."""

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
    dueling: bool = Field(default=False, description="State value and advantages apart (1511.06581).")
    prioritized_replay: PrioritizedReplay | None = Field(
        default=None, description="Draw what was predicted badly more often; absent: uniform replay."
    )
    max_grad_norm: Norm = Field(default=10.0, description="Gradients are scaled down to this global norm.")
    exploration: Exploration = Field(default_factory=Exploration, description="How random acting fades out.")

    def faults(self) -> Iterator[Fault]:
        yield from _buffer_faults(self)


class EpsilonLadder(SpecModel):
    """Environment i of N acts with epsilon^(1 + exponent i / (N - 1)), as published."""

    epsilon: Share = Field(default=0.4, description="Share of random actions of the first environment.")
    exponent: Coefficient = Field(default=7.0, description="How much less the last environment explores.")


class ApeX(SpecModel):
    """Distributed prioritised replay (Horgan et al. 2018, arXiv 1803.00933) for deep Q-learning."""

    learning_rate: Rate = Field(default=2.5e-4, description="Step size of Adam; may be scheduled.")
    gamma: Share = Field(default=0.99, description="Discount per agent step.")
    batch_size: Rows = Field(default=128, description="Transitions per update.")
    buffer_size: Rows = Field(default=100_000, description="Transitions the replay buffer holds, per policy.")
    learning_starts: int = Field(
        default=1000, ge=0, le=10**9, description="Env steps before the first update."
    )
    train_every: int = Field(default=4, ge=1, le=10**6, description="Env steps per update.")
    fragment_length: Ticks = Field(default=8, description="Env steps per lane that are sampled at a time.")
    target_update_every: Count = Field(default=500, description="Updates between target copies.")
    publish_every: Count = Field(default=16, description="Updates between two publications of the weights.")
    n_step: int = Field(default=3, ge=1, le=1000, description="Rewards summed before bootstrapping.")
    double_q: bool = Field(default=True, description="Choose the next action by the trained network.")
    dueling: bool = Field(default=True, description="State value and advantages apart (1511.06581).")
    prioritized_replay: PrioritizedReplay = Field(
        default_factory=PrioritizedReplay, description="How priorities decide what is drawn."
    )
    max_grad_norm: Norm = Field(default=40.0, description="Gradients are scaled down to this global norm.")
    exploration: EpsilonLadder = Field(
        default_factory=EpsilonLadder, description="How much each environment explores."
    )

    def faults(self) -> Iterator[Fault]:
        yield from _buffer_faults(self)


def _buffer_faults(config: DQN | ApeX) -> Iterator[Fault]:
    for field, value in (("batchSize", config.batch_size), ("learningStarts", config.learning_starts)):
        if value > config.buffer_size:
            yield Fault(
                (field,),
                f"{value} is more than bufferSize, which is {config.buffer_size}",
                f"the replay buffer would never hold so much: raise bufferSize or lower {field}",
            )
