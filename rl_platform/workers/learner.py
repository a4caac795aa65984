"""The learner: it owns parameters, optimizers and targets; algorithms own none.

All parameters of a policy, their gradients and the optimizer's moments are flat vectors; layers are views of
them. An objective is a function; what it is fed with is made in `rl_platform.workers.minibatches`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rl_platform.data.recipe import DataFn
from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import Tree
from rl_platform.models.policy import Knobs, Policy
from rl_platform.workers.autograd_step import Precision
from rl_platform.workers.minibatches import parts, rows, sequence_batch, sequences, shuffled
from rl_platform.workers.objective import Objective, TargetColumns
from rl_platform.workers.policy_learner import Learning, PolicyLearner, Step
from rl_platform.workers.reassessment import Assessor, reassessed
from rl_platform.workers.replay_draws import REPLAY

__all__ = ["Learner", "Learning"]

Columns = dict[str, Any]
"""Numpy arrays or tensors, as the step takes them."""


class Learned(NamedTuple):
    """What came of a batch or of samples."""

    steps: int  # of the optimizer
    stats: dict[str, float]  # means over minibatches
    rows: Tree  # [U, B] what the objective says of every row; minibatches of equal size only


class Learner:
    """Learns from batches, for any number of policies. One thread; all is reproducible from the seed."""

    def __init__(
        self,
        policies: Mapping[str, Policy],
        trained: Sequence[str],
        learning: Learning,
        seed: int,
        device: str = "cpu",
        precision: Precision = "float32",
    ) -> None:
        self.device = device
        self.trained = tuple(trained)
        self.policies = dict(policies)
        self.learners = {
            name: PolicyLearner(policy, learning, policy_seed(seed, position), device, precision)
            for position, (name, policy) in enumerate(policies.items())
        }

    def update(
        self,
        policy: str,
        trajectories: Sequence[Trajectory],
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
        """
        learner = self.learners[policy]
        step = learner.step(objective)
        if assessor != "actor":
            by_target = assessor == "target"
            trajectories = [reassessed(step, learner.policy, each, knobs, by_target) for each in trajectories]
        make = self._sequence_batches if learner.policy.recurrent else self._row_batches
        batches = make(learner, step, trajectories, recipe, knobs, epochs, minibatch_size)
        return _run(learner, step, batches, knobs, target_kl)

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
        step = learner.step(objective)
        columns = step.columns({n: leaf for n, leaf in samples.items() if not n.startswith(REPLAY)})
        count, size = next(iter(columns.values())).shape[:2]
        if target_columns is not None:
            flat = {name: leaf.reshape(count * size, *leaf.shape[2:]) for name, leaf in columns.items()}
            more = target_columns(step.of_target(flat, knobs))
            columns |= {name: leaf.reshape(count, size, *leaf.shape[1:]) for name, leaf in more.items()}
        batches = (
            dict(zip(columns, minibatch, strict=True)) for minibatch in zip(*columns.values(), strict=True)
        )
        return _run(learner, step, batches, knobs, None)

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

    def _row_batches(
        self,
        learner: PolicyLearner,
        step: Step,
        trajectories: Sequence[Trajectory],
        recipe: Sequence[DataFn],
        knobs: Knobs,
        epochs: int,
        size: int,
    ) -> Iterator[Columns]:
        columns = step.columns(rows(trajectories, recipe, knobs))
        total = len(columns["action"])
        if not total:
            return
        size = size or total
        for order in self._orders(learner, total, size, epochs):
            mixed = step.take(columns, np.concatenate(order))
            for part in parts(total, size):
                yield {name: leaf[part] for name, leaf in mixed.items()}

    def _sequence_batches(
        self,
        learner: PolicyLearner,
        step: Step,
        trajectories: Sequence[Trajectory],
        recipe: Sequence[DataFn],
        knobs: Knobs,
        epochs: int,
        size: int,
    ) -> Iterator[Columns]:
        steps, states = sequences(trajectories, recipe, knobs)
        length, total = steps["valid"].shape
        if not total:
            return
        columns, state = step.columns(steps), step.columns(states)
        count = max(1, size // length) if size else total
        for order in self._orders(learner, total, count, epochs):
            for chosen in order:
                yield sequence_batch(step.take(columns, chosen, axis=1), step.take(state, chosen))

    def _orders(
        self, learner: PolicyLearner, total: int, size: int, epochs: int
    ) -> Iterator[list[np.ndarray]]:
        learner.draws += 1
        return shuffled(total, size, epochs, learner.seed, learner.draws)


def _run(
    learner: PolicyLearner,
    step: Step,
    batches: Iterable[Columns],
    knobs: Knobs,
    target_kl: float | None,
) -> Learned:
    history: list[dict[str, Any]] = []
    for batch in batches:
        stats = learner.descend(step, batch, knobs)
        history.append(stats)
        if target_kl is not None and float(stats["approx_kl"]) > 1.5 * target_kl:
            break
    if not history:
        return Learned(0, {}, {})
    of_rows = [name for name, value in history[0].items() if getattr(value, "ndim", 0)]
    rows_of = {name: np.stack([np.asarray(stats.pop(name)) for stats in history]) for name in of_rows}
    # Summed where they are and read once: reading a tensor waits for it.
    means = {name: float(sum(stats[name] for stats in history)) / len(history) for name in history[0]}
    return Learned(len(history), means, rows_of)


def policy_seed(seed: int, position: int) -> int:
    """Another stream for each policy of a run."""
    return int(np.random.SeedSequence([seed, position]).generate_state(1, np.uint64)[0] >> 1)
