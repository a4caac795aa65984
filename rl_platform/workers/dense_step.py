"""Optimizer steps of dense networks on the CPU without autograd: objective and layers both in closed form.

Equal to `AutogradStep` within the rounding of float32, at a fraction of the time: nothing but the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.models.dense import DenseLayers
from rl_platform.models.dense_pass import DensePass, DensePasses
from rl_platform.models.numpy_ops import NUMPY
from rl_platform.models.policy import Heads, Knobs, Policy
from rl_platform.objectives.clipped_surrogate import standardized
from rl_platform.workers.objective import ClosedForm
from rl_platform.workers.reassessment import Assessment


class DenseStep:
    """See `Step`. Batches are numpy arrays; parameters, gradient, target [size] are their owner's memory."""

    def __init__(
        self,
        policy: Policy,
        dense: DenseLayers,
        flat: np.ndarray,
        gradient: np.ndarray,
        target: np.ndarray | None,
        closed_form: ClosedForm,
        standardize: Sequence[str] = (),
    ) -> None:
        self.policy, self.dense, self.closed_form = policy, dense, closed_form
        self.standardize = standardize
        self.params = policy.layout.views(flat)
        self.target = None if target is None else policy.layout.views(target)
        self.gradients = policy.layout.views(gradient)
        self._passes: dict[str, DensePasses] = {}
        self._read_last: DensePass | None = None

    def columns(self, tree: Tree) -> Tree:
        """Numpy columns as this step takes them."""
        return tree

    def take(self, columns: Tree, index: np.ndarray, axis: int = 0) -> Tree:
        """These rows of such columns."""
        return {name: leaf.take(index, axis) for name, leaf in columns.items()}

    def of_target(self, columns: Tree, knobs: Knobs) -> Heads:
        """Heads of the target parameters for the observations afterwards; columns [N, ...]."""
        assert self.target is not None
        return self._read(columns, knobs, self.target, "target", "next/")

    def assess(self, batch: Tree, knobs: Knobs, of_target: bool) -> Assessment:
        """What the parameters, or the target's, say of actions and observations [N, ...]."""
        params = self.target if of_target else self.params
        assert params is not None
        seen, mask = self.policy.filter(NUMPY, {path: batch[path] for path in self.policy.spaces.obs}, knobs)
        by_name, _ = self.policy.net.forward(NUMPY, params, seen, {}, None)
        heads = Heads(self.policy, NUMPY, params, by_name, mask)
        return Assessment(heads.log_probability(batch["action"]), heads[str(self.policy.value)][:, 0])

    def gradient(self, batch: Tree, knobs: Knobs) -> dict[str, float]:
        """See `Step.gradient`."""
        batch = batch | {name: standardized(batch[name]) for name in self.standardize}
        read = partial(self._read, batch, knobs, self.params, "")
        descent = self.closed_form(read, batch, knobs)
        assert self._read_last is not None, "a closed form reads the heads whose gradients it gives"
        self._read_last.backward(descent.gradients, self.gradients)
        for param in self.policy.distribution.params:
            self.gradients[param.path][...] = descent.gradients.get(param.path, 0.0)
        return {**descent.stats, "loss": descent.loss}

    def _read(self, batch: Tree, knobs: Knobs, params: Tree, whose: str, prefix: str) -> Heads:
        obs = {path: batch[prefix + path] for path in self.policy.spaces.obs}
        seen, mask = self.policy.filter(NUMPY, obs, knobs)
        features = self.dense.encoder.encode(NUMPY, params, seen)
        passes = self._passes.get(whose + prefix)
        if passes is None:
            passes = self._passes[whose + prefix] = DensePasses(self.dense, params)
        made = passes.of(len(features))
        learn = not (whose or prefix)  # only the heads that the objective descends on are differentiated
        if learn:
            self._read_last = made
        heads = made.forward(features, learn)
        return Heads(self.policy, NUMPY, params, heads, mask)
