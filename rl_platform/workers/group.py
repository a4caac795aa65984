"""Rollout workers as Ray actors: they are asked, join and leave, and are replaced where they are lost.

Nothing of Ray is imported before a group is started.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.workers.blueprint import Blueprint
from rl_platform.workers.fragment import Fragment
from rl_platform.workers.local import PublishedPolicy
from rl_platform.workers.ray_session import RaySession
from rl_platform.workers.remote_worker import Broken, RemoteWorker

log = logging.getLogger(__name__)

Ref = Any
BY_VALUE_BYTES = 64 * 1024
"""Weights up to this size travel inside the request; larger ones lie in the object store once."""
INLINE_BYTES = 4096
"""Holds what is told of a fragment; trajectories are larger."""
GIVE_UP = 4
"""Where every worker was lost so many times in a row without a fragment, the run ends."""
LONGEST_WAIT_SECONDS = 60.0
WARN_SECONDS = 60.0
GROUP_SECONDS = 300.0
"""How long the first request waits for the last workers, once one is there."""


class WorkerLost(Exception):
    """A worker is gone, and with it what it was asked for. ``at_work``: it may have worked on just that."""

    def __init__(self, message: str, at_work: bool) -> None:
        super().__init__(message)
        self.at_work = at_work


class WorkersLost(Exception):
    """All workers are lost again and again; the message says how the last one ended."""


class RemoteTraceback(Exception):
    """The text of a traceback in another process; the cause of what is raised here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One fragment that was asked for."""

    worker: int
    actor: Any
    report: Ref
    data: Ref
    ticks: int
    born: float  # monotonic seconds


@dataclass(slots=True)
class Member:
    """One worker over all its replacements."""

    number: int
    actor: Any = None
    sequence: int = 0  # of the fragment that comes next
    known: dict[str, int] = field(default_factory=dict)  # policy → version sent last
    failures: int = 0  # in a row, without a fragment between
    due: float = 0.0  # monotonic seconds from which on it may be made again
    hello: Ref | None = None  # its first answer, while that is awaited
    host: str = ""  # where it is, once it has answered
    made: float = 0.0  # monotonic seconds
    warned: bool = False


class WorkerGroup:
    """``count`` workers made from one blueprint, on the Ray of ``session``.

    With ``data_stays`` trajectories are not brought into this process: who learns from them fetches them.
    ``first_step_at`` is a `time.perf_counter`.
    """

    ray: Any  # the module

    def __init__(self, blueprint: Blueprint, count: int, session: RaySession) -> None:
        self.blueprint, self.num_envs, self.session = blueprint, blueprint.num_envs, session
        self.data_stays = False
        self.members = {number: Member(number) for number in range(count)}
        self.first_step_at: float | None = None
        self._weights: dict[str, tuple[int, Any]] = {}  # policy → version, weights as they are sent
        self._gathered = False  # all have been there, or were waited for long enough
        self._losses = 0

    def start(self) -> None:
        """Make the workers, in an open session; they come up while the caller goes on."""
        import ray

        self.ray = ray
        options = {"max_restarts": 0, "enable_task_events": False, **self.session.placement("rollouts")}
        if self.data_stays:
            # Ray sends results of up to 100 kB to who asked for them, which is not who wants them.
            options["runtime_env"] = {"env_vars": {"RAY_max_direct_call_object_size": str(INLINE_BYTES)}}
        self._actor = ray.remote(RemoteWorker).options(**options)
        self._blueprint_ref = ray.put(self.blueprint)
        self.revive()

    @property
    def count(self) -> int:
        """Workers that should be there."""
        return len(self.members)

    def ready(self) -> list[int]:
        """Workers that can be asked, in order: those that are up, once the group has gathered."""
        up = [number for number, member in sorted(self.members.items()) if member.host]
        if not self._gathered:
            late = [it for it in self.members.values() if not it.host and not it.failures]
            oldest = min([it.made for it in late], default=0.0)
            self._gathered = not late or (bool(up) and time.monotonic() - oldest > GROUP_SECONDS)
        return up if self._gathered else []

    def revive(self) -> None:
        """Make the workers that are not there, once their time has come, and see which have come up.

        Raises as `receive` does.
        """
        for member in self.members.values():
            if member.actor is None and time.monotonic() >= member.due:
                self._make(member)
        awaited = {member.hello: member for member in self.members.values() if member.hello is not None}
        if awaited:
            there, _ = self.ray.wait(list(awaited), num_returns=len(awaited), timeout=0, fetch_local=False)
            for hello in there:
                self._greeted(awaited[hello])

    def losses(self) -> int:
        """Workers lost since it was asked last."""
        lost, self._losses = self._losses, 0
        return lost

    def pause(self) -> None:
        """Wait a second, or until a worker comes up or may be made again."""
        self.wait([], 1.0)

    def wait(self, refs: list[Ref], seconds: float) -> Ref | None:
        """The first of ``refs`` that is ready; None after so many seconds, and when a worker has come up or
        may be made again.
        """
        due = [member.due - time.monotonic() for member in self.members.values() if member.actor is None]
        limit = max(0.05, min([seconds, *due]))
        hellos = [member.hello for member in self.members.values() if member.hello is not None]
        if not refs and not hellos:
            time.sleep(limit)
            return None
        ready, _ = self.ray.wait([*refs, *hellos], num_returns=1, timeout=limit, fetch_local=False)
        if not ready:
            self._warn_of_waiting()
        return ready[0] if ready and ready[0] not in hellos else None

    def request(self, worker: int, ticks: int, published: Mapping[str, PublishedPolicy]) -> Request:
        """Ask for a fragment. Policies that the worker does not have in this version go with it."""
        member = self.members[worker]
        loads, weights = [], []
        for policy, each in published.items():
            if member.known.get(policy) != each.version:
                loads.append((policy, dict(each.knobs), each.version))
                weights.append(self._sent(policy, each))
                member.known[policy] = each.version
        report, data = member.actor.sample.options(num_returns=2).remote(ticks, loads, *weights)
        return Request(worker, member.actor, report, data, ticks, time.monotonic())

    def receive(self, request: Request) -> Fragment:
        """The fragment, as soon as it is there.

        Raises WorkerLost, EnvironmentFault and WorkersLost where all workers fail again and again, and
        RuntimeError for what no other worker would do better.
        """
        try:
            report = self.ray.get(request.report)
            # What is learned from in this process is brought here now: then it can't be lost any more.
            data = None if self.data_stays or isinstance(report, Broken) else self.ray.get(request.data)
        except lost_errors(self.ray) as error:
            raise self._lost(request, _first_line(error), None) from error
        if isinstance(report, Broken):
            raise self._lost(request, report.message, report)
        member = self.members.get(request.worker)
        if member is not None and member.actor is request.actor:
            member.sequence, member.failures = member.sequence + 1, 0
        if self.first_step_at is None:
            self.first_step_at = time.perf_counter() - report.seconds
        fragment: Fragment = report
        if data is None:
            heads = fragment.trajectories.values()
            data = {each.policy: replace(each, data=request.data) for each in heads}
        return replace(fragment, trajectories=data)

    def resize(self, count: int) -> list[str]:
        """Make workers, or let some go once they have finished what they were asked for: first those that
        never answered, then the highest numbers. Returns whom it lets go, with their hosts.
        """
        order = sorted(self.members.values(), key=lambda each: (bool(each.host), -each.number))
        leaving = order[: max(0, len(order) - count)]
        for member in leaving:
            # Without a handle to it an actor ends when its last call is finished.
            del self.members[member.number]
        free = (number for number in range(count) if number not in self.members)
        for number in list(islice(free, count - len(self.members))):
            self.members[number] = Member(number)
        self.revive()
        return [f"{member.number} on {member.host or 'no host yet'}" for member in leaving]

    def reset(self, key: int) -> None:
        """New episodes everywhere. See `RolloutWorker.reset`."""
        for member in self._present():
            member.actor.reset.remote(key)

    def snapshot(self) -> list[tuple[dict[str, Any], Tree]]:
        """Lanes and environments of each worker, by number; of one that is not there, only its sequence
        number.
        """
        there = [member for member in self._present() if member.host]
        asked = {member.number: member.actor.snapshot.remote() for member in there}
        found: list[tuple[dict[str, Any], Tree]] = []
        for number in range(max(self.members, default=-1) + 1):
            state = None
            if number in asked:
                try:
                    state = self.ray.get(asked[number])
                except self.ray.exceptions.RayError as error:
                    log.warning("rollout worker %d gives no state: %s", number, _first_line(error))
            sequence = self.members[number].sequence if number in self.members else 0
            found.append(state or ({"lost": True, "sequence": sequence}, {}))
        return found

    def restore(self, states: list[tuple[dict[str, Any], Tree]]) -> None:
        """Go on from a snapshot of any number of workers; those without a state begin new episodes."""
        self._gathered = False
        for number, member in self.members.items():
            document, arrays = states[number] if number < len(states) else ({"lost": True, "sequence": 0}, {})
            member.sequence = document["sequence"]
            if document.get("lost"):
                self._kill(member)
                self._make(member)
            else:
                member.actor.restore.remote(document, arrays)

    def close(self) -> None:
        """End all workers at once."""
        for member in self._present():
            self._kill(member)
        self.members.clear()

    def _warn_of_waiting(self) -> None:
        """Once for each worker that does not come up."""
        for member in self._present():
            if not member.host and not member.warned and time.monotonic() - member.made > WARN_SECONDS:
                member.warned = True
                log.warning(
                    "rollout worker %d is not up after %.0f s: has the cluster room for it (%s)?",
                    member.number,
                    WARN_SECONDS,
                    ", ".join(
                        f"{name}: {value}" for name, value in self.session.placement("rollouts").items()
                    ),
                )

    def _present(self) -> list[Member]:
        return [member for _, member in sorted(self.members.items()) if member.actor is not None]

    def _sent(self, policy: str, published: PublishedPolicy) -> Any:
        version, sent = self._weights.get(policy, (None, None))
        if version != published.version:
            weights = np.asarray(published.weights)
            sent = weights if weights.nbytes <= BY_VALUE_BYTES else self.ray.put(weights)
            self._weights[policy] = (published.version, sent)
        return sent

    def _make(self, member: Member) -> None:
        member.actor = self._actor.remote(self._blueprint_ref, member.number, member.sequence)
        member.hello, member.known, member.host = member.actor.hello.remote(), {}, ""
        member.made, member.warned = time.monotonic(), False

    def _greeted(self, member: Member) -> None:
        """Take the first answer of a worker: where it is, or why it cannot be made."""
        hello, member.hello = member.hello, None
        try:
            answer = self.ray.get(hello)
        except lost_errors(self.ray) as error:
            log.warning("%s", self._failed(member, _first_line(error), None))
            return
        if isinstance(answer, Broken):
            log.warning("%s", self._failed(member, answer.message, answer))
        else:
            member.host = answer

    def _lost(self, request: Request, how: str, broken: Broken | None) -> WorkerLost:
        member = self.members.get(request.worker)
        name = f"rollout worker {request.worker}"
        if member is None:
            return WorkerLost(f"{name} had been sent away and did not finish: {how}", True)
        if member.actor is not request.actor:
            return WorkerLost(f"{name} was lost before it came to this request", False)
        return WorkerLost(self._failed(member, how, broken), True)

    def _failed(self, member: Member, how: str, broken: Broken | None) -> str:
        """Note a loss and when the worker may be made again. Raises where there is no sense in it."""
        if broken is not None and not broken.of_environment:
            raise RuntimeError(broken.message) from RemoteTraceback(broken.traceback)
        self._kill(member)
        self._losses += 1
        member.failures += 1
        delay = 0.0 if member.failures == 1 else min(LONGEST_WAIT_SECONDS, 2.0 ** (member.failures - 2))
        member.due = time.monotonic() + delay
        if all(each.failures >= GIVE_UP for each in self.members.values()):
            if broken is not None:
                raise EnvironmentFault(broken.message) from RemoteTraceback(broken.traceback)
            raise WorkersLost(
                f"every rollout worker was lost {GIVE_UP} times in a row without a fragment; "
                f"the last one so: {how}; the workers' logs tell more"
            )
        again = f"again in {delay:.0f} s" if delay else "at once"
        return f"rollout worker {member.number} is replaced {again}: {how}"

    def _kill(self, member: Member) -> None:
        if member.actor is not None:
            self.ray.kill(member.actor)
            member.actor, member.hello, member.host = None, None, ""


def lost_errors(ray: Any) -> tuple[type[Exception], ...]:
    """What Ray raises where a process or an object is gone."""
    errors = ray.exceptions
    return (
        errors.RayActorError,
        errors.ObjectLostError,
        errors.WorkerCrashedError,
        errors.OutOfMemoryError,
    )


def _first_line(error: Exception) -> str:
    """What Ray says in a line; the rest of it is about Ray."""
    return str(error).strip().partition("\n")[0]
