"""The accounting of a run. Counters grow only when something was taken or completed, never when it was
asked for.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from rl_platform.data.tree import Tree


@dataclass(slots=True)
class Counters:
    """Totals over all attempts of a run."""

    env_steps: int = 0
    agent_steps: dict[str, int] = field(default_factory=dict)
    updates: int = 0  # optimizer steps
    iterations: int = 0  # items that reached the end of the plan's output
    version: int = 0  # policy version last published
    episodes: int = 0
    dropped: dict[str, int] = field(default_factory=dict)  # reason → agent steps not learned from
    replaced: int = 0  # rollout workers that were lost
    stored: int = 0  # transitions that came into replay
    overwritten: int = 0  # of them, by newer ones
    abandoned: int = 0  # agent steps of open episodes that a restart ended: learned from, but in no return

    def add_agent_steps(self, steps: dict[str, int]) -> None:
        for policy, count in steps.items():
            self.agent_steps[policy] = self.agent_steps.get(policy, 0) + count

    def drop(self, reason: str, agent_steps: int) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + agent_steps

    def snapshot(self) -> dict[str, Any]:
        return asdict(self)

    def restore(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


@dataclass(slots=True)
class Every:
    """True once per so many updates or env steps; the state is the count at which it is next due."""

    updates: int = 0
    env_steps: int = 0
    due_at: int = -1

    @property
    def depth(self) -> int:
        """It holds no item."""
        return 0

    def due(self, counters: Counters) -> bool:
        period, count = (
            (self.updates, counters.updates) if self.updates else (self.env_steps, counters.env_steps)
        )
        if self.due_at < 0:
            self.due_at = period
        if count < self.due_at:
            return False
        self.due_at += period * ((count - self.due_at) // period + 1)
        return True

    def snapshot(self) -> tuple[dict[str, Any], Tree]:
        return {"due_at": self.due_at}, {}

    def restore(self, state: dict[str, Any], arrays: Tree) -> None:
        del arrays
        self.due_at = state["due_at"]

    def __str__(self) -> str:
        return f"every {self.updates} updates" if self.updates else f"every {self.env_steps} env steps"
