"""Rollout workers as Ray actors: they are asked for fragments, and what they know is saved and put back.

Nothing of Ray is imported before a group is started.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rl_platform.data.tree import Tree
from rl_platform.workers.blueprint import Blueprint
from rl_platform.workers.fragment import Fragment, fragment_of
from rl_platform.workers.learner_process import LearnerBlueprint
from rl_platform.workers.local import PublishedPolicy
from rl_platform.workers.losses import LearnerLost
from rl_platform.workers.member_states import restore_states, states_of
from rl_platform.workers.members import Member, Members
from rl_platform.workers.places import Places
from rl_platform.workers.ray_session import ARRAYS_STAY, RaySession
from rl_platform.workers.remote_worker import Broken
from rl_platform.workers.weights import RemoteWeights, Weights
from rl_platform.workers.worker_losses import WorkerLost, first_line, lost_errors

log = logging.getLogger(__name__)

Ref = Any
SILENT_SECONDS = 60.0
"""A worker that others wait for for so long is named, and again and again."""
SILENT_TOGETHER = 5
"""So many times as long where none has answered: their environments may well be slow."""
BY_VALUE_BYTES = 64 * 1024
"""Weights from this process up to this size travel inside the request; larger ones lie in the object store
once.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One fragment that was asked for."""

    worker: int
    host: str
    actor: Any
    report: Ref
    data: Ref
    ticks: int
    born: float  # monotonic seconds


class WorkerGroup:
    """``count`` workers made from one blueprint, on the Ray of ``session``.

    With ``data_stays`` trajectories are not brought into this process: who learns from them fetches them.
    ``first_step_at`` is a `time.perf_counter`.
    """

    ray: Any  # the module

    def __init__(self, blueprint: Blueprint, count: int, session: RaySession) -> None:
        self.blueprint, self.num_envs, self.session = blueprint, blueprint.num_envs, session
        self.members = Members(count)
        self.data_stays = False
        self._learning: tuple[type[Any], LearnerBlueprint] | None = None
        self.first_step_at: float | None = None
        self.places = Places()
        self._named = 0.0  # monotonic seconds at which silent workers were named last
        self._weights: dict[str, tuple[Weights, Any]] = {}  # policy → weights, and as they are sent

    def learn(self, kind: type[Any], blueprint: LearnerBlueprint) -> None:
        """Be of this kind, which is told first what it learns: workers that are lost together, and act with
        what they have learned. Before the start.
        """
        self._learning, self.data_stays, self.members.together = (kind, blueprint), True, True

    def start(self) -> None:
        """Make the workers, in an open session; they come up while the caller goes on."""
        import ray

        from rl_platform.workers.rollout_process import RolloutProcess

        self.ray = ray
        placement = self.session.placement("rollouts")
        options = {"max_restarts": 0, "enable_task_events": False, **placement}
        if self.data_stays:
            options["runtime_env"] = ARRAYS_STAY
        kind, *first = self._learning or (RolloutProcess,)
        process, parts = ray.remote(kind).options(**options), [ray.put(it) for it in (*first, self.blueprint)]

        def make(member: Member) -> Any:
            return process.remote(*parts, member.number, member.sequence)

        self.members.start(ray, make, ", ".join(f"{name}: {value}" for name, value in placement.items()))

    @property
    def count(self) -> int:
        """Workers that should be there."""
        return len(self.members.by_number)

    def ready(self) -> list[int]:
        """Workers that can be asked, in order: those that are up, once the group has gathered."""
        return self.members.ready()

    def revive(self) -> None:
        """Replace who is lost, and see who has come up. Raises as `receive` does."""
        self.members.revive()

    def losses(self) -> int:
        """Workers lost since it was asked last."""
        return self.members.losses()

    def pause(self) -> None:
        """Wait a second, or until a worker comes up or may be made again."""
        self.wait([], 1.0)

    def wait(self, refs: list[Ref], seconds: float) -> Ref | None:
        """See `Members.wait`."""
        return self.members.wait(refs, seconds)

    def request(self, worker: int, ticks: int, published: Mapping[str, PublishedPolicy]) -> Request:
        """Ask for a fragment. Policies that the worker does not have in this version go with it."""
        member = self.members.by_number[worker]
        loads, weights = [], []
        for policy, each in published.items():
            if member.known.get(policy) != each.version:
                loads.append([policy, dict(each.knobs), each.version])
                if not self.members.together:
                    weights.append(self._sent(policy, each))
                member.known[policy] = each.version
        report, data = member.actor.sample.remote(ticks, loads, *weights)
        self.places.asked(member.host)
        return Request(worker, member.host, member.actor, report, data, ticks, time.monotonic())

    def receive(self, request: Request) -> Fragment:
        """The fragment, as soon as it is there.

        Raises WorkerLost, what `refuse_hopeless` raises, and LearnerLost where the weights are gone that the
        worker was to act with.
        """
        try:
            report = self._report(request)
            # What is learned from in this process is brought here now: then it can't be lost any more.
            data = None if self.data_stays or isinstance(report, Broken) else self.ray.get(request.data)
        except lost_errors(self.ray) as error:
            self.places.received(request.host)
            # What is gone was an argument: the worker itself has answered.
            if isinstance(error, self.ray.exceptions.RayTaskError):
                raise self._without_weights(request, error) from error
            raise self._lost(request, first_line(error), None) from error
        if isinstance(report, Broken):
            self.places.received(request.host)
            raise self._lost(request, report.message, report)
        member = self.members.by_number.get(request.worker)
        if member is not None and member.actor is request.actor:
            member.sequence += 1
            member.record.brought(time.monotonic())
        fragment = fragment_of(report, request.data)
        if self.first_step_at is None:
            self.first_step_at = time.perf_counter() - fragment.seconds
        self.places.received(request.host, fragment.remote() if data is None else ())
        return fragment if data is None else replace(fragment, trajectories=data)

    def name_silent(self, awaited: Sequence[Request], asked: int) -> None:
        """Say who has not answered for long, of those whose requests, once ``asked`` of them, are awaited
        together. It costs nothing until then.
        """
        now = time.monotonic()
        if not awaited or now - max(self._named, awaited[0].born) < SILENT_SECONDS:
            return
        reports = [request.report for request in awaited]
        there, _ = self.ray.wait(reports, num_returns=len(reports), timeout=0, fetch_local=False)
        silent = [each for each in awaited if each.report not in there]
        patience = SILENT_SECONDS * (SILENT_TOGETHER if len(silent) == asked else 1)
        if silent and now - silent[0].born > patience:
            self._named = now
            names = ", ".join(f"{it.worker} on {it.host}, for {now - it.born:.0f} s" for it in silent)
            log.warning(
                "the run waits for a fragment of rollout worker %s: one whose process stands still is "
                "replaced once it is killed",
                names,
            )

    def resize(self, count: int) -> list[str]:
        """See `Members.resize`; with their hosts."""
        leaving = self.members.resize(count)
        self.places.leaving |= {member.host for member in leaving if member.host}
        return [f"{member.number} on {member.host or 'no host yet'}" for member in leaving]

    def hosts(self) -> list[str]:
        """Where workers are, or something of those that were let go is still wanted."""
        return self.places.wanted({it.host for it in self.members.by_number.values() if it.host})

    def reset(self, key: int) -> None:
        """New episodes everywhere. See `RolloutWorker.reset`."""
        for member in self.members.present():
            member.actor.reset.remote(key)

    def snapshot(self) -> list[tuple[dict[str, Any], Tree]]:
        """See `states_of`."""
        return states_of(self.members)

    def restore(self, states: list[tuple[dict[str, Any], Tree]]) -> None:
        """See `restore_states`."""
        restore_states(self.members, states)

    def close(self) -> None:
        """End all workers at once."""
        self.members.close()

    def _report(self, request: Request) -> Any:
        while True:
            try:
                return self.ray.get(request.report, timeout=SILENT_SECONDS)
            except self.ray.exceptions.GetTimeoutError:
                self.name_silent([request], 2)

    def _sent(self, policy: str, published: PublishedPolicy) -> Any:
        held, sent = self._weights.get(policy, (None, None))
        if held is not published.held:
            held = published.held
            if isinstance(held, RemoteWeights):
                sent = held.reference
            else:
                sent = held.flat if held.flat.nbytes <= BY_VALUE_BYTES else self.ray.put(held.flat)
            self._weights[policy] = (held, sent)
        return sent

    def _without_weights(self, request: Request, error: Any) -> LearnerLost:
        member = self.members.by_number.get(request.worker)
        if member is not None and member.actor is request.actor:
            member.known.clear()
        return LearnerLost(f"weights that the learner has published are gone: {first_line(error.cause)}")

    def _lost(self, request: Request, how: str, broken: Broken | None) -> WorkerLost:
        member = self.members.by_number.get(request.worker)
        name = f"rollout worker {request.worker}"
        if member is None:
            return WorkerLost(f"{name} had been sent away and did not finish: {how}", True)
        if member.actor is not request.actor:
            return WorkerLost(f"{name} was lost before it came to this request", False)
        return WorkerLost(self.members.failed(member, how, broken), True)
