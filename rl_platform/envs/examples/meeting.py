"""A game of two players with a known optimum: meet at one of two doors, with nobody to say which.

Both stand somewhere in a corridor and step left, stay or step right at the same time. The game is won when
both stand at the same end. A tick costs each player 0.25, and winning pays 1 plus 0.25 for every tick that
the shortest way takes, so the best return is exactly 1 for each player from every start, and a wasted tick
shows as 0.5 in the sum. Where both doors take equally long the players must have agreed on one: each playing
well alone is not enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete
from pettingzoo import ParallelEnv  # type: ignore[import-untyped]

BEST_RETURN = 2.0
"""Sum over both players, from every start."""
TICK_COST = 0.25
PLAYERS = ("left_player", "right_player")


class Meeting(ParallelEnv[str, np.ndarray, int]):  # type: ignore[misc]  # PettingZoo is untyped
    """``cells``: length of the corridor, whose ends are the doors; ``limit``: ticks until truncation.

    Observation: MultiDiscrete [cells, cells], one's own cell and the other's. Actions: 0 left, 1 stay,
    2 right.
    """

    metadata = {"name": "meeting_v0", "render_modes": []}  # noqa: RUF012  # PettingZoo declares it so

    def __init__(self, cells: int = 5, limit: int = 20) -> None:
        if cells < 3:
            raise ValueError(f"cells is {cells}; two doors and a way between them need at least 3")
        self.cells, self.limit = cells, limit
        self._seen_space, self._moves = MultiDiscrete([cells, cells]), Discrete(3)
        self.possible_agents = list(PLAYERS)
        self.agents: list[str] = []
        self.places = np.zeros(2, np.int64)
        self.tick = self.fewest = 0
        self.random = np.random.default_rng()

    def observation_space(self, agent: str) -> MultiDiscrete:
        return self._seen_space

    def action_space(self, agent: str) -> Discrete:
        return self._moves

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """Places are drawn evenly, but never both at the same door already."""
        del options
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.places = self.random.integers(0, self.cells, 2)
        while self._met():
            self.places = self.random.integers(0, self.cells, 2)
        self.agents, self.tick = list(PLAYERS), 0
        self.fewest = fewest_ticks(self.cells, *self.places.tolist())
        return self._seen(), {agent: {} for agent in PLAYERS}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[
        dict[str, np.ndarray], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """One tick of both players."""
        moves = np.array([int(actions[agent]) - 1 for agent in PLAYERS])
        self.places = np.clip(self.places + moves, 0, self.cells - 1)
        self.tick += 1
        met, late = self._met(), self.tick >= self.limit
        reward = -TICK_COST + (1 + TICK_COST * self.fewest if met else 0.0)
        if met or late:
            self.agents = []
        return (
            self._seen(),
            dict.fromkeys(PLAYERS, reward),
            dict.fromkeys(PLAYERS, met),
            dict.fromkeys(PLAYERS, late and not met),
            {agent: {} for agent in PLAYERS},
        )

    def render(self) -> None:
        """There is nothing to see."""

    def _met(self) -> bool:
        return self.places[0] == self.places[1] and self.places[0] in (0, self.cells - 1)

    def _seen(self) -> dict[str, np.ndarray]:
        return {PLAYERS[0]: self.places.copy(), PLAYERS[1]: self.places[::-1].copy()}


def fewest_ticks(cells: int, one: int, other: int) -> int:
    """Ticks of the shortest way to a meeting: to the door that is nearer to the player farther from it."""
    return min(max(one, other), cells - 1 - min(one, other))
