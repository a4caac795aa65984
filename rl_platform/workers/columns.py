"""The arrays of one fragment of one policy while they are filled, and the look-back rows that the next one
gets.

Shape legend: K look-back rows, T new rows, L lanes, C stored states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rl_platform.data.spaces import Spaces
from rl_platform.data.trajectory import Final, Trajectory
from rl_platform.data.tree import ACTION, Tree
from rl_platform.models.actors import Actor

LOG_PROBABILITY, VALUE = "log_probability", "value"


@dataclass(slots=True)
class Columns:
    """See `Trajectory` for the meaning of each array; ``obs`` and ``extra`` have one row more than the
    others.
    """

    obs: Tree
    action: np.ndarray
    reward: np.ndarray
    flags: np.ndarray
    extra: Tree
    tick: np.ndarray
    episode: np.ndarray
    state: Tree

    @staticmethod
    def empty(actor: Actor, look_back: int, rows: int, lanes: int, states: int) -> Columns:
        """Zeros for ``look_back + rows`` rows of ``lanes`` lanes and ``states`` stored states."""
        spaces, count = actor.spaces, look_back + rows
        action = spaces.action
        return Columns(
            {
                path: np.zeros((count + 1, lanes, *leaf.shape), leaf.dtype)
                for path, leaf in spaces.obs.items()
            },
            np.zeros((count, lanes, *action.shape), action.dtype),
            np.zeros((count, lanes), np.float32),
            np.zeros((count, lanes), np.uint8),
            {name: np.zeros((count + 1, lanes), np.float32) for name in actor.extras},
            np.zeros((count, lanes), np.int32),
            np.zeros((count, lanes), np.int64),
            {
                path: np.zeros((states, *leaf.shape), leaf.dtype)
                for path, leaf in actor.initial_state(lanes).items()
            }
            if states
            else {},
        )

    def named(self) -> Iterator[tuple[str, np.ndarray]]:
        """Every array with a row for each step, under a name that tells them apart."""
        for path, leaf in self.obs.items():
            yield path, leaf
        yield ACTION, self.action
        yield "reward", self.reward
        yield "flags", self.flags
        yield "tick", self.tick
        yield "episode", self.episode
        for name, leaf in self.extra.items():
            yield f"extra/{name}", leaf

    def rows_at(self, row: np.ndarray, lane: np.ndarray) -> Tree:
        """Copies of all arrays at (row, lane), which may be of any one shape [...]."""
        return {name: leaf[row, lane] for name, leaf in self.named()}

    def put(self, rows: Tree, at: slice | np.ndarray, lane: slice | np.ndarray = slice(None)) -> None:
        """Write what `rows_at` has given."""
        for name, leaf in self.named():
            leaf[at, lane] = rows[name]

    def trajectory(
        self, identity: Identity, back: np.ndarray, length: np.ndarray, final: Final
    ) -> Trajectory:
        """All of it as a trajectory; the arrays belong to that from now on."""
        rows = len(self.reward) - identity.look_back
        return Trajectory(
            self.obs,
            {ACTION: self.action},
            self.reward,
            self.flags,
            self.extra,
            back,
            length,
            final,
            self.state,
            identity.state_every or rows,
            identity.env,
            identity.agent,
            self.tick,
            self.episode,
            identity.policy,
            identity.version,
            identity.source,
            identity.sequence,
            identity.look_back,
            bool((length == rows).all()),
        )


@dataclass(slots=True)
class Identity:
    """Whose rows these are and how they are laid out."""

    policy: str
    env: np.ndarray  # i32 [L]
    agent: np.ndarray  # i32 [L]
    source: int
    look_back: int
    state_every: int | None
    version: int = -1
    sequence: int = 0

    def states(self, rows: int) -> int:
        """How many states are stored over ``rows`` rows."""
        return 1 if self.state_every is None else -(-rows // self.state_every)


def stack_finals(spaces: Spaces, ends: list[End]) -> Tree:
    """The last observations [F, ...] of ends, without lanes."""
    if not ends:
        return {path: np.zeros((0, *leaf.shape), leaf.dtype) for path, leaf in spaces.obs.items()}
    return {path: np.array([end.obs[path] for end in ends], leaf.dtype) for path, leaf in spaces.obs.items()}


@dataclass(slots=True)
class End:
    """The last observation of one life, with the policy's state when it was seen."""

    row: int
    lane: int
    obs: Tree  # [...]
    state: Tree  # [...]
