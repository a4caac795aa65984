"""One head of a dense network, read in numpy: what chooses actions and says values while sampling."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rl_platform.models.dense import DenseLayers
from rl_platform.models.dense_pass import DensePasses
from rl_platform.models.numpy_ops import NUMPY

FEW_ROWS = 64
"""Below, memory that is at hand already gains less than looking it up costs."""


class HeadReader:
    """The head with copies of its trunk's layers, as they were in what was loaded last."""

    def __init__(self, net: DenseLayers, head: str, params: Mapping[str, np.ndarray]) -> None:
        self._whole, self._name = net, head
        self.net, own = net.alone(head, params)
        self._own = own
        (self._head,) = self.net.heads
        self._layers = [(own[w], own[b]) for w, b in self.net.layers]
        self._last = (own[self._head.w], own[self._head.b])
        self._passes = DensePasses(self.net, own)
        self.size = len(own[self._head.b])

    def load(self, params: Mapping[str, np.ndarray]) -> None:
        """Read by these from now on."""
        _, others = self._whole.alone(self._name, params)
        for path, leaf in others.items():
            self._own[path][...] = leaf

    def read(self, obs: Mapping[str, np.ndarray]) -> np.ndarray:
        """[B, size] of filtered observations [B, ...]."""
        x: np.ndarray = self.net.encoder.encode(NUMPY, {}, obs)
        if len(x) >= FEW_ROWS:
            return self._passes.of(len(x)).forward(x, learn=False)[self._head.name]
        for w, b in self._layers:
            x = NUMPY.activation(self.net.activation, NUMPY.linear(x, w, b))
        head: np.ndarray = NUMPY.linear(x, *self._last)
        return head
