"""The learner in a process of its own, as a Ray actor: the same calls, with trajectories by reference.

What is learned from goes from where it was sampled straight to the learner. Nothing of Ray is imported before
it is started, and nothing of torch in this process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rl_platform.data.recipe import DataFn
from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree
from rl_platform.models.policy import Knobs, Policy
from rl_platform.workers.autograd_step import Precision
from rl_platform.workers.fragment import RemoteTrajectory
from rl_platform.workers.learner import Learned, Learner, policy_seed
from rl_platform.workers.objective import Objective, TargetColumns
from rl_platform.workers.policy_learner import Learning
from rl_platform.workers.ray_session import RaySession
from rl_platform.workers.remote_sample import RemoteSample
from rl_platform.workers.replay_buffer import Part


class LearnerLost(Exception):
    """The learner's process is gone; what it learned since the last checkpoint went with it."""


class DataLost(Exception):
    """What was to be learned from is gone, with the node where it lay."""


@dataclass(frozen=True)
class LearnerBlueprint:
    """The arguments of `Learner`."""

    policies: Mapping[str, Policy]
    trained: Sequence[str]
    learning: Learning
    seed: int
    device: str
    precision: Precision


class LearnerProcess:
    """What the actor runs."""

    def __init__(self, blueprint: LearnerBlueprint) -> None:
        it = blueprint
        if it.device == "cuda":
            _require_gpu()
        self.learner = Learner(it.policies, it.trained, it.learning, it.seed, it.device, it.precision)
        self.kept: dict[int, Any] = {}

    def keep(self, key: int, value: Any) -> None:
        """Functions are sent once: the learner tells objectives apart by identity."""
        self.kept[key] = value

    def update(
        self,
        policy: str,
        places: Sequence[tuple[int, str]],
        recipe: Sequence[int],
        objective: int,
        arguments: Sequence[Any],
        *data: Mapping[str, Trajectory],
    ) -> Learned:
        """See `Learner.update`; ``places``: position in ``data`` and policy of each trajectory."""
        trajectories = [data[position][name] for position, name in places]
        steps = [self.kept[key] for key in recipe]
        return self.learner.update(policy, trajectories, steps, self.kept[objective], *arguments)

    def update_on_samples(
        self,
        policy: str,
        samples: Tree | RemoteSample,
        objective: int,
        knobs: Knobs,
        target_columns: int | None,
        *parts: dict[str, Part],
    ) -> Learned:
        """See `Learner.update_on_samples`; ``parts``: what a sample that is in shards refers to."""
        columns = None if target_columns is None else self.kept[target_columns]
        samples = samples.of(parts) if isinstance(samples, RemoteSample) else samples
        return self.learner.update_on_samples(policy, samples, self.kept[objective], knobs, columns)

    def call(self, name: str, *arguments: Any) -> Any:
        """Any other method of the learner."""
        return getattr(self.learner, name)(*arguments)


class RemoteLearner:
    """Has the methods of `Learner`; each waits for its answer. Raises LearnerLost."""

    ray: Any  # the module

    def __init__(self, blueprint: LearnerBlueprint, session: RaySession, gpus: int = 0) -> None:
        self.blueprint, self.session, self.gpus = blueprint, session, gpus
        self.policies = dict(blueprint.policies)
        self._actor: Any = None
        self._keys: dict[int, tuple[int, Any]] = {}  # id of a function → its key, and the function

    def start(self) -> None:
        """Make the process, anew if there was one; it comes up while the caller goes on."""
        import ray

        self.ray = ray
        self._keys.clear()
        options = {**self.session.placement("learner"), "num_gpus": self.gpus, "max_restarts": 0}
        self._actor = ray.remote(LearnerProcess).options(**options).remote(self.blueprint)

    def close(self) -> None:
        """End it at once."""
        if self._actor is not None:
            self.ray.kill(self._actor)

    def update(
        self,
        policy: str,
        trajectories: Sequence[Trajectory | RemoteTrajectory],
        recipe: Sequence[DataFn],
        objective: Objective,
        *arguments: Any,
    ) -> Learned:
        """See `Learner.update`. Raises DataLost too."""
        data: list[Any] = []
        places: list[tuple[int, str]] = []
        for each in trajectories:
            if isinstance(each, RemoteTrajectory):
                data.append(each.data)
            else:
                data.append(self.ray.put({each.policy: each}))
            places.append((len(data) - 1, each.policy))
        keys = [self._key(step) for step in recipe]
        asked = self._actor.update.remote(policy, places, keys, self._key(objective), arguments, *data)
        done: Learned = self._answer(asked)
        return done

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
    ) -> list[Any]:
        """The same, not waited for: what `learned` takes, of which the first is ready when all will be."""
        columns = None if target_columns is None else self._key(target_columns)
        parts: tuple[Any, ...] = ()
        if isinstance(samples, RemoteSample):
            samples, parts = replace(samples, parts=()), samples.parts
        key = self._key(objective)
        return [self._actor.update_on_samples.remote(policy, samples, key, knobs, columns, *parts)]

    def learned(self, asked: list[Any]) -> Learned:
        """What has come of it. Raises DataLost too."""
        done: Learned = self._answer(asked[0])
        return done

    def apply(self, policy: str, gradient: np.ndarray, knobs: Knobs) -> float:
        """See `Learner.apply`."""
        norm: float = self._answer(self._actor.call.remote("apply", policy, gradient, knobs))
        return norm

    def update_target(self, policy: str, rate: float = 1.0) -> None:
        """See `Learner.update_target`."""
        self._actor.call.remote("update_target", policy, rate)

    def weights(self, policy: str) -> np.ndarray:
        """See `Learner.weights`; before the start, those that the learner will begin with."""
        if self._actor is None:
            seed = policy_seed(self.blueprint.seed, list(self.policies).index(policy))
            return self.policies[policy].layout.initial(seed)
        weights: np.ndarray = self._answer(self._actor.call.remote("weights", policy))
        return weights

    def load_weights(self, policy: str, flat: np.ndarray) -> None:
        """See `Learner.load_weights`."""
        self._answer(self._actor.call.remote("load_weights", policy, flat))

    def snapshot(self, policy: str) -> Tree:
        """See `Learner.snapshot`."""
        arrays: Tree = self._answer(self._actor.call.remote("snapshot", policy))
        return arrays

    def restore(self, policy: str, arrays: Tree) -> None:
        """See `Learner.restore`."""
        self._answer(self._actor.call.remote("restore", policy, arrays))

    def _key(self, function: Any) -> int:
        known = self._keys.get(id(function))
        if known is None:
            known = self._keys[id(function)] = (len(self._keys), function)
            self._actor.keep.remote(*known)
        return known[0]

    def _answer(self, asked: Any) -> Any:
        """What it says. Raises what the learner raised, with its traceback."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(asked)
        except errors.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except errors.RayActorError as error:
            how = str(error).strip().partition("\n")[0]
            raise LearnerLost(f"the learner's process is gone: {how}") from error
        except errors.ObjectLostError as error:
            raise DataLost(str(error)) from error


def _require_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError(
            "spec.learner.gpusPerReplica is 1, and the learner's process sees no GPU: give its pods one "
            "(and an image whose torch is built for it), or set it to 0"
        )
