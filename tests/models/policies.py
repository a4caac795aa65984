"""Spaces, model specifications, observations and policies that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rl_platform.data.spaces import ActionSpace, Leaf, Spaces
from rl_platform.data.tree import ACTION_MASK


@dataclass(frozen=True)
class Recurrent:
    kind: str = "none"
    size: int = 12
    sequence_length: int = 8


@dataclass(frozen=True)
class Model:
    hidden: tuple[int, ...] = (16, 8)
    activation: str = "tanh"
    encoder: str = "auto"
    recurrent: Recurrent = Recurrent()
    share_trunk: str = "auto"
    observation_filter: str = "none"
    return_filter: str = "none"
    entrypoint: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)


BOX = {"obs": Leaf("box", (4,), "float32")}
DICT = {
    "obs/speed": Leaf("box", (), "float32"),
    "obs/grid": Leaf("box", (2, 3), "float32"),
    "obs/mode": Leaf("discrete", (), "int64", categories=(3,)),
    "obs/gears": Leaf("multi_discrete", (2,), "int64", categories=(2, 4)),
    "obs/lamps": Leaf("multi_discrete", (3,), "int64", categories=(2, 2, 2)),
}
IMAGE = {"obs": Leaf("image", (36, 40, 2), "uint8")}
SMALL_IMAGE = {"obs/view": Leaf("image", (13, 12, 3), "uint8"), "obs/speed": Leaf("box", (2,), "float32")}
TINY_IMAGE = {"obs": Leaf("image", (5, 6, 1), "uint8")}
SPECK = {"obs": Leaf("image", (4, 3, 1), "uint8")}
SET = {"obs/values": Leaf("set", (5, 3), "float32"), "obs/count": Leaf("count", (), "int64")}
SET_AND_BOX = {
    "obs/self": Leaf("box", (2,), "float32"),
    "obs/others/values": Leaf("set", (5, 3), "float32"),
    "obs/others/count": Leaf("count", (), "int64"),
}

DISCRETE = ActionSpace("discrete", (), (5,), (-2,))
MULTI = ActionSpace("multi_discrete", (3,), (2, 3, 4), (0, 1, 0))
BOX_ACTION = ActionSpace("box", (2, 2), low=(-1.0, 2.0, -np.inf, 0.0), high=(1.0, 10.0, np.inf, np.inf))


def masked(obs: dict[str, Leaf], action: ActionSpace) -> Spaces:
    """The spaces with an action mask."""
    return Spaces({**obs, ACTION_MASK: Leaf("mask", (sum(action.categories),), "int8")}, action)


def observations(spaces: Spaces, rows: tuple[int, ...], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random leaves [*rows, ...]; masks leave every component a legal action, some sets are empty or full."""
    return {path: _random(path, leaf, rows, spaces.action, rng) for path, leaf in spaces.obs.items()}


def _random(
    path: str, leaf: Leaf, rows: tuple[int, ...], action: ActionSpace, rng: np.random.Generator
) -> np.ndarray:
    shape = (*rows, *leaf.shape)
    if leaf.kind in ("box", "set"):
        return rng.standard_normal(shape, np.float32)
    if leaf.kind == "image":
        return rng.integers(0, 256, shape, np.uint8)
    if leaf.kind == "count":
        return rng.integers(0, 6, shape)
    if leaf.kind == "mask":
        mask = rng.random(shape) < 0.5
        starts = np.cumsum([0, *action.categories[:-1]])
        for start, size in zip(starts, action.categories, strict=True):
            np.put_along_axis(mask, start + rng.integers(0, size, (*rows, 1)), True, -1)
        return mask.astype(np.int8)
    return (
        rng.integers(0, leaf.categories, shape) if leaf.shape else rng.integers(0, leaf.categories[0], shape)
    )


def random_weights(size: int, seed: int) -> np.ndarray:
    """Large enough that every head depends on every layer, small enough not to saturate."""
    return (np.random.default_rng(seed).standard_normal(size) * 0.2).astype(np.float32)
