"""The learner: it owns parameters, optimizers and targets; algorithms own none.

All parameters of a policy, their gradients and the optimizer's moments are flat vectors; layers are views of
them. An objective is a function; what it is fed with is made in `rl_platform.workers.minibatches`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from rl_platform.data.recipe import DataFn
from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree
from rl_platform.models.policy import Knobs, Policy
from rl_platform.objectives.clipped_surrogate import standardized
from rl_platform.workers.autograd_step import Precision, exact_convolutions
from rl_platform.workers.learned import Learned
from rl_platform.workers.minibatches import shuffled
from rl_platform.workers.objective import Objective, TargetColumns, standardized_by
from rl_platform.workers.policy_learner import Learning, PolicyLearner, Step
from rl_platform.workers.ranks import ONE_RANK, Ranks
from rl_platform.workers.reassessment import Assessor, reassessed
from rl_platform.workers.replay_draws import REPLAY
from rl_platform.workers.shares import Part, Share
from rl_platform.workers.units import RowUnits, SequenceUnits, Units
from rl_platform.workers.weights import LocalWeights

__all__ = ["Learner", "Learning"]


class Learner:
    """Learns from batches, for any number of policies. One thread; all is reproducible from the seed.

    Where it is one of several ``ranks``, each is called alike, and they end with the same parameters.
    """

    def __init__(
        self,
        policies: Mapping[str, Policy],
        trained: Sequence[str],
        learning: Learning,
        seed: int,
        device: str = "cpu",
        precision: Precision = "float32",
        ranks: Ranks = ONE_RANK,
    ) -> None:
        if device == "cuda":
            exact_convolutions()
        self.device, self.ranks = device, ranks
        self.trained = tuple(trained)
        self.policies = dict(policies)
        self.learners = {
            name: PolicyLearner(policy, learning, policy_seed(seed, position), device, precision, ranks)
            for position, (name, policy) in enumerate(policies.items())
        }

    def update(
        self,
        policy: str,
        trajectories: Sequence[Trajectory | None],
        recipe: Sequence[DataFn],
        objective: Objective,
        knobs: Knobs,
        epochs: int,
        minibatch_size: int,
        target_kl: float | None = None,
        assessor: Assessor = "actor",
    ) -> Learned:
        """Several epochs of minibatches over trajectories, of all rows if ``minibatch_size`` is 0.

        With ``target_kl`` it stops after the first minibatch whose ``approx_kl`` exceeds 1.5 times that.
        Another ``assessor`` than the actor says first what it thinks of all rows, for the recipe to read.
        A trajectory that only other ranks hold is None.
        """
        learner = self.learners[policy]
        step = learner.step(objective)
        held = [trajectory for trajectory in trajectories if trajectory is not None]
        if assessor != "actor":
            by_target = assessor == "target"
            held = [reassessed(step, learner.policy, each, knobs, by_target) for each in held]
        kind: type[RowUnits | SequenceUnits] = SequenceUnits if learner.policy.recurrent else RowUnits
        units = kind(step, held, recipe, knobs)
        if self.ranks.count == 1:
            parts = self._whole(learner, units, epochs, minibatch_size)
        else:
            counts = iter(units.counts)
            told = [None if trajectory is None else next(counts) for trajectory in trajectories]
            share = Share(self.ranks, units, told, standardized_by(objective))
            parts = self._shared(learner, share, epochs, minibatch_size)
        return self._run(learner, step, parts, knobs, target_kl)._replace(rows={})

    def update_on_samples(
        self,
        policy: str,
        samples: Tree,
        objective: Objective,
        knobs: Knobs,
        target_columns: TargetColumns | None = None,
    ) -> Learned:
        """One optimizer step for each of the minibatches [U, B, ...] in ``samples``.

        ``target_columns`` are computed for all of them at once: the target does not move in between.
        """
        learner = self.learners[policy]
        step = learner.step(objective, of_rows=True)
        size = len(samples["action"][0])
        if self.ranks.count > 1:
            samples = samples | {
                name: np.stack([standardized(leaf) for leaf in samples[name]])
                for name in standardized_by(objective)
            }
            samples = {name: leaf[:, self.ranks.rank :: self.ranks.count] for name, leaf in samples.items()}
        columns = step.columns({n: leaf for n, leaf in samples.items() if not n.startswith(REPLAY)})
        count, own = columns["action"].shape[:2]
        if target_columns is not None and own:
            flat = {name: leaf.reshape(count * own, *leaf.shape[2:]) for name, leaf in columns.items()}
            more = target_columns(step.of_target(flat, knobs))
            columns |= {name: leaf.reshape(count, own, *leaf.shape[1:]) for name, leaf in more.items()}
        batches = (
            dict(zip(columns, minibatch, strict=True)) for minibatch in zip(*columns.values(), strict=True)
        )
        parts = ((batch if own else None, own / size) for batch in batches)
        return self._run(learner, step, parts, knobs, None)

    def apply(self, policy: str, gradient: np.ndarray, knobs: Knobs) -> float:
        """One optimizer step along a gradient [size] that was computed elsewhere; returns its norm."""
        import torch

        learner = self.learners[policy]
        learner.gradient.copy_(torch.from_numpy(np.array(gradient)))
        return float(learner.optimizer.step(float(knobs["learning_rate"])))

    def update_target(self, policy: str, rate: float = 1.0) -> None:
        """Move the target parameters towards the online ones by ``rate`` (1 copies them)."""
        learner = self.learners[policy]
        if learner.target_flat is None:
            raise ValueError(
                f"policy {policy} has no target parameters: the algorithm must ask for them in learning()"
            )
        learner.target_flat.lerp_(learner.flat, rate)

    def weights(self, policy: str) -> np.ndarray:
        """A copy of the flat parameter vector, float32 [size]."""
        return np.array(self.learners[policy].flat.cpu().numpy())

    def publication(self, policy: str) -> LocalWeights:
        """The present weights, as they are published."""
        return LocalWeights(self.weights(policy), self.policies[policy].layout)

    def load_weights(self, policy: str, flat: np.ndarray) -> None:
        """Put weights in place of the learned ones (and of the target). Raises ValueError on another size."""
        import torch

        learner = self.learners[policy]
        if flat.shape != tuple(learner.flat.shape):
            raise ValueError(
                f"policy {policy} has {learner.flat.numel()} parameters, the weights given have {flat.size}: "
                "they belong to another network (spec.model) or other spaces"
            )
        learner.flat.copy_(torch.from_numpy(np.array(flat)))
        if learner.target_flat is not None:
            learner.target_flat.copy_(learner.flat)

    def snapshot(self, policy: str) -> Tree:
        """Parameters, moments, target and the number of draws made, as numpy arrays."""
        learner = self.learners[policy]
        arrays = {"flat": self.weights(policy), "draws": np.array([learner.draws])}
        arrays |= {f"optimizer/{name}": leaf for name, leaf in learner.optimizer.snapshot().items()}
        if learner.target_flat is not None:
            arrays["target"] = np.array(learner.target_flat.cpu().numpy())
        return arrays

    def digest(self, policy: str) -> str:
        """Of its snapshot: the same at each rank, or they no longer learn as one."""
        of = blake2b(digest_size=16)
        for name, leaf in sorted(self.snapshot(policy).items()):
            of.update(name.encode() + leaf.tobytes())
        return of.hexdigest()

    def restore(self, policy: str, arrays: Tree) -> None:
        """Put a snapshot back. Raises ValueError where it belongs to another network."""
        import torch

        learner = self.learners[policy]
        self.load_weights(policy, arrays["flat"])
        moments = {name.removeprefix("optimizer/"): leaf for name, leaf in arrays.items() if "/" in name}
        learner.optimizer.restore(moments)
        learner.draws = int(arrays["draws"][0])
        if learner.target_flat is not None and "target" in arrays:
            learner.target_flat.copy_(torch.from_numpy(arrays["target"]))

    def _whole(self, learner: PolicyLearner, units: Units, epochs: int, size: int) -> Iterator[Part]:
        """Minibatches that this learner has for itself."""
        for order in self._orders(learner, units.total, units.length, epochs, size):
            for batch in units.batches(order):
                yield batch, 1.0

    def _shared(self, learner: PolicyLearner, share: Share, epochs: int, size: int) -> Iterator[Part]:
        """This rank's part of each minibatch."""
        for order in self._orders(learner, share.total, share.length, epochs, size):
            yield from share.parts(order)

    def _orders(
        self, learner: PolicyLearner, total: int, length: int, epochs: int, size: int
    ) -> Iterator[list[np.ndarray]]:
        """Choices of units of ``length`` rows for the minibatches of each epoch."""
        if not total:
            return iter(())
        learner.draws += 1
        count = max(1, size // length) if size else total
        return shuffled(total, count, epochs, learner.seed, learner.draws)

    def _run(
        self,
        learner: PolicyLearner,
        step: Step,
        parts: Iterable[Part],
        knobs: Knobs,
        target_kl: float | None,
    ) -> Learned:
        steps = 0
        sums: dict[str, Any] = {}
        rows: dict[str, list[Any]] = {}
        for batch, share in parts:
            steps, kl = steps + 1, 0.0
            for name, value in learner.descend(step, batch, knobs, share).items():
                if getattr(value, "ndim", 0):
                    rows.setdefault(name, []).append(value)
                else:
                    part = value if share == 1.0 else value * share
                    sums[name] = sums.get(name, 0.0) + part
                    kl = part if name == "approx_kl" else kl
            if target_kl is not None and self._sum(kl) > 1.5 * target_kl:
                break
        # Summed where they are and read once: reading a tensor waits for it.
        means = {name: float(value) / steps for name, value in sums.items()}
        even = {name: of for name, of in rows.items() if len({len(part) for part in of}) == 1}
        return Learned(
            steps, means, {name: np.stack([_host(part) for part in of]) for name, of in even.items()}
        )

    def _sum(self, share: Any) -> float:
        """Of a statistic, over the ranks."""
        whole = np.array([float(share)])
        self.ranks.sum(whole)
        return float(whole[0])


def _host(array: Any) -> np.ndarray:
    """A numpy array, or a tensor on any device."""
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)


def policy_seed(seed: int, position: int) -> int:
    """Another stream for each policy of a run."""
    return int(np.random.SeedSequence([seed, position]).generate_state(1, np.uint64)[0] >> 1)
