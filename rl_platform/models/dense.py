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
        """Weights and bias of each layer, views of ``leaves``: the first [F, S·H], later ones [S, H, H']."""
        return [
            (leaves[w], leaves[b]) if i == 0 else (_by_trunk(leaves[w]), _by_trunk(np.atleast_2d(leaves[b])))
            for i, (w, b) in enumerate(self.layers)
        ]


def dense_heads(names: Sequence[str], trunk_of_each: bool, prefix: str = "") -> tuple[DenseHead, ...]:
    """Heads below ``prefix``, each on a trunk of its own or all on the first."""
    return tuple(
        DenseHead(name, i if trunk_of_each else 0, f"{prefix}head/{name}/w", f"{prefix}head/{name}/b")
        for i, name in enumerate(names)
    )


def _by_trunk(leaf: np.ndarray) -> np.ndarray:
    return leaf if leaf.ndim == 3 else leaf[None]
