"""Dense networks as data: which parameters make up which layer, so that learning needs no tape of operations.

Shape legend: B rows, F features, H units, S trunks of equal shape side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rl_platform.models.observation_encoder import ObservationEncoder


@dataclass(frozen=True, slots=True)
class DenseHead:
    """One head, read from the last layer of one trunk: weights [H, size], bias [size]."""

    name: str
    trunk: int
    w: str
    b: str


@dataclass(frozen=True, slots=True)
class DenseLayers:
    """A network that is an encoder without parameters, dense layers, and heads on the last of them.

    The first layer of all trunks is one product: weights [F, S·H], bias [S·H]. Later ones are [S, H, H'] and
    [S, 1, H']; with one trunk the leading axis may be missing. A network that offers one of these as its
    attribute ``dense`` is learned from without autograd (`rl_platform.models.dense_pass`).
    """

    encoder: ObservationEncoder
    activation: str
    trunks: int
    layers: tuple[tuple[str, str], ...]
    heads: tuple[DenseHead, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """All parameters."""
        layers = (path for layer in self.layers for path in layer)
        return (*layers, *(path for head in self.heads for path in (head.w, head.b)))

    def arranged(self, leaves: Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Views of ``leaves`` by layer: weights [S, F, H] and bias [S, 1, H] of all trunks."""
        arranged = []
        for i, (w, b) in enumerate(self.layers):
            bias, weights = leaves[b].reshape(self.trunks, 1, -1), leaves[w]
            if i == 0:
                weights = weights.reshape(len(weights), self.trunks, -1).transpose(1, 0, 2)
            arranged.append((weights.reshape(self.trunks, -1, bias.shape[-1]) if i else weights, bias))
        return arranged

    def alone(self, head: str, leaves: Mapping[str, np.ndarray]) -> tuple[DenseLayers, dict[str, np.ndarray]]:
        """This head and its trunk without the others, and its parameters by themselves (copies)."""
        (own,) = (each for each in self.heads if each.name == head)
        alone = {own.w: leaves[own.w].copy(), own.b: leaves[own.b].copy()}
        for (w, b), (weights, bias) in zip(self.layers, self.arranged(leaves), strict=True):
            alone |= {w: weights[own.trunk].copy(), b: bias[own.trunk, 0].copy()}
        return replace(self, trunks=1, heads=(replace(own, trunk=0),)), alone


def dense_heads(names: Sequence[str], trunk_of_each: bool, prefix: str = "") -> tuple[DenseHead, ...]:
    """Heads below ``prefix``, each on a trunk of its own or all on the first."""
    return tuple(
        DenseHead(name, i if trunk_of_each else 0, f"{prefix}head/{name}/w", f"{prefix}head/{name}/b")
        for i, name in enumerate(names)
    )
