"""The episodes that finished lately, as progress and stop rules see them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

WINDOW = 100
"""Reported returns are means over so many episodes, as everywhere in the field."""


class FinishedEpisode(Protocol):
    """One episode of one environment; its return is the sum over agents."""

    @property
    def episode_return(self) -> float: ...

    @property
    def length(self) -> int: ...

    @property
    def agent_returns(self) -> Mapping[str, list[float]]: ...


@dataclass(slots=True)
class EpisodeWindow:
    """Returns and lengths of the last episodes, and agents' returns by policy."""

    returns: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    lengths: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))
    agents: dict[str, deque[float]] = field(default_factory=dict)

    def add(self, episodes: Iterable[FinishedEpisode]) -> None:
        finished = list(episodes)
        self.returns.extend(episode.episode_return for episode in finished[-WINDOW:])
        self.lengths.extend(episode.length for episode in finished[-WINDOW:])
        for episode in finished:
            for policy, returns in episode.agent_returns.items():
                self.agents.setdefault(policy, deque(maxlen=WINDOW)).extend(returns)

    def metrics(self) -> dict[str, float]:
        """Means under their metric names; empty before the first episode has finished."""
        if not self.returns:
            return {}
        means = {
            "rollout/episode_return_mean": sum(self.returns) / len(self.returns),
            "rollout/episode_length_mean": sum(self.lengths) / len(self.lengths),
        }
        if len(self.agents) > 1:
            for policy, returns in self.agents.items():
                means[f"rollout/{policy}/agent_return_mean"] = sum(returns) / len(returns)
        return means

    def snapshot(self) -> dict[str, Any]:
        agents = {policy: list(returns) for policy, returns in self.agents.items()}
        return {"returns": list(self.returns), "lengths": list(self.lengths), "agents": agents}

    def restore(self, state: dict[str, Any]) -> None:
        self.returns = deque(state["returns"], maxlen=WINDOW)
        self.lengths = deque(state["lengths"], maxlen=WINDOW)
        self.agents = {policy: deque(returns, maxlen=WINDOW) for policy, returns in state["agents"].items()}
