"""Where experience comes from: rollout workers, asked for one fragment at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind, Ref
from rl_platform.execution.plan import Flow
from rl_platform.execution.run import Run


@dataclass
class Rollouts:
    """Asks the workers in turn; each request carries the policies published by then."""

    run: Run
    ticks: int
    detail: str
    name: str = "rollouts"
    gives: Kind = Kind.ROLLOUT
    site: str = "rollouts"
    turn: int = field(default=0)

    def issue(self) -> None:
        """Sampling happens in `take`."""

    def waits(self) -> list[Ref]:
        return []

    def take(self, counters: Counters) -> Item:
        run, born = self.run, time.monotonic()
        worker = counters.iterations % run.workers.count if run.workers.count > 1 else 0
        fragment = run.workers.sample(worker, self.ticks, run.published)
        counters.env_steps += fragment.env_steps
        counters.add_agent_steps(fragment.agent_steps)
        counters.episodes += len(fragment.episodes)
        counters.abandoned += fragment.discarded
        run.episodes.add(fragment.episodes)
        trajectories = tuple(fragment.trajectories.values())
        return Item(
            Kind.ROLLOUT,
            trajectories,
            fragment.env_steps,
            fragment.agent_steps,
            source=worker,
            sequence=trajectories[0].sequence,
            version=min(trajectory.version for trajectory in trajectories),
            born=born,
            info={"moments": fragment.moments},
        )


def rollouts(run: Run, *, env_steps: int = 0, ticks: int = 0) -> Flow:
    """Fragments of ``ticks`` steps of every environment, or of as many as make ``env_steps`` over all
    workers.
    """
    if not ticks:
        ticks = max(1, round(env_steps / (run.workers.num_envs * run.workers.count)))
    total = ticks * run.workers.num_envs
    return Flow(
        Rollouts(run, ticks, f"{ticks} ticks of {run.workers.num_envs} environments: {total} env steps")
    )
