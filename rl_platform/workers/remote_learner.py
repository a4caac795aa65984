"""The learner in processes of its own, as Ray actors: the same calls, with trajectories by reference.

What is learned from goes from where it was sampled straight to the learner. Several replicas are ranks of one
learner: each holds a part of every batch, and they sum their gradients. If one is lost, all are made anew.
Nothing of Ray is imported before they are started, and nothing of torch in this process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rl_platform.data.recipe import DataFn
from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree
from rl_platform.models.policy import Knobs
from rl_platform.workers.fragment import RemoteTrajectory
from rl_platform.workers.learned import Learned, RemoteRows, together
from rl_platform.workers.learner import policy_seed
from rl_platform.workers.learner_process import LearnerBlueprint, LearnerProcess
from rl_platform.workers.losses import DataLost, LearnerLost
from rl_platform.workers.objective import Objective, TargetColumns
from rl_platform.workers.process_group import PeerLost
from rl_platform.workers.ray_session import ARRAYS_STAY, RaySession
from rl_platform.workers.remote_sample import RemoteSample
from rl_platform.workers.shares import dealt
from rl_platform.workers.weights import LocalWeights, RemoteWeights, Weights

log = logging.getLogger(__name__)

LACKING_SECONDS = 15.0
"""After which it is said what the cluster has not got: it may be growing, so that is waited for."""
WARN_SECONDS = 60.0


class RanksDiffer(Exception):
    """The learner's replicas should hold equal parameters, and do not."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What the ranks will say of samples, in their order, and where their rows stay: references."""

    told: list[Any]
    rows: RemoteRows | None = None


class RemoteLearner:
    """Has the methods of `Learner`; each waits for its answers. Raises LearnerLost."""

    ray: Any  # the module
    role = "learner"  # of its processes, for their place

    def __init__(
        self, blueprint: LearnerBlueprint, session: RaySession, gpus: int = 0, replicas: int = 1
    ) -> None:
        self.blueprint, self.session, self.gpus, self.replicas = blueprint, session, gpus, replicas
        self.policies = dict(blueprint.policies)
        self._ranks: list[Any] = []  # actors
        self._joining: list[Any] = []  # what ranks that were made have not yet answered
        self._made_at = self._told_at = 0.0  # monotonic seconds; when it was said last that they are awaited
        self._keys: dict[int, tuple[int, Any]] = {}  # id of a function → its key, and the function

    def start(self) -> None:
        """Make the processes, anew if there were some; they come up while the caller goes on."""
        import ray

        self.ray = ray
        self.close()
        self._keys.clear()
        self._made_at = time.monotonic()
        self._ranks = self._made()
        count = len(self._ranks)
        place = self._ranks[0].open_place.remote() if count > 1 else None
        # Gloo's and NCCL's patience with each other begins only when all are there.
        up = [actor.up.remote() for actor in self._ranks] if count > 1 else []
        self._joining = [actor.join.remote(rank, count, place, *up) for rank, actor in enumerate(self._ranks)]

    def close(self) -> None:
        """End them at once."""
        for actor in self._ranks:
            self.ray.kill(actor)
        self._ranks = []

    def update(
        self,
        policy: str,
        trajectories: Sequence[Trajectory | RemoteTrajectory],
        recipe: Sequence[DataFn],
        objective: Objective,
        *arguments: Any,
    ) -> Learned:
        """See `Learner.update`. Raises DataLost too."""
        references = [
            each.data if isinstance(each, RemoteTrajectory) else self.ray.put({each.policy: each})
            for each in trajectories
        ]
        holders = self._holders(trajectories)
        keys, key = [self._key(step) for step in recipe], self._key(objective)
        how, asked = [policy, keys, key, *arguments], []
        if len(self._ranks) == 1:
            # References that are arguments themselves are sent in a tenth of the bytes, and need not be alike
            # at several ranks, of which none may begin where another lacks something.
            return self.learned(Asked([self._ranks[0].update.remote(how, [], *references)]))
        for rank, actor in enumerate(self._ranks):
            held = [
                reference if holder in (rank, None) else None
                for reference, holder in zip(references, holders, strict=True)
            ]
            asked.append(actor.update.remote(how, held))
        return self.learned(Asked(asked))

    def update_on_samples(
        self,
        policy: str,
        samples: Tree | RemoteSample,
        objective: Objective,
        knobs: Knobs,
        target_columns: TargetColumns | None = None,
    ) -> Learned:
        """See `Learner.update_on_samples`. Raises DataLost too."""
        return self.learned(self.ask_on_samples(policy, samples, objective, knobs, target_columns))

    def ask_on_samples(
        self,
        policy: str,
        samples: Tree | RemoteSample,
        objective: Objective,
        knobs: Knobs,
        target_columns: TargetColumns | None = None,
    ) -> Asked:
        """The same, not waited for: what `learned` takes. The first of ``told`` is ready when all will be."""
        columns = None if target_columns is None else self._key(target_columns)
        key = self._key(objective)
        if isinstance(samples, RemoteSample):
            head, parts = replace(samples, parts=()), samples.parts
            pairs = [
                actor.update_on_parts.options(num_returns=2).remote(policy, head, key, knobs, columns, *parts)
                for actor in self._ranks
            ]
            return Asked([told for told, _ in pairs], RemoteRows(tuple(rows for _, rows in pairs)))
        there = samples if len(self._ranks) == 1 else self.ray.put(samples)
        return Asked(
            [actor.update_on_samples.remote(policy, there, key, knobs, columns) for actor in self._ranks]
        )

    def learned(self, asked: Asked) -> Learned:
        """What has come of it. Raises DataLost too."""
        learned = together([Learned(*each) for each in self._answers(asked.told)])
        return learned if asked.rows is None else learned._replace(rows=asked.rows)

    def apply(self, policy: str, gradient: np.ndarray, knobs: Knobs) -> float:
        """See `Learner.apply`."""
        norm: float = self._all("apply", policy, gradient, knobs)[0]
        return norm

    def update_target(self, policy: str, rate: float = 1.0) -> None:
        """See `Learner.update_target`."""
        for actor in self._ranks:
            actor.call.remote("update_target", policy, rate)

    def weights(self, policy: str) -> np.ndarray:
        """See `Learner.weights`; before the start, those that the learner will begin with."""
        return self.publication(policy).flat

    def publication(self, policy: str) -> Weights:
        """See `Learner.publication`: what is told of the weights is here, they themselves stay."""
        if not self._ranks:
            seed = policy_seed(self.blueprint.seed, list(self.policies).index(policy))
            layout = self.policies[policy].layout
            return LocalWeights(layout.initial(seed), layout)
        told, flat = self._ranks[0].publication.options(num_returns=2).remote(policy)
        return RemoteWeights(self.ray, flat, self._answers([told])[0])

    def load_weights(self, policy: str, flat: np.ndarray) -> None:
        """See `Learner.load_weights`."""
        self._all("load_weights", policy, flat)

    def snapshot(self, policy: str) -> Tree:
        """See `Learner.snapshot`. Raises RanksDiffer."""
        if len(self._ranks) > 1:
            digests: list[str] = self._all("digest", policy)
            if len(set(digests)) > 1:
                told = ", ".join(f"{rank}: {digest}" for rank, digest in enumerate(digests))
                raise RanksDiffer(
                    f"the learner's replicas no longer hold equal parameters of policy {policy} (digests by "
                    f"rank: {told}): their nodes must compute alike, with one image on processors of one kind"
                )
        arrays: Tree = self._answers([self._ranks[0].call.remote("snapshot", policy)])[0]
        return arrays

    def restore(self, policy: str, arrays: Tree) -> None:
        """See `Learner.restore`."""
        self._all("restore", policy, arrays)

    def _made(self) -> list[Any]:
        """Fresh processes, in the order of their ranks."""
        options = {**self.session.placement("learner"), "num_gpus": self.gpus, "max_restarts": 0}
        # Ray's head keeps a record of each call otherwise, of a hundred thousand: a gigabyte an hour.
        options |= {"enable_task_events": False, "runtime_env": ARRAYS_STAY}
        process = self.ray.remote(LearnerProcess).options(**options)
        return [process.remote(self.blueprint) for _ in range(self.replicas)]

    def _holders(self, trajectories: Sequence[Trajectory | RemoteTrajectory]) -> list[int | None]:
        """Which rank gets each trajectory; None: all."""
        return dealt(len(trajectories), len(self._ranks))

    def _all(self, name: str, *arguments: Any) -> list[Any]:
        """What each rank's learner answers."""
        return self._answers([actor.call.remote(name, *arguments) for actor in self._ranks])

    def _key(self, function: Any) -> int:
        known = self._keys.get(id(function))
        if known is None:
            known = self._keys[id(function)] = (len(self._keys), function)
            for actor in self._ranks:
                actor.keep.remote(*known)
        return known[0]

    def _warn_of_waiting(self) -> None:
        """Once a minute, what they need; the first time soon if the cluster has not got it."""
        now, has = time.monotonic(), self.ray.cluster_resources()
        place = self.session.placement(self.role)
        needs = {"CPU": place["num_cpus"], "GPU": self.gpus, **place.get("resources", {})}
        lacking = any(amount * len(self._ranks) > has.get(name, 0) for name, amount in needs.items())
        if now - max(self._told_at, 0 if lacking else self._made_at) < WARN_SECONDS:
            return
        self._told_at = now
        log.warning(
            "the learner is not up after %.0f s: each of its %d processes takes %s, and the cluster has %s",
            now - self._made_at,
            len(self._ranks),
            _amounts(needs) or "no resources",
            _amounts({name: amount for name, amount in has.items() if not name.startswith("node:")}),
        )

    def _answers(self, asked: list[Any]) -> list[Any]:
        """What the ranks say. Raises what one of them raised, with its traceback, as soon as it is there: the
        others may wait for that one for ever.
        """
        waited, answers = [*self._joining, *asked], dict[Any, Any]()
        errors = self.ray.exceptions
        try:
            while waited:
                there, waited = self.ray.wait(waited, num_returns=1, timeout=LACKING_SECONDS)
                answers |= {ready: self.ray.get(ready) for ready in there}
                if not there and self._joining:
                    self._warn_of_waiting()
            self._joining = []
            return [answers[each] for each in asked]
        except errors.ObjectLostError as error:  # also where it was an argument
            raise DataLost(str(error)) from error
        except errors.RayTaskError as error:
            cause = error.as_instanceof_cause()
            if isinstance(cause, PeerLost):
                raise LearnerLost(f"a replica of the learner is gone or silent: {_line(cause)}") from error
            raise cause from None
        except errors.RayActorError as error:
            raise LearnerLost(f"the learner's process is gone: {_line(error)}") from error


def _amounts(resources: Mapping[str, float]) -> str:
    """Those that are counted, not measured in bytes."""
    counted = {name: it for name, it in sorted(resources.items()) if it and not name.endswith("memory")}
    return ", ".join(f"{amount:g} {name}" for name, amount in counted.items())


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
