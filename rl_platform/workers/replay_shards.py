"""Replay shards as Ray actors: fragments go to them from the workers, samples from them to the learner.

This process sends references and masses, and is told how full each shard is. A shard that is lost
comes back empty. Nothing of Ray is imported before they are started.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rl_platform.data.recipe import TransitionFn
from rl_platform.data.tree import Tree
from rl_platform.workers.learned import RemoteRows
from rl_platform.workers.ray_session import ARRAYS_STAY, RaySession
from rl_platform.workers.remote_sample import RemoteSample
from rl_platform.workers.replay_draws import Share
from rl_platform.workers.replay_shard import Answer, Asked, Fill, ReplayShard, ShardBlueprint
from rl_platform.workers.worker_losses import first_line

log = logging.getLogger(__name__)

Ref = Any
MOST_UNANSWERED = 8
"""So many fragments and priorities are on their way to one shard; then whoever brings more has to wait."""
GIVE_UP = 4
"""Where a shard is lost so many times in a row without an answer, the run ends."""
WARN_SECONDS = 60.0
ANSWER_SECONDS = 300.0
"""A shard that has not answered by then has no room on the cluster, and never will."""
SHARD_LOST, ON_THE_WAY, DATA_LOST = "replay shard lost", "lost on the way to replay", "data lost"


class ShardLost(Exception):
    """A shard was lost before it gave its part of a sample."""


class ShardsLost(Exception):
    """A shard can't be had; the message says why, and what to change."""


@dataclass(slots=True)
class Shard:
    """One shard over all its replacements."""

    number: int
    actor: Any = None
    fills: dict[str, Fill] = field(default_factory=dict)  # by policy, as it said last
    answers: deque[tuple[Ref, int]] = field(default_factory=deque)  # awaited, with agent steps on their way
    known: set[int] = field(default_factory=set)  # functions that it has
    failures: int = 0  # in a row, without an answer between


@dataclass(slots=True)
class Tally:
    """What has become of transitions since it was asked last."""

    stored: int = 0
    overwritten: int = 0
    late: int = 0  # priorities of what was overwritten by then
    dropped: dict[str, int] = field(default_factory=dict)  # reason → agent steps

    def drop(self, reason: str, agent_steps: int) -> None:
        if agent_steps:
            self.dropped[reason] = self.dropped.get(reason, 0) + agent_steps


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """A sample of each policy that was asked for."""

    numbers: Mapping[str, int]
    shape: tuple[int, int]
    born: float  # monotonic seconds
    asked: list[tuple[int, Any, Ref]] = field(default_factory=list)  # shards, and what they will say
    parts: list[Ref] = field(default_factory=list)  # what they will give


class ReplayShards:
    """``count`` shards made from one blueprint, on the Ray of ``session``. Raises ShardsLost.

    ``draws``: samples drawn so far, by policy.
    """

    ray: Any  # the module

    def __init__(self, blueprint: ShardBlueprint, count: int, session: RaySession) -> None:
        self.blueprint, self.session = blueprint, session
        self.shards = [Shard(number) for number in range(count)]
        self.draws = dict.fromkeys(blueprint.policies, 0)
        self.tally = Tally()
        self._keys: dict[int, tuple[int, TransitionFn]] = {}  # id of a function → its key, and the function

    def start(self) -> None:
        """Make the shards, in an open session; they come up while the caller goes on."""
        import ray

        self.ray = ray
        options = {"max_restarts": 0, "enable_task_events": False, "scheduling_strategy": "SPREAD"}
        options |= {**self.session.placement("replay"), "runtime_env": ARRAYS_STAY}
        self._actor = ray.remote(ReplayShard).options(memory=self.blueprint.nbytes, **options)
        for shard in self.shards:
            self._make(shard)

    def close(self) -> None:
        """End all shards at once."""
        for shard in self.shards:
            if shard.actor is not None:
                self.ray.kill(shard.actor)
                shard.actor = None

    @property
    def size(self) -> int:
        """Transitions in all shards and of all policies, as far as is known."""
        return sum(fill.size for shard in self.shards for fill in shard.fills.values())

    def take_tally(self) -> Tally:
        """What has happened since it was called last."""
        tally, self.tally = self.tally, Tally()
        return tally

    def store(
        self, turn: int, policies: Sequence[str], data: Any, agent_steps: int, transitions: TransitionFn
    ) -> None:
        """Send a fragment to the shard whose turn it is. ``data``: its trajectories by policy, or a reference
        to them; of ``policies`` the transitions are kept.
        """
        shard = self.shards[turn % len(self.shards)]
        self._hear(shard, MOST_UNANSWERED - 1)
        key = self._key(shard, transitions)
        shard.answers.append((shard.actor.add.remote(policies, key, data), agent_steps))

    def settle(self) -> None:
        """Await all answers: then it is known how full every shard is."""
        for shard in self.shards:
            self._hear(shard, 0)

    def hear(self) -> None:
        """Take the answers that are there."""
        for shard in self.shards:
            self._hear(shard, MOST_UNANSWERED)

    def ask(self, minibatches: int, batch_size: int, correction: float) -> Draw | None:
        """Ask for a sample of each policy that has transitions; None where none has."""
        shape, numbers, shares = (minibatches, batch_size), {}, {}
        for policy in self.blueprint.policies:
            fills = [shard.fills[policy] for shard in self.shards]
            size = sum(fill.size for fill in fills)
            if size:
                self.draws[policy] += 1
                numbers[policy] = self.draws[policy]
                shares[policy] = tuple(fill.mass for fill in fills), size
        draw = Draw(numbers, shape, time.monotonic())
        for shard in self.shards:
            mine = {
                policy: Asked(numbers[policy], Share(masses, size, shard.number))
                for policy, (masses, size) in shares.items()
                if masses[shard.number]
            }
            if mine:
                report, part = shard.actor.draw.options(num_returns=2).remote(mine, shape, correction)
                draw.asked.append((shard.number, shard.actor, report))
                draw.parts.append(part)
        return draw if numbers else None

    def receive(self, draw: Draw) -> dict[str, RemoteSample]:
        """The sample of each policy, as soon as it is there. Raises ShardLost."""
        for number, actor, report in draw.asked:
            try:
                self._get(self.shards[number], report)
            except shard_errors(self.ray) as error:
                if self.shards[number].actor is actor:
                    self._lost(self.shards[number], error)
                raise ShardLost(f"replay shard {number} was lost before it gave its part") from error
        shards, parts = tuple(number for number, _, _ in draw.asked), tuple(draw.parts)
        return {
            policy: RemoteSample(policy, number, draw.shape, shards, parts)
            for policy, number in draw.numbers.items()
        }

    def update_priorities(self, sample: RemoteSample, rows: Tree | RemoteRows) -> None:
        """What was learned of a sample, with its new temporal differences, [U, B]."""
        parts = rows.parts if isinstance(rows, RemoteRows) else (rows,)
        for number in sample.shards:
            shard = self.shards[number]
            self._hear(shard, MOST_UNANSWERED - 1)
            answer = shard.actor.update_priorities.remote(sample.policy, sample.number, *parts)
            shard.answers.append((answer, 0))

    def snapshot(self, policy: str) -> list[tuple[dict[str, Any], Tree]]:
        """Of each shard; see `ReplayBuffer.snapshot`."""
        self.settle()
        asked = [(shard, shard.actor.snapshot.remote(policy)) for shard in self.shards]
        told = [self._told(shard, "snapshot", policy, asked=answer) for shard, answer in asked]
        return [(position | {"draws": self.draws[policy]}, columns) for position, columns in told]

    def forget(self) -> None:
        """Begin to count anew, with what is in the shards now: what has become of transitions so far is of a
        moment that the run goes back from.
        """
        self.settle()
        for shard in self.shards:
            answer: Answer = self._told(shard, "answer")
            shard.fills = answer.fills
        self.tally = Tally()

    def restore(self, parts: Mapping[str, Sequence[tuple[dict[str, Any], Tree]]]) -> None:
        """Put back a snapshot, by policy of as many shards. Raises ValueError where it does not fit the
        capacity.
        """
        for policy, saved in parts.items():
            self.draws[policy] = max(position["draws"] for position, _ in saved)
        for shard in self.shards:
            mine = {policy: saved[shard.number] for policy, saved in parts.items()}
            shard.fills = dict.fromkeys(self.blueprint.policies, Fill())  # nothing is lost with it by now
            answer: Answer = self._told(shard, "restore", mine)
            shard.fills = answer.fills

    def _told(self, shard: Shard, method: str, *arguments: Any, asked: Ref | None = None) -> Any:
        """What it answers, or who comes after it where it is lost before."""
        while True:
            try:
                return self._get(shard, asked or getattr(shard.actor, method).remote(*arguments))
            except shard_errors(self.ray) as error:
                self._lost(shard, error)
                asked = None

    def _make(self, shard: Shard) -> None:
        shard.actor = self._actor.remote(self.blueprint)
        shard.fills = dict.fromkeys(self.blueprint.policies, Fill())
        shard.answers.clear()
        shard.known.clear()

    def _key(self, shard: Shard, transitions: TransitionFn) -> int:
        key, _ = self._keys.setdefault(id(transitions), (len(self._keys), transitions))
        if key not in shard.known:
            shard.known.add(key)
            shard.actor.keep.remote(key, transitions)
        return key

    def _hear(self, shard: Shard, most: int) -> None:
        """Take the answers that are there, and await more until ``most`` are awaited."""
        while len(shard.answers) > most:
            self._take(shard)
        if shard.answers:
            awaited = [answer for answer, _ in shard.answers]
            there = self.ray.wait(awaited, num_returns=len(awaited), timeout=0, fetch_local=False)[0]
            for _ in range(len(there)):
                if shard.answers and shard.answers[0][0] in there:
                    self._take(shard)

    def _take(self, shard: Shard) -> None:
        answered, agent_steps = shard.answers[0]
        try:
            answer: Answer = self._get(shard, answered)
        except shard_errors(self.ray) as error:
            self._lost(shard, error)
            return
        except self.ray.exceptions.ObjectLostError as error:
            log.warning("data is lost on its way to replay shard %d: %s", shard.number, error)
            self.tally.drop(DATA_LOST, agent_steps)
            shard.answers.popleft()
            return
        shard.answers.popleft()
        shard.failures = 0
        self.tally.late += answer.late
        for policy, fill in answer.fills.items():
            before = shard.fills[policy]
            stored = fill.added - before.added
            self.tally.stored += stored
            self.tally.overwritten += stored - (fill.size - before.size)
        shard.fills = answer.fills

    def _get(self, shard: Shard, answer: Ref) -> Any:
        """What it says. Raises what the shard raised, with its traceback."""
        errors = self.ray.exceptions
        try:
            for seconds in (WARN_SECONDS, ANSWER_SECONDS - WARN_SECONDS):
                try:
                    return self.ray.get(answer, timeout=seconds)
                except errors.GetTimeoutError:
                    log.warning("%s", self._silent(shard))
        except errors.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        raise ShardsLost(self._silent(shard))

    def _silent(self, shard: Shard) -> str:
        need = self.blueprint.nbytes / 2**20
        return (
            f"replay shard {shard.number} does not answer: has the cluster room for its {need:,.0f} MiB? "
            "Lower bufferSize of the algorithm, or raise spec.replay.shards or "
            "spec.rollouts.resources.memory"
        )

    def _lost(self, shard: Shard, error: Exception) -> None:
        """Count what was in it and on the way to it, and make it anew, empty."""
        how = first_line(error)
        kept = sum(fill.size for fill in shard.fills.values())
        self.tally.drop(SHARD_LOST, kept)
        self.tally.drop(ON_THE_WAY, sum(agent_steps for _, agent_steps in shard.answers))
        shard.failures += 1
        if shard.failures >= GIVE_UP:
            raise ShardsLost(
                f"replay shard {shard.number} was lost {GIVE_UP} times in a row without an answer; the last "
                f"time so: {how}; with too little memory, raise spec.rollouts.resources.memory"
            ) from error
        log.warning("replay shard %d is made anew, without its %d transitions: %s", shard.number, kept, how)
        self._make(shard)


def shard_errors(ray: Any) -> tuple[type[Exception], ...]:
    """What Ray raises where a process is gone."""
    errors = ray.exceptions
    return (errors.RayActorError, errors.WorkerCrashedError, errors.OutOfMemoryError)
