"""The algorithms a manifest may name: exactly one member of ``spec.algorithm``, each with all its fields."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from rl_platform.spec.fields import Fault, ModuleOrEntrypoint, SpecModel
from rl_platform.spec.free_json import JsonMap
from rl_platform.spec.policy_gradients import A2C, A3C, APPO, DDPPO, IMPALA, PPO
from rl_platform.spec.value_learning import DQN, ApeX, PrioritizedReplay

__all__ = [
    "A2C",
    "A3C",
    "APPO",
    "DDPPO",
    "DQN",
    "IMPALA",
    "PPO",
    "AlgorithmConfig",
    "AlgorithmSpec",
    "ApeX",
    "Custom",
    "PrioritizedReplay",
]


class Custom(SpecModel):
    """An algorithm of your own."""

    entrypoint: ModuleOrEntrypoint = Field(description="`module`, or `module:object` of the algorithm.")
    config: JsonMap = Field(default_factory=dict, description="Handed to the algorithm as it is.")


AlgorithmConfig = PPO | A2C | A3C | IMPALA | APPO | DDPPO | DQN | ApeX | Custom


class AlgorithmSpec(SpecModel):
    """Exactly one member is set; an empty one means all its defaults."""

    ppo: PPO | None = Field(default=None, description="Proximal policy optimisation.")
    a2c: A2C | None = Field(default=None, alias="a2c", description="Advantage actor-critic.")
    a3c: A3C | None = Field(
        default=None, alias="a3c", description="Actor-critic by gradients of the workers."
    )
    impala: IMPALA | None = Field(default=None, description="V-trace from workers that lag behind.")
    appo: APPO | None = Field(default=None, description="PPO from workers that lag behind.")
    ddppo: DDPPO | None = Field(default=None, description="PPO learned in the rollout workers.")
    dqn: DQN | None = Field(default=None, description="Deep Q-learning.")
    apex: ApeX | None = Field(default=None, description="Distributed prioritised replay.")
    custom: Custom | None = Field(default=None, description="An algorithm of your own.")

    def faults(self) -> Iterator[Fault]:
        members = self._members()
        if len(members) != 1:
            found = f"{' and '.join(members)} are set" if members else "no algorithm is set"
            known = ", ".join(str(info.alias) for info in type(self).model_fields.values())
            yield Fault((), found, f"exactly one member of {known} is needed, e.g. `ppo: {{}}`")

    @property
    def selected(self) -> tuple[str, AlgorithmConfig]:
        """Name and fields of the algorithm that was chosen."""
        (member,) = self._members().items()
        return member

    def _members(self) -> dict[str, AlgorithmConfig]:
        members = {str(info.alias): getattr(self, name) for name, info in type(self).model_fields.items()}
        return {name: config for name, config in members.items() if config is not None}
