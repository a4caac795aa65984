"""All leaves of an observation in one feature vector."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from rl_platform.data.spaces import Leaf, Spaces
from rl_platform.data.tree import ACTION_MASK
from rl_platform.models.encoders import ConvEncoder, FlatEncoder, LeafEncoder, OneHotEncoder
from rl_platform.models.net import Param
from rl_platform.models.ops import Array, Ops
from rl_platform.models.set_encoder import SetEncoder, count_path, real_elements


class FlatSetEncoder:
    """A set as numbers in the order given, zeros in the padding, and the fraction of places in use."""

    def __init__(self, path: str, shape: tuple[int, ...]) -> None:
        self.path, self.places, self.numbers = path, shape[0], prod(shape)
        self.size = self.numbers + 1
        self.params: tuple[Param, ...] = ()

    def encode(self, ops: Ops, params: Mapping[str, Array], obs: Mapping[str, Array]) -> Array:
        mask = ops.arange_mask(obs[count_path(self.path)], self.places)
        values = ops.reshape(real_elements(ops, obs[self.path], mask), (-1, self.numbers))
        return ops.concat([values, ops.mean(ops.cast(mask, "float32"), 1)[..., None]], -1)


class ObservationEncoder:
    """Every leaf by the encoder of its kind, side by side; sets last, because they look at the others.

    ``encoder``: ``auto`` goes by the leaf's kind; ``flat`` lays images and sets out as numbers; ``conv`` also
    takes boxes of three dimensions as images; ``set`` also takes boxes of two dimensions as sets without
    padding. Raises ValueError where ``conv`` or ``set`` finds nothing to work on, or nothing at all is
    observed.
    """

    def __init__(self, spaces: Spaces, encoder: str, activation: str, prefix: str) -> None:
        seen = {p: leaf for p, leaf in spaces.obs.items() if p != ACTION_MASK and leaf.kind != "count"}
        if not seen:
            raise ValueError("the observation has no leaf that a network could read; expected at least one")
        for path, leaf in seen.items():
            if leaf.kind == "set" and count_path(path) not in spaces.obs:
                raise ValueError(
                    f"observation {path!r} is a set without a count; expected {count_path(path)!r} too"
                )
        sets = {path: leaf for path, leaf in seen.items() if _is_set(leaf, encoder)}
        self.leaves: tuple[LeafEncoder, ...] = tuple(
            _leaf_encoder(path, leaf, encoder, prefix) for path, leaf in seen.items() if path not in sets
        )
        context = sum(leaf.size for leaf in self.leaves)
        self.sets = tuple(
            SetEncoder(path, leaf.shape, context, activation, prefix) for path, leaf in sets.items()
        )
        convolves = any(isinstance(leaf, ConvEncoder) for leaf in self.leaves)
        if (encoder == "conv" and not convolves) or (encoder == "set" and not sets):
            found = ", ".join(f"{path} ({leaf.kind} {leaf.shape})" for path, leaf in seen.items())
            raise ValueError(f"model.encoder is {encoder!r}, which fits none of {found}; use auto or flat")
        self.size = context + sum(leaf.size for leaf in self.sets)
        self.dense = not convolves and not sets
        self.params: tuple[Param, ...] = (
            *(param for leaf in self.leaves for param in leaf.params),
            *(param for leaf in self.sets for param in leaf.params),
        )
        self._only = self.leaves[0] if len(self.leaves) == 1 and not self.sets else None

    def encode(self, ops: Ops, params: Mapping[str, Array], obs: Mapping[str, Array]) -> Array:
        """Features [B, size] of observation leaves [B, ...]."""
        if self._only is not None:
            return self._only.encode(ops, params, obs)
        parts = [leaf.encode(ops, params, obs) for leaf in self.leaves]
        context = (ops.concat(parts, -1) if len(parts) > 1 else parts[0]) if parts else None
        pooled = [leaf.encode(ops, params, obs, context) for leaf in self.sets]
        everything = pooled if context is None else [context, *pooled]
        return ops.concat(everything, -1) if len(everything) > 1 else everything[0]


def _is_set(leaf: Leaf, encoder: str) -> bool:
    if encoder == "set" and leaf.kind == "box":
        return len(leaf.shape) == 2
    return leaf.kind == "set" and encoder != "flat"


def _leaf_encoder(path: str, leaf: Leaf, encoder: str, prefix: str) -> LeafEncoder:
    if leaf.kind in ("discrete", "multi_discrete"):
        return OneHotEncoder(path, leaf.categories, scalar=leaf.kind == "discrete")
    if leaf.kind == "set":
        return FlatSetEncoder(path, leaf.shape)
    if leaf.kind == "image":
        if encoder != "flat":
            return ConvEncoder(path, leaf, prefix)
        return FlatEncoder(path, leaf.shape, scale=1 / 255, cast=True)
    if encoder == "conv" and leaf.kind == "box" and len(leaf.shape) == 3:
        return ConvEncoder(path, leaf, prefix)
    if leaf.kind == "box":
        return FlatEncoder(path, leaf.shape)
    raise ValueError(
        f"observation {path!r} is a {leaf.kind}, which no encoder reads; expected a box, "
        "discrete, multi_discrete, image or set"
    )
