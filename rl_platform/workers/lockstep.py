"""Sampling where all lanes act at every tick: rows are slices, and the environments write straight into them.

Shape legend: K look-back rows, T ticks, L lanes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rl_platform.data.trajectory import ENDED, EPISODE, FIRST, Trajectory
from rl_platform.data.tree import Tree
from rl_platform.envs.adapter import Arrivals, EnvironmentAdapter, EnvironmentFault
from rl_platform.envs.watchdog import Watchdog
from rl_platform.models.actors import Actor
from rl_platform.models.deferred import SCORES, DeferredAssessment
from rl_platform.workers.abandoned import Abandoned, unfinished
from rl_platform.workers.columns import LOG_PROBABILITY, VALUE, Columns, End, Identity
from rl_platform.workers.episode import Episode
from rl_platform.workers.last_values import final_of
from rl_platform.workers.observation_checks import ObservationChecks


class LockstepSampler:
    """The lanes of a single-agent adapter with ``lockstep``, between and during fragments."""

    def __init__(
        self, adapter: EnvironmentAdapter, actor: Actor, identity: Identity, watchdog: Watchdog
    ) -> None:
        self.adapter, self.actor, self.identity, self.watchdog = adapter, actor, identity, watchdog
        self.lanes = len(identity.env)
        self.checks = ObservationChecks(adapter.name, adapter.lanes[identity.policy])
        self.first = np.ones(self.lanes, bool)
        self.tick = np.zeros(self.lanes, np.int32)
        self.life = np.zeros(self.lanes, np.int64)
        self.paid = np.zeros(self.lanes, np.float64)
        self.back = np.zeros(self.lanes, np.int32)
        self.past: Tree = {}
        self.state: Tree = actor.initial_state(self.lanes)
        self.obs: Tree = {
            path: np.zeros((self.lanes, *leaf.shape), leaf.dtype) for path, leaf in actor.spaces.obs.items()
        }

    def reset(self, seeds: list[int]) -> Abandoned:
        """New episodes in all lanes, whatever was open."""
        waiting = unfinished(self.past["flags"], self.back) if self.past else 0
        abandoned = Abandoned(int(self.tick.sum()), waiting)
        self.tick[:], self.paid[:], self.back[:], self.first[:] = 0, 0.0, 0, True
        self.state = self.actor.initial_state(self.lanes)
        fresh: Tree = {path: np.zeros_like(leaf) for path, leaf in self.obs.items()}
        self.adapter.reset_into({self.identity.policy: self._arrivals(fresh)}, seeds)
        self.obs = fresh
        return abandoned

    def sample(
        self, ticks: int, noise: Mapping[str, np.ndarray | None]
    ) -> tuple[dict[str, Trajectory], int, list[Episode]]:
        """``ticks`` rows of every lane, the env steps they took and the episodes that ended; noise [T, L,
        width].
        """
        k = self.identity.look_back
        columns = Columns.empty(self.actor, k, ticks, self.lanes, self.identity.states(ticks))
        if k and self.past:
            columns.put(self.past, slice(0, k))
        for path, leaf in self.obs.items():
            columns.obs[path][k] = leaf
        try:
            ends = self._run(columns, ticks, noise[self.identity.policy])
        except EnvironmentFault:
            # What is not finite often makes a later step fail: name the cause and not its effect.
            self._number_rows(columns, ticks)
            self.checks.finite(columns.obs, columns.reward, columns.tick)
            raise
        self._number_rows(columns, ticks)
        final = final_of(self.actor, ends)
        if VALUE in columns.extra and self.actor.deferred is None:
            self._value_last(columns)
        length = np.full(self.lanes, ticks, np.int32)
        self.identity.version = self.actor.version
        trajectory = columns.trajectory(self.identity, self.back, length, final)
        self.checks(trajectory)
        episodes = self._account(trajectory)
        self._carry(columns, ticks)
        return {self.identity.policy: trajectory}, ticks * self.lanes, episodes

    def _run(self, columns: Columns, ticks: int, noise: np.ndarray | None) -> list[End]:
        """The hot loop."""
        k, every, recurrent = self.identity.look_back, self.identity.state_every or ticks, bool(self.state)
        step_into, watchdog, deferred = self.adapter.step_into, self.watchdog, self.actor.deferred
        action, extra, act = columns.action, columns.extra, self.actor.act
        if deferred is not None:
            act = deferred.choose
            extra = {SCORES: np.empty((k + ticks, self.lanes, deferred.scores), np.float32)}
        extras = list(extra.items())
        rows, state = _rows(columns.obs, k), self.state
        obs = next(rows)
        arrival = self._arrivals(obs)
        arrivals = {self.identity.policy: arrival}
        first = self.first if recurrent else None
        ends: list[End] = []
        for t, (reward, ended) in enumerate(zip(columns.reward[k:], columns.flags[k:], strict=True)):
            if recurrent and t % every == 0:
                for path, leaf in state.items():
                    columns.state[path][t // every] = leaf
            decision = act(obs, state, first, None if noise is None else noise[t])
            row = k + t
            action[row] = decision.action
            for name, column in extras:
                column[row] = decision.extra[name]
            obs = next(rows)
            arrival.obs, arrival.reward, arrival.ended = obs, reward, ended
            watchdog.beat += 1
            step_into({self.identity.policy: decision.env_action}, arrivals)
            watchdog.beat += 1
            if recurrent:
                state, first = decision.state, ended != 0
            if arrival.final:
                for lane, last in arrival.final:
                    then = {path: leaf[lane] for path, leaf in state.items()} if recurrent else state
                    ends.append(End(row, lane, last, then))
                arrival.final = []
        self.state = state
        if deferred is not None:
            self._assess(deferred, columns, extra[SCORES])
        return ends

    def _assess(self, deferred: DeferredAssessment, columns: Columns, scores: np.ndarray) -> None:
        """What was left unsaid in the loop, of all rows at once; of the last observation too."""
        k = self.identity.look_back
        action, scores = columns.action[k:], scores[k:]
        said = deferred.log_probability(
            action.reshape(-1, *action.shape[2:]), scores.reshape(-1, scores.shape[-1])
        )
        columns.extra[LOG_PROBABILITY][k:-1] = said.reshape(-1, self.lanes)
        obs = {path: leaf[k:].reshape(-1, *leaf.shape[2:]) for path, leaf in columns.obs.items()}
        columns.extra[VALUE][k:] = deferred.value(obs).reshape(-1, self.lanes)

    def _arrivals(self, obs: Tree) -> Arrivals:
        size = self.lanes
        return Arrivals(
            obs,
            np.zeros(size, np.float32),
            np.zeros(size, np.uint8),
            np.zeros(size, bool),
            np.zeros(size, bool),
        )

    def _number_rows(self, columns: Columns, ticks: int) -> None:
        """FIRST flags, ticks and episode numbers of the new rows, all at once."""
        k = self.identity.look_back
        flags = columns.flags[k:]
        flags[0][self.first] |= FIRST
        ended = (flags & ENDED) != 0
        count = np.arange(ticks, dtype=np.int32)[:, None]
        start = -self.tick[None, :]
        life = self.life + self.first * EPISODE
        if ended.any():
            flags[1:][ended[:-1]] |= FIRST
            begun = scan(np.add, ended[:-1].astype(np.int64))
            starts = np.concatenate([start, np.where(ended[:-1], count[1:], np.iinfo(np.int32).min)])
            start = scan(np.maximum, starts)
            columns.episode[k] = life
            columns.episode[k + 1 :] = life + begun * EPISODE
        else:
            columns.episode[k:] = life
        columns.tick[k:] = count - start

    def _value_last(self, columns: Columns) -> None:
        first = (columns.flags[-1] & ENDED) != 0 if self.state else None
        last: Tree = {path: leaf[-1] for path, leaf in columns.obs.items()}
        columns.extra[VALUE][-1] = self.actor.act(last, self.state, first, None).extra[VALUE]

    def _account(self, trajectory: Trajectory) -> list[Episode]:
        """Returns and lengths of the episodes that ended, in the order of their ends; partial sums go on."""
        k = trajectory.look_back
        reward, flags = trajectory.reward[k:], trajectory.flags[k:]
        ended = (flags & ENDED) != 0
        if not ended.any():
            self.paid += reward.sum(axis=0, dtype=np.float64)
            return []
        running = scan(np.add, np.concatenate([self.paid[None], reward]))[1:]
        lane, row = np.nonzero(ended.T)
        total = running[row, lane]
        before = np.concatenate([[0.0], total[:-1]])
        before[np.concatenate([[True], lane[1:] != lane[:-1]])] = 0.0
        self.paid = running[-1].copy()
        np.subtract.at(self.paid, lane, total - before)
        policy = self.identity.policy
        length = trajectory.tick[k + row, lane] + 1
        in_time = np.argsort(row, kind="stable")
        ends = zip((total - before)[in_time].tolist(), length[in_time].tolist(), strict=True)
        return [Episode(paid, steps, {policy: [paid]}) for paid, steps in ends]

    def _carry(self, columns: Columns, ticks: int) -> None:
        """Keep what the next fragment begins with."""
        k = self.identity.look_back
        self.obs = {path: leaf[-1] for path, leaf in columns.obs.items()}
        self.first = (columns.flags[-1] & ENDED) != 0
        self.tick = np.where(self.first, 0, columns.tick[-1] + 1).astype(np.int32)
        self.life = columns.episode[-1]
        if k:
            self.past = {name: leaf[ticks : ticks + k] for name, leaf in columns.named()}
            self.back = np.minimum(self.back + ticks, k).astype(np.int32)

    def snapshot(self) -> tuple[dict[str, Any], Tree]:
        """What `restore` needs, without the environments."""
        arrays: Tree = {
            name: getattr(self, name).copy() for name in ("first", "tick", "life", "paid", "back")
        }
        for group, tree in (("next", self.obs), ("past", self.past), ("state", self.state)):
            arrays |= {f"{group}:{path}": leaf.copy() for path, leaf in tree.items()}
        return {}, arrays

    def restore(self, document: dict[str, Any], arrays: Tree) -> dict[str, Arrivals]:
        """Put a snapshot back; returns the arrivals that hold the observations to act on."""
        del document
        for name in ("first", "tick", "life", "paid", "back"):
            setattr(self, name, arrays[name].copy())
        self.obs, self.past, self.state = (
            {
                path.removeprefix(f"{group}:"): leaf.copy()
                for path, leaf in arrays.items()
                if path.startswith(f"{group}:")
            }
            for group in ("next", "past", "state")
        )
        return {self.identity.policy: self._arrivals(self.obs)}


def scan(ufunc: np.ufunc, rows: np.ndarray) -> np.ndarray:
    """``ufunc.accumulate`` down the rows of [T, L], along contiguous memory: far faster for many lanes."""
    accumulated: np.ndarray = ufunc.accumulate(np.ascontiguousarray(rows.T), axis=1).T
    return accumulated


def _rows(obs: Tree, start: int) -> Iterator[Tree]:
    """Row after row from ``start`` on, as views."""
    for leaves in zip(*(leaf[start:] for leaf in obs.values()), strict=True):
        yield dict(zip(obs, leaves, strict=True))
