"""A learner in a process of its own, alone or as one of several: what a Ray actor runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree
from rl_platform.models.policy import Knobs, Policy
from rl_platform.workers.autograd_step import Precision
from rl_platform.workers.learner import Learner
from rl_platform.workers.losses import DataLost
from rl_platform.workers.policy_learner import Learning
from rl_platform.workers.process_group import ProcessGroup, meeting_place, met_at
from rl_platform.workers.ranks import ONE_RANK, Ranks
from rl_platform.workers.remote_sample import RemoteSample
from rl_platform.workers.replay_buffer import Part


@dataclass(frozen=True)
class LearnerBlueprint:
    """The arguments of `Learner`."""

    policies: Mapping[str, Policy]
    trained: Sequence[str]
    learning: Learning
    seed: int
    device: str
    precision: Precision

    def build(self, ranks: Ranks = ONE_RANK) -> Learner:
        """The learner, or a rank of it. Raises RuntimeError where it should be on a GPU and there is none."""
        if self.device == "cuda":
            _require_gpu()
        return Learner(
            self.policies, self.trained, self.learning, self.seed, self.device, self.precision, ranks
        )


class LearnerProcess:
    """Builds its learner when it joins the others."""

    learner: Learner

    def __init__(self, blueprint: LearnerBlueprint) -> None:
        self.learner_blueprint = blueprint
        self.kept: dict[int, Any] = {}
        self._place: Any = None

    def up(self) -> None:
        """The process is there."""

    def open_place(self) -> tuple[str, int]:
        """Rank 0: where the others find it."""
        address = _address()
        self._place = meeting_place(address)
        return address, self._place.port

    def join(self, rank: int, count: int, place: tuple[str, int] | None, *others: Any) -> None:
        """Become this rank, once what ``others`` stand for is there."""
        del others
        ranks: Ranks = ONE_RANK
        if place is not None:
            store, device = self._place or met_at(*place), self.learner_blueprint.device
            ranks = ProcessGroup(store, rank, count, device, _address())
        self.learner = self.learner_blueprint.build(ranks)

    def keep(self, key: int, value: Any) -> None:
        """Functions are sent once: the learner tells objectives apart by identity."""
        self.kept[key] = value

    def update(self, how: Sequence[Any], held: Sequence[Any], *there: Mapping[str, Trajectory]) -> list[Any]:
        """See `Learner.update`; ``how``: policy, keys of the recipe, key of the objective, further arguments.

        ``held``: a reference to each trajectory, in a map by policy, or None; ``there``: the maps themselves,
        at a learner that is alone. Raises DataLost, at all ranks, where one cannot get what it holds.
        """
        policy, recipe, objective, *arguments = how
        trajectories = [each[policy] for each in there] if there else self._fetched(policy, held)
        steps = [self.kept[key] for key in recipe]
        return list(self.learner.update(policy, trajectories, steps, self.kept[objective], *arguments))

    def update_on_samples(
        self,
        policy: str,
        samples: Tree,
        objective: int,
        knobs: Knobs,
        target_columns: int | None,
    ) -> list[Any]:
        """See `Learner.update_on_samples`."""
        columns = None if target_columns is None else self.kept[target_columns]
        return list(self.learner.update_on_samples(policy, samples, self.kept[objective], knobs, columns))

    def update_on_parts(
        self,
        policy: str,
        samples: RemoteSample,
        objective: int,
        knobs: Knobs,
        target_columns: int | None,
        *parts: dict[str, Part],
    ) -> tuple[list[Any], Tree]:
        """The same with a sample that is in shards, of ``parts``. The rows apart: shards want them."""
        whole = samples.of(parts)
        steps, stats, rows = self.update_on_samples(policy, whole, objective, knobs, target_columns)
        return [steps, stats, {}], rows

    def publication(self, policy: str) -> tuple[list[Any], np.ndarray]:
        """What is told of the present weights, and themselves apart: each goes to who wants it."""
        weights = self.learner.publication(policy)
        return weights.summary.told, weights.flat

    def call(self, name: str, *arguments: Any) -> Any:
        """Any other method of the learner."""
        return getattr(self.learner, name)(*arguments)

    def _fetched(self, policy: str, held: Sequence[Any]) -> list[Trajectory | None]:
        import ray

        lost, why = np.zeros(1, np.int64), "at another rank of the learner"
        found: list[Any] = []
        try:
            found = ray.get([reference for reference in held if reference is not None])
        except ray.exceptions.ObjectLostError as error:
            lost[0], why = 1, str(error)
        self.learner.ranks.sum(lost)
        if lost[0]:
            raise DataLost(why)
        here = iter(found)
        return [None if reference is None else next(here)[policy] for reference in held]


def _address() -> str:
    """Where the other machines of the cluster reach this one."""
    import ray

    address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]  # Ray has no types
    return address


def _require_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError(
            "spec.learner.gpusPerReplica is 1, and the learner's process sees no GPU: give its pods one "
            "(and an image whose torch is built for it), or set it to 0"
        )
