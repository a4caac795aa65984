"""Where experience comes from: rollout workers, asked for one fragment at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from rl_platform.execution.counters import Counters
from rl_platform.execution.fragments import HeldFragments, taken
from rl_platform.execution.item import Item, Kind, Ref
from rl_platform.execution.plan import Flow
from rl_platform.execution.remote_sampling import Order, RemoteRollouts
from rl_platform.execution.run import Run
from rl_platform.workers.group import WorkerGroup
from rl_platform.workers.local import LocalWorkers


@dataclass
class Rollouts:
    """Samples in this process, with the policies published by then."""

    run: Run
    workers: LocalWorkers
    ticks: int
    detail: str
    name: str = "rollouts"
    gives: Kind = Kind.ROLLOUT
    site: str = "rollouts"
    state: HeldFragments = field(default_factory=HeldFragments)  # of a checkpoint made with remote workers

    @property
    def depth(self) -> int:
        return self.state.depth

    @property
    def empty(self) -> bool:
        return False

    def issue(self) -> None:
        """Sampling happens in `take`."""

    def waits(self) -> list[Ref]:
        return []

    def settle(self, counters: Counters) -> None:
        """Nothing is outstanding."""

    def take(self, counters: Counters, ready: Ref | None = None) -> Item:
        del ready
        born, held = time.monotonic(), self.state.fragments
        fragment = held.popleft() if held else self.workers.sample(0, self.ticks, self.run.published)
        return taken(self.run, counters, fragment, born)


def rollouts(
    run: Run,
    *,
    env_steps: int = 0,
    ticks: int = 0,
    order: Order = "worker",
    in_flight: int = 1,
    max_lag: int | None = None,
) -> Flow:
    """Fragments of ``ticks`` steps of every environment, or of as many as make ``env_steps`` over all
    workers.

    Workers in other processes are asked in rounds, and their fragments taken in the order of the workers
    (``order="worker"``: reproducible), or each as soon as it is ready (``"ready"``), with up to ``in_flight``
    requests outstanding at each of them. A fragment sampled with a policy more than ``max_lag`` versions
    old is dropped and counted. In this process fragments are sampled when they are taken.
    """
    workers = run.workers
    if isinstance(workers, WorkerGroup):
        return Flow(RemoteRollouts(run, workers, env_steps, ticks, order, in_flight, max_lag))
    ticks = ticks or max(1, -(-env_steps // workers.num_envs))
    total = ticks * workers.num_envs
    detail = f"{ticks} ticks of {workers.num_envs} environments: {total} env steps"
    return Flow(Rollouts(run, workers, ticks, detail))


def gradients(run: Run, *, ticks: int, order: Order = "ready", in_flight: int = 1) -> Flow:
    """What workers make of fragments of ``ticks`` steps themselves, of algorithms that say how."""
    source = rollouts(run, ticks=ticks, order=order, in_flight=in_flight).source
    assert isinstance(source, Rollouts | RemoteRollouts)
    return Flow(replace(source, name="gradients", gives=Kind.GRADIENTS))
