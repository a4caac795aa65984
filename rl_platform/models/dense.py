"""Dense networks as data: which parameters make up which layer, so that learning needs no tape of operations.

Shape legend: B rows, F features, H units, S trunks of equal shape side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
        """Views of ``leaves`` by layer: weights [F, S·H], later [S, H, H'], and bias [S·H] of all trunks."""
        return [
            (leaves[w] if i == 0 or leaves[w].ndim == 3 else leaves[w][None], leaves[b].reshape(-1))
            for i, (w, b) in enumerate(self.layers)
        ]

    def layers_of(self, head: str, leaves: Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights [F, H] and bias [H] of each layer of this head's trunk, then of the head."""
        (own,) = (each for each in self.heads if each.name == head)
        layers = []
        for w, b in self.arranged(leaves):
            units = len(b) // self.trunks
            mine = slice(own.trunk * units, (own.trunk + 1) * units)
            layers.append((np.ascontiguousarray(w[own.trunk] if w.ndim == 3 else w[:, mine]), b[mine]))
        return [*layers, (leaves[own.w], leaves[own.b])]


def dense_heads(names: Sequence[str], trunk_of_each: bool, prefix: str = "") -> tuple[DenseHead, ...]:
    """Heads below ``prefix``, each on a trunk of its own or all on the first."""
    return tuple(
        DenseHead(name, i if trunk_of_each else 0, f"{prefix}head/{name}/w", f"{prefix}head/{name}/b")
        for i, name in enumerate(names)
    )
