"""A learner whose ranks are rollout workers: each learns from what it has sampled, where it lies.

A worker that is lost takes its rank with it, so all are made anew. Nothing but gradients passes between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rl_platform.data.trajectory import Trajectory
from rl_platform.workers.fragment import RemoteTrajectory
from rl_platform.workers.group import WorkerGroup
from rl_platform.workers.learner_process import LearnerBlueprint
from rl_platform.workers.ray_session import RaySession
from rl_platform.workers.remote_learner import RemoteLearner


class LearnerAtWorkers(RemoteLearner):
    """The learner whose ranks are the workers of ``group``, in the order of their numbers."""

    role = "rollouts"

    def __init__(self, blueprint: LearnerBlueprint, session: RaySession, group: WorkerGroup) -> None:
        from rl_platform.workers.learning_process import LearningProcess  # with it comes Ray

        super().__init__(blueprint, session)
        self.group, self._sources = group, dict[int, int]()  # number of a worker → rank
        group.learn(LearningProcess, blueprint)

    def start(self) -> None:
        """Begin with the workers that are there; anew with fresh ones."""
        if self._ranks:
            self.group.members.renew()
        super().start()

    def close(self) -> None:
        """The group ends its workers."""
        self._ranks = []

    def regroup(self, count: int) -> list[str]:
        """Go on with ``count`` workers, all of them fresh. See `WorkerGroup.resize`."""
        states = {policy: self.snapshot(policy) for policy in self.policies}
        leaving = self.group.resize(count)
        self.start()
        for policy, arrays in states.items():
            self.restore(policy, arrays)
        return leaving

    def _made(self) -> list[Any]:
        members = self.group.members.present()
        self._sources = {member.number: rank for rank, member in enumerate(members)}
        return [member.actor for member in members]

    def _holders(self, trajectories: Sequence[Trajectory | RemoteTrajectory]) -> list[int | None]:
        """Who sampled it; what was sampled before these workers were made is held by all."""
        return [
            self._sources.get(each.source) if isinstance(each, RemoteTrajectory) else None
            for each in trajectories
        ]
