"""A trajectory: what one rollout worker saw with one policy during one fragment.

Shape legend: K look-back rows, T new rows, L lanes, F episode ends, C recurrent states.
A lane is one agent slot of one policy with its own cursor, so agents that die, skip turns or arrive late need
a length per lane and never a mask per step. Lanes are aligned at row K: lane l's look-back is rows
K-back[l] .. K-1, its new rows are K .. K+length[l]-1, and ``obs`` row K+length[l] is the observation after
its last step.

Where an episode or a fragment ends, exactly one rule each:
TERMINATED  the next value is 0.
TRUNCATED   the next value is that of ``final.obs``.
fragment    the next value is that of the obs row K+length.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rl_platform.data.tree import Tree

FIRST, TERMINATED, TRUNCATED = np.uint8(1), np.uint8(2), np.uint8(4)
ENDED = np.uint8(6)
EPISODE = np.int64(1 << 32)
"""``episode`` is the number of the environment's episode times this, plus the tick of a life's first row."""


@dataclass(frozen=True, slots=True)
class Final:
    """The last observation of every episode that ended, sparse."""

    row: np.ndarray  # i32 [F], row of the step that ended the episode (K <= row < K+length)
    lane: np.ndarray  # i32 [F]
    obs: Tree  # [F, ...]
    extra: Tree  # [F] what the policy says of that observation, e.g. its value
    state: Tree = field(default_factory=dict)  # [F, ...] the policy's state when it was seen


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One worker, one policy, one fragment. Arrays are never written again after they were handed over."""

    obs: Tree  # [K+T+1, L, ...]
    action: Tree  # [K+T, L, ...] as stored, before the transform to the environment
    reward: np.ndarray  # f32 [K+T, L]
    flags: np.ndarray  # u8 [K+T, L] FIRST | TERMINATED | TRUNCATED
    extra: Tree  # [K+T+1, L] log_probability, value, ...; row K+length is about the last observation
    back: np.ndarray  # i32 [L] valid look-back rows
    length: np.ndarray  # i32 [L] valid new rows
    final: Final
    state: Tree  # [C, L, ...] policy state before rows K, K+state_every, K+2*state_every, ...
    state_every: int  # rows between stored states; T where only the first is stored
    env: np.ndarray  # i32 [L] which environment of the worker
    agent: np.ndarray  # i32 [L] which of the environment's possible agents
    tick: np.ndarray  # i32 [K+T, L] step of the environment's episode
    episode: np.ndarray  # i64 [K+T, L] tells apart lives of one lane, see EPISODE
    policy: str
    version: int  # policy version that the last rows were sampled with
    source: int
    sequence: int
    look_back: int = 0
    full: bool = True  # every lane has length T: rows may be reshaped instead of gathered
    info: dict[str, object] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """T, the number of new rows that are allocated."""
        return int(self.reward.shape[0]) - self.look_back

    @property
    def steps(self) -> int:
        """Agent steps in this fragment."""
        return int(self.length.sum())
