"""The lanes of one policy, each with its own cursor: agents come, go, skip turns, die and come back.

A lane's last row stays open while it may still be paid: until the agent sees its next observation, or, once
it is dead, until its environment's episode ends or the lane begins another life. A row that is open when a
fragment ends is held back and becomes row K of the next fragment, so every step is delivered exactly once,
with all of its reward.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rl_platform.data.trajectory import ENDED, EPISODE, FIRST, TRUNCATED, Trajectory
from rl_platform.data.tree import Tree
from rl_platform.envs.adapter import Arrivals, Lanes
from rl_platform.models.actors import Actor
from rl_platform.workers.abandoned import Abandoned, unfinished
from rl_platform.workers.columns import VALUE, Columns, End, Identity
from rl_platform.workers.last_values import final_of

LANE_ARRAYS = ("open", "lived", "life", "back", "paid", "steps")
TREES = ("state", "before", "held", "past")


class LaneBook:
    """Rows and cursors of one policy, between and during fragments.

    Shape legend: K look-back rows, T ticks, L lanes, B lanes that act. T ticks fill T rows, and one more if
    rows are held from the fragment before.
    """

    def __init__(self, actor: Actor, lanes: Lanes, identity: Identity) -> None:
        self.actor, self.identity, self.env, self.count = actor, identity, lanes.env, len(lanes)
        count = self.count
        self.arrivals = Arrivals(
            {path: np.zeros((count, *leaf.shape), leaf.dtype) for path, leaf in lanes.spaces.obs.items()},
            np.zeros(count, np.float32),
            np.zeros(count, np.uint8),
            np.zeros(count, bool),
            np.zeros(count, bool),
        )
        self.actions = np.zeros((count, *actor.spaces.action.shape), actor.spaces.action.dtype)
        self.cursor = np.zeros(count, np.int32)  # rows written in this fragment
        self.open = np.zeros(count, bool)  # the last of them may still be paid
        self.lived = np.zeros(count, bool)  # the present life has acted, and its return is not reported
        self.life = np.zeros(count, np.int64)  # see EPISODE
        self.paid = np.zeros(count, np.float64)  # return of the present life
        self.steps = np.zeros(count, np.int64)  # agent steps in the environment's present episode
        self.back = np.zeros(count, np.int32)
        self.state, self.before = actor.initial_state(count), actor.initial_state(count)
        self.held: Tree = {}  # rows that wait for the next fragment, of the lanes that are open
        self.past: Tree = {}
        self.ends: list[End] = []
        self.columns = Columns.empty(actor, 0, 0, count, 0)

    def forget(self) -> Abandoned:
        """Abandon open episodes."""
        waiting = unfinished(self.past["flags"], self.back) if self.past else 0
        abandoned = Abandoned(int(self.steps.sum()), waiting)
        for name in ("cursor", "open", "lived", "paid", "steps", "back"):
            getattr(self, name)[:] = 0
        self.arrivals.ready[:], self.arrivals.first[:] = False, False
        self.state, self.before = self.actor.initial_state(self.count), self.actor.initial_state(self.count)
        self.held, self.past, self.ends = {}, {}, []
        return abandoned

    def begin(self, ticks: int) -> None:
        """New rows, with the look-back, the held rows and the observations to act on in place."""
        k = self.identity.look_back
        lane = np.flatnonzero(self.open)
        rows = ticks + (1 if len(lane) else 0)
        self.columns = columns = Columns.empty(self.actor, k, rows, self.count, self.identity.states(rows))
        if self.past:
            columns.put(self.past, slice(0, k))
        if len(lane):
            columns.put(self.held, np.full(len(lane), k), lane)
            for path, leaf in columns.state.items():
                leaf[0, lane] = self.before[path][lane]
        self.cursor[:] = self.open
        self._place_observations()

    def act(self, env_episode: np.ndarray, env_tick: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
        """Act in all ready lanes: each of them gets a new open row. Returns actions [L, ...] for the
        environment. Number and tick of each environment's episode: [num_envs].
        """
        lane = np.flatnonzero(self.arrivals.ready)
        if not len(lane):
            return self.actions
        columns = self.columns
        spot = (self.cursor[lane] + self.identity.look_back) * self.count + lane
        first = self.arrivals.first[lane]
        state: Tree = {path: leaf[lane] for path, leaf in self.state.items()}
        if state:
            self._store_state(lane, state)
        obs: Tree = {path: spots(leaf).take(spot, axis=0) for path, leaf in columns.obs.items()}
        decision = self.actor.act(
            obs, state, first if state else None, None if noise is None else noise[lane]
        )
        spots(columns.action)[spot] = decision.action
        for name, leaf in columns.extra.items():
            spots(leaf)[spot] = decision.extra[name]
        for path, leaf in self.state.items():
            self.before[path][lane] = state[path]
            leaf[lane] = decision.state[path]
        env = self.env[lane]
        tick = env_tick[env]
        self.life[lane] = life = np.where(first, env_episode[env] * EPISODE + tick, self.life[lane])
        spots(columns.flags)[spot] = first * FIRST
        spots(columns.tick)[spot] = tick
        spots(columns.episode)[spot] = life
        self.cursor[lane] += 1
        self.steps[lane] += 1
        self.open[lane], self.lived[lane] = True, True
        self.actions[lane] = decision.env_action
        return self.actions

    def expect(self) -> None:
        """Clear what the next tick writes."""
        arrivals = self.arrivals
        arrivals.reward[:], arrivals.ended[:] = 0.0, 0
        arrivals.ready[:], arrivals.first[:] = False, False
        arrivals.final = []

    def receive(self, over: np.ndarray, lives: list[dict[str, list[float]]]) -> None:
        """Book a tick: pay last rows, close what has ended, show what comes next.

        ``over`` [num_envs] says whose episode has ended. The returns of lives that are over are added to
        ``lives`` of their environment. What is paid to a lane that has not acted in this episode belongs to
        no step.
        """
        arrivals = self.arrivals
        lane = np.flatnonzero(self.open & (arrivals.reward != 0))
        self.columns.reward[self._last(lane), lane] += arrivals.reward[lane]
        self.paid[lane] += arrivals.reward[lane]
        over_here = over[self.env]
        if arrivals.ended.any() or over_here.any() or arrivals.first.any():
            self._close(over_here)
        finished = self.lived & (over_here | arrivals.first)
        for each in np.flatnonzero(finished):
            lives[self.env[each]].setdefault(self.identity.policy, []).append(float(self.paid[each]))
        self.paid[finished], self.lived[finished] = 0.0, False
        self.open[over_here | arrivals.first] = False
        self.steps[over_here] = 0
        self._place_observations()

    def finish(self) -> Trajectory:
        """Hand over every row that is complete and hold the others back."""
        arrivals, columns, k = self.arrivals, self.columns, self.identity.look_back
        self.open &= ~arrivals.ready
        lane = np.flatnonzero(self.open)
        length = (self.cursor - self.open).astype(np.int32)
        self.held = columns.rows_at(self._last(lane), lane)
        held = set(lane.tolist())
        waiting = [end for end in self.ends if end.lane in held and end.row >= k + length[end.lane]]
        delivered = [end for end in self.ends if end.row < k + length[end.lane]]
        self.ends = [End(k, end.lane, end.obs, end.state) for end in waiting]
        if VALUE in columns.extra:
            self._value_last()
        final = final_of(self.actor, delivered)
        self.identity.version = self.actor.version
        trajectory = columns.trajectory(self.identity, self.back, length, final)
        if k:
            row = length + np.arange(k)[:, None]
            self.past = columns.rows_at(row, np.arange(self.count))
            self.back = np.minimum(self.back + length, k).astype(np.int32)
        return trajectory

    def _last(self, lane: np.ndarray) -> np.ndarray:
        """The last row of each lane."""
        row: np.ndarray = self.cursor[lane] + (self.identity.look_back - 1)
        return row

    def _place_observations(self) -> None:
        lane = np.flatnonzero(self.arrivals.ready)
        spot = (self.cursor[lane] + self.identity.look_back) * self.count + lane
        for path, leaf in self.columns.obs.items():
            spots(leaf)[spot] = self.arrivals.obs[path].take(lane, axis=0)

    def _store_state(self, lane: np.ndarray, state: Tree) -> None:
        every = self.identity.state_every or len(self.columns.reward)
        due = self.cursor[lane] % every == 0
        for path, leaf in self.columns.state.items():
            leaf[self.cursor[lane[due]] // every, lane[due]] = state[path][due]

    def _close(self, over_here: np.ndarray) -> None:
        """Flag the last rows of lives that have ended, and keep their last observations.

        A life cut off while its agent is away is continued from what the agent saw last.
        """
        arrivals, flags = self.arrivals, self.columns.flags
        lane = np.flatnonzero(self.open & ((arrivals.ended != 0) | over_here | arrivals.first))
        row = self._last(lane)
        alive = (flags[row, lane] & ENDED) == 0
        lane, row = lane[alive], row[alive]
        flags[row, lane] |= np.where(arrivals.ended[lane] != 0, arrivals.ended[lane], TRUNCATED)
        final = dict(arrivals.final)
        for each, at in zip(lane.tolist(), row.tolist(), strict=True):
            if each in final:
                state = {path: leaf[each].copy() for path, leaf in self.state.items()}
                self.ends.append(End(at, each, final[each], state))
            elif flags[at, each] & TRUNCATED:
                began = bool(flags[at, each] & FIRST)
                state = {
                    path: np.zeros_like(leaf[each]) if began else leaf[each].copy()
                    for path, leaf in self.before.items()
                }
                seen = {path: leaf[at, each].copy() for path, leaf in self.columns.obs.items()}
                self.ends.append(End(at, each, seen, state))

    def _value_last(self) -> None:
        """Value the observations that wait for an action; that of a held row was valued when it was acted
        on.
        """
        lane = np.flatnonzero(self.arrivals.ready)
        if not len(lane):
            return
        state: Tree = {path: leaf[lane] for path, leaf in self.state.items()}
        obs: Tree = {path: leaf[lane] for path, leaf in self.arrivals.obs.items()}
        first = self.arrivals.first[lane] if state else None
        row = self.identity.look_back + self.cursor[lane]
        self.columns.extra[VALUE][row, lane] = self.actor.act(obs, state, first, None).extra[VALUE]

    def snapshot(self) -> tuple[dict[str, Any], Tree]:
        """What `restore` needs, without the environments. Only between fragments."""
        arrivals = self.arrivals
        arrays: Tree = {name: getattr(self, name).copy() for name in LANE_ARRAYS}
        arrays |= {"ready": arrivals.ready.copy(), "first": arrivals.first.copy()}
        groups = {name: getattr(self, name) for name in TREES} | {"next": arrivals.obs}
        for i, end in enumerate(self.ends):
            groups |= {f"end{i}/obs": end.obs, f"end{i}/state": end.state}
        arrays |= {
            f"{name}:{path}": leaf.copy() for name, tree in groups.items() for path, leaf in tree.items()
        }
        return {"ends": [[end.row, end.lane] for end in self.ends]}, arrays

    def restore(self, document: dict[str, Any], arrays: Tree) -> None:
        """Put a snapshot back."""

        def tree(name: str) -> Tree:
            prefix = f"{name}:"
            return {
                path.removeprefix(prefix): leaf.copy()
                for path, leaf in arrays.items()
                if path.startswith(prefix)
            }

        for name in LANE_ARRAYS:
            setattr(self, name, arrays[name].copy())
        for name in TREES:
            setattr(self, name, tree(name))
        self.arrivals.ready[:], self.arrivals.first[:] = arrays["ready"], arrays["first"]
        for path, leaf in tree("next").items():
            self.arrivals.obs[path][:] = leaf
        self.ends = [
            End(row, lane, tree(f"end{i}/obs"), tree(f"end{i}/state"))
            for i, (row, lane) in enumerate(document["ends"])
        ]


def spots(leaf: np.ndarray) -> np.ndarray:
    """[R, L, ...] with one index for row and lane together: reading and writing by it takes half the time."""
    return leaf.reshape(-1, *leaf.shape[2:])
