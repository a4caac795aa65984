"""The learner: it owns parameters, optimizers and targets; algorithms own none.

All parameters of a policy, their gradients and the optimizer's moments are flat vectors; layers are views of
them. An objective is a function; what it is fed with is made in `rl_platform.workers.minibatches`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_platform.data.recipe import DataFn
from rl_platform.data.trajectory import Trajectory
from rl_platform.data.tree import STATE, Tree
from rl_platform.models.policy import Knobs, Policy
from rl_platform.workers.minibatches import is_step_column, parts, rows, sequences, shuffled
from rl_platform.workers.optimizer import FlatOptimizer, Optimizer

if TYPE_CHECKING:
    import torch

Batch = dict[str, "torch.Tensor"]
Params = Mapping[str, "torch.Tensor"]
Objective = Callable[
    [Policy, Params, "Params | None", Batch, Knobs], "tuple[torch.Tensor, dict[str, torch.Tensor]]"
]
"""(policy, parameters, target parameters, batch of columns [N, ...], knobs) → (loss, detached statistics)."""
TargetColumns = Callable[[Policy, Params, Batch, Knobs], Batch]
"""(policy, target parameters, columns of all minibatches [N, ...], knobs) → further columns [N, ...]."""


@dataclass(frozen=True, slots=True)
class Learning:
    """What an algorithm wants of the learner for each policy."""

    optimizer: Optimizer
    target: bool = False  # keep a second set of parameters, moved by `Learner.update_target`


class PolicyLearner:
    """Everything that is learned of one policy."""

    def __init__(self, policy: Policy, learning: Learning, seed: int, device: str) -> None:
        import torch

        self.policy, self.seed, self.draws = policy, seed, 0
        self.flat = torch.from_numpy(policy.layout.initial(seed)).to(device)
        self.gradient = torch.zeros_like(self.flat)
        self.params = _trainable_views(policy, self.flat, self.gradient)
        self.target_flat = self.flat.clone() if learning.target else None
        self.target = policy.layout.views(self.target_flat) if learning.target else None
        self.optimizer = FlatOptimizer(self.flat, self.gradient, learning.optimizer)

    def step(self, objective: Objective, batch: Batch, knobs: Knobs) -> dict[str, torch.Tensor]:
        """One optimizer step. Returns the objective's statistics with ``loss`` and ``gradient_norm``."""
        import torch

        self.gradient.zero_()
        loss, stats = objective(self.policy, self.params, self.target, batch, knobs)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation for it
        with torch.no_grad():
            norm = self.optimizer.step(float(knobs["learning_rate"]))
        return {**stats, "loss": loss.detach(), "gradient_norm": norm}


class Learner:
    """Learns from batches, for any number of policies. One thread; all is reproducible from the seed."""

    def __init__(
        self,
        policies: Mapping[str, Policy],
        trained: Sequence[str],
        learning: Learning,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self.device = device
        self.trained = tuple(trained)
        self.policies = dict(policies)
        self.learners = {
            name: PolicyLearner(policy, learning, _seed(seed, position), device)
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
    ) -> tuple[int, dict[str, float]]:
        """Several epochs of minibatches over trajectories. Returns optimizer steps and mean statistics.

        With ``target_kl`` it stops after the first minibatch whose ``approx_kl`` exceeds 1.5 times that.
        """
        learner = self.learners[policy]
        make = self._sequence_batches if learner.policy.recurrent else self._row_batches
        batches = make(learner, trajectories, recipe, knobs, epochs, minibatch_size)
        return self._run(learner, batches, objective, knobs, target_kl)

    def update_on_samples(
        self,
        policy: str,
        samples: Tree,
        objective: Objective,
        knobs: Knobs,
        target_columns: TargetColumns | None = None,
    ) -> tuple[int, dict[str, float]]:
        """One optimizer step for each of the minibatches [U, B, ...] in ``samples``.

        ``target_columns`` are computed for all of them at once: the target does not move in between.
        """
        import torch

        learner = self.learners[policy]
        columns = self._tensors(samples)
        count, size = next(iter(columns.values())).shape[:2]
        if target_columns is not None and learner.target is not None:
            flat = {name: leaf.flatten(0, 1) for name, leaf in columns.items()}
            with torch.no_grad():
                more = target_columns(learner.policy, learner.target, flat, knobs)
            columns |= {name: leaf.reshape(count, size, *leaf.shape[1:]) for name, leaf in more.items()}
        names, leaves = list(columns), (leaf.unbind() for leaf in columns.values())
        batches = (dict(zip(names, minibatch, strict=True)) for minibatch in zip(*leaves, strict=True))
        return self._run(learner, batches, objective, knobs, None)

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

    def _run(
        self,
        learner: PolicyLearner,
        batches: Iterable[Batch],
        objective: Objective,
        knobs: Knobs,
        target_kl: float | None,
    ) -> tuple[int, dict[str, float]]:
        import torch

        history: list[dict[str, torch.Tensor]] = []
        for batch in batches:
            stats = learner.step(objective, batch, knobs)
            history.append(stats)
            if target_kl is not None and float(stats["approx_kl"]) > 1.5 * target_kl:
                break
        if not history:
            return 0, {}
        means = {name: float(torch.stack([stats[name] for stats in history]).mean()) for name in history[0]}
        return len(history), means

    def _row_batches(
        self,
        learner: PolicyLearner,
        trajectories: Sequence[Trajectory],
        recipe: Sequence[DataFn],
        knobs: Knobs,
        epochs: int,
        size: int,
    ) -> Iterator[Batch]:
        columns = self._tensors(rows(trajectories, recipe, knobs))
        total = len(columns["action"])
        if not total:
            return
        for order in self._orders(learner, total, size, epochs):
            mixed = {name: leaf[self._index(np.concatenate(order))] for name, leaf in columns.items()}
            for part in parts(total, size):
                yield {name: leaf[part] for name, leaf in mixed.items()}

    def _sequence_batches(
        self,
        learner: PolicyLearner,
        trajectories: Sequence[Trajectory],
        recipe: Sequence[DataFn],
        knobs: Knobs,
        epochs: int,
        size: int,
    ) -> Iterator[Batch]:
        steps, states = sequences(trajectories, recipe, knobs)
        length, total = steps["valid"].shape
        if not total:
            return
        columns, state = self._tensors(steps), self._tensors(states)
        for order in self._orders(learner, total, max(1, size // length), epochs):
            for chosen in order:
                index = self._index(chosen)
                batch = {name: leaf[:, index] for name, leaf in columns.items()}
                valid = batch["valid"]
                batch = {name: leaf if is_step_column(name) else leaf[valid] for name, leaf in batch.items()}
                batch |= {_state_path(path): leaf[index] for path, leaf in state.items()}
                yield batch

    def _orders(
        self, learner: PolicyLearner, total: int, size: int, epochs: int
    ) -> Iterator[list[np.ndarray]]:
        learner.draws += 1
        return shuffled(total, size, epochs, learner.seed, learner.draws)

    def _index(self, index: np.ndarray) -> torch.Tensor:
        import torch

        return torch.from_numpy(index).to(self.device)

    def _tensors(self, tree: Tree) -> Batch:
        import torch

        return {
            name: torch.from_numpy(np.ascontiguousarray(leaf)).to(self.device) for name, leaf in tree.items()
        }


def _trainable_views(policy: Policy, flat: torch.Tensor, gradient: torch.Tensor) -> dict[str, Any]:
    """Leaf views of the flat vector whose gradients accumulate in views of the flat gradient."""
    gradients = policy.layout.views(gradient)
    views: dict[str, Any] = {}
    for path, view in policy.layout.views(flat).items():
        leaf = view.detach().requires_grad_()
        leaf.grad = gradients[path]
        views[path] = leaf
    return views


def _state_path(path: str) -> str:
    return path if path.startswith(f"{STATE}/") else f"{STATE}/{path}"


def _seed(seed: int, position: int) -> int:
    """Another stream for each policy of a run."""
    return int(np.random.SeedSequence([seed, position]).generate_state(1, np.uint64)[0] >> 1)
