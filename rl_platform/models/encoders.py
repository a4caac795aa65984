"""Encoders: from the leaves of an observation to one feature vector per row.

Shape legend: B rows, F features, H×W×C an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod, sqrt
from typing import Protocol

from rl_platform.data.spaces import Leaf
from rl_platform.models.net import Param
from rl_platform.models.ops import Array, Ops

SQRT2 = sqrt(2.0)


class LeafEncoder(Protocol):
    """Turns one leaf (a set also reads its count) into features [B, size]."""

    @property
    def size(self) -> int: ...

    @property
    def params(self) -> Sequence[Param]: ...

    def encode(self, ops: Ops, params: Mapping[str, Array], obs: Mapping[str, Array]) -> Array:
        """Features [B, size], float32."""


@dataclass(frozen=True)
class FlatEncoder:
    """Numbers as they are: a box, or counts and bytes times ``scale``."""

    path: str
    shape: tuple[int, ...]
    scale: float = 1.0
    cast: bool = False
    params: tuple[Param, ...] = ()

    @property
    def size(self) -> int:
        return prod(self.shape)

    def encode(self, ops: Ops, params: Mapping[str, Array], obs: Mapping[str, Array]) -> Array:
        x = obs[self.path]
        if self.cast:
            x = ops.cast(x, "float32")
        if self.scale != 1.0:
            x = x * self.scale
        return x if len(self.shape) == 1 else ops.reshape(x, (-1, self.size))


@dataclass(frozen=True)
class OneHotEncoder:
    """Categories as one-hot vectors, side by side; two-valued ones as the numbers 0 and 1."""

    path: str
    categories: tuple[int, ...]
    scalar: bool
    params: tuple[Param, ...] = ()

    @property
    def binary(self) -> bool:
        return not self.scalar and set(self.categories) == {2}

    @property
    def size(self) -> int:
        return len(self.categories) if self.binary else sum(self.categories)

    def encode(self, ops: Ops, params: Mapping[str, Array], obs: Mapping[str, Array]) -> Array:
        x = obs[self.path]
        if self.scalar:
            return ops.one_hot(x, self.categories[0])
        if self.binary:
            return ops.cast(x, "float32")
        return ops.concat([ops.one_hot(x[..., i], n) for i, n in enumerate(self.categories)], -1)


@dataclass(frozen=True)
class ConvLayer:
    channels: int
    kernel: int
    stride: int


NATURE = (ConvLayer(32, 8, 4), ConvLayer(64, 4, 2), ConvLayer(64, 3, 1))
MEDIUM = (ConvLayer(32, 4, 2), ConvLayer(64, 3, 1))
SMALL = (ConvLayer(32, 3, 1), ConvLayer(64, 3, 1))


def conv_stack(height: int, width: int) -> tuple[tuple[ConvLayer, ...], int]:
    """Layers and the size of the dense layer behind them, chosen by the shorter side.

    36 and more: the network of Mnih et al. 2015 (Nature 518) and 512 units. From 12: two layers, halving
    once. From 5: two 3×3 layers. Below: no convolution, dense only (256 units each).
    """
    side = min(height, width)
    if side >= 36:
        return NATURE, 512
    if side >= 12:
        return MEDIUM, 256
    return (SMALL if side >= 5 else ()), 256


class ConvEncoder:
    """Convolutions with relu, then a dense layer with relu. Bytes are scaled to [0, 1] here, nowhere else."""

    def __init__(self, path: str, leaf: Leaf, prefix: str) -> None:
        height, width, channels = leaf.shape
        self.path, self.layers = path, conv_stack(height, width)[0]
        self.size = conv_stack(height, width)[1]
        self.scale = 1.0 / 255.0 if leaf.dtype == "uint8" else 1.0
        self.prefix = f"{prefix}encoder/{path}"
        params: list[Param] = []
        for i, layer in enumerate(self.layers):
            shape = (layer.channels, layer.kernel, layer.kernel, channels)
            params.append(Param(f"{self.prefix}/conv{i}/w", shape, "orthogonal", SQRT2, outputs="first"))
            params.append(Param(f"{self.prefix}/conv{i}/b", (layer.channels,)))
            height = (height - layer.kernel) // layer.stride + 1
            width = (width - layer.kernel) // layer.stride + 1
            channels = layer.channels
        self.flat = height * width * channels
        params.append(Param(f"{self.prefix}/dense/w", (self.flat, self.size), "orthogonal", SQRT2))
        params.append(Param(f"{self.prefix}/dense/b", (self.size,)))
        self.params: tuple[Param, ...] = tuple(params)

    def encode(self, ops: Ops, params: Mapping[str, Array], obs: Mapping[str, Array]) -> Array:
        x = ops.cast(obs[self.path], "float32")
        scale = self.scale
        for i, layer in enumerate(self.layers):
            # Stored [O, kh, kw, C], which is the channels-last layout that convolutions want: no conversion
            # per call.
            w = ops.transpose(params[f"{self.prefix}/conv{i}/w"], (0, 3, 1, 2))
            # Scaling a few thousand weights costs less than scaling every pixel of the batch.
            w = w * scale if scale != 1.0 else w
            x = ops.activation("relu", ops.conv2d(x, w, params[f"{self.prefix}/conv{i}/b"], layer.stride))
            scale = 1.0
        if scale != 1.0:
            x = x * scale
        x = ops.reshape(x, (-1, self.flat))
        dense = ops.linear(x, params[f"{self.prefix}/dense/w"], params[f"{self.prefix}/dense/b"])
        return ops.activation("relu", dense)
