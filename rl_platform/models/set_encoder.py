"""Sets of varying size: the same small network for every element, then pooling that ignores order and
padding.

Shape legend: B rows, M places for elements, F features of an element, E features of an encoded one, A
attention heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from rl_platform.models.encoders import SQRT2
from rl_platform.models.net import Param
from rl_platform.models.ops import Array, Ops

ELEMENT = 64
ATTENTION_HEADS = 4
FAR = -1e9


def count_path(path: str) -> str:
    """Where the number of elements of the set at ``path`` is."""
    return f"{path.removesuffix('/values')}/count"


def element_mask(ops: Ops, obs: Mapping[str, Array], path: str, places: int) -> Array | None:
    """bool [B, M]: which places hold a real element; None where the set has no count, so that all do."""
    count = obs.get(count_path(path))
    return None if count is None else ops.arange_mask(count, places)


def real_elements(ops: Ops, values: Array, mask: Array | None) -> Array:
    """[B, M, F] with zeros in the padding, whatever was there."""
    return values if mask is None else ops.where(mask[..., None], values, 0.0)


class SetEncoder:
    """Mean and maximum (Zaheer et al. 2017, 1703.06114) beside attention pooling (Lee et al. 2019,
    1810.00825).

    The attention's query is computed from the other leaves (learned constants where there are none): which
    elements matter may depend on what else is seen. An empty set encodes to zeros.
    """

    def __init__(self, path: str, shape: tuple[int, ...], context: int, activation: str, prefix: str) -> None:
        self.path, self.context, self.activation = path, context, activation
        self.places, features = shape
        self.prefix = f"{prefix}encoder/{path}"
        self.size = 3 * ELEMENT
        self.params: tuple[Param, ...] = (
            *self._dense("element0", features, ELEMENT, SQRT2),
            *self._dense("element1", ELEMENT, ELEMENT, SQRT2),
            *self._dense("key", ELEMENT, ELEMENT, 1.0),
            *self._dense("value", ELEMENT, ELEMENT, 1.0),
            *(self._dense("query", context, ELEMENT, 1.0) if context else self._learned_query()),
        )

    def _dense(self, name: str, inputs: int, outputs: int, gain: float) -> tuple[Param, Param]:
        path = f"{self.prefix}/{name}"
        return Param(f"{path}/w", (inputs, outputs), "orthogonal", gain), Param(f"{path}/b", (outputs,))

    def _learned_query(self) -> tuple[Param]:
        return (Param(f"{self.prefix}/query/b", (ELEMENT,), "uniform", 1.0),)

    def encode(
        self, ops: Ops, params: Mapping[str, Array], obs: Mapping[str, Array], context: Array | None
    ) -> Array:
        """Features [B, 3E] from values [B, M, F], the count [B] if any, and other features [B, context]."""

        def dense(name: str, x: Array) -> Array:
            return ops.linear(x, params[f"{self.prefix}/{name}/w"], params[f"{self.prefix}/{name}/b"])

        mask = element_mask(ops, obs, self.path, self.places)
        x = real_elements(ops, obs[self.path], mask)
        x = ops.activation(self.activation, dense("element0", x))
        x = ops.activation(self.activation, dense("element1", x))
        query = params[f"{self.prefix}/query/b"] if context is None else dense("query", context)
        attended = self._attend(ops, query, dense("key", x), dense("value", x), mask)
        if mask is None:
            return ops.concat([ops.mean(x, 1), ops.max(x, 1), attended], -1)
        real = mask[..., None]
        number = ops.clip(ops.sum(ops.cast(mask, "float32"), 1), 1.0, float(self.places))
        mean = ops.sum(ops.where(real, x, 0.0), 1) / number[..., None]
        some = mask[..., :1]
        largest = ops.where(some, ops.max(ops.where(real, x, FAR), 1), 0.0)
        return ops.concat([mean, largest, ops.where(some, attended, 0.0)], -1)

    def _attend(self, ops: Ops, query: Array, key: Array, value: Array, mask: Array | None) -> Array:
        """Softmax-weighted values [B, E] for query [B, E] (or [E]), keys and values [B, M, E]."""
        width = ELEMENT // ATTENTION_HEADS
        split = (-1, self.places, ATTENTION_HEADS, width)
        query = ops.reshape(query, (-1, 1, ATTENTION_HEADS, width))
        score = ops.sum(ops.reshape(key, split) * query, -1) * (1.0 / sqrt(width))
        if mask is not None:
            score = ops.where(mask[..., None], score, FAR)
        weight = ops.exp(ops.log_softmax(ops.transpose(score, (0, 2, 1))))
        weight = ops.transpose(weight, (0, 2, 1))[..., None]
        return ops.reshape(ops.sum(ops.reshape(value, split) * weight, 1), (-1, ELEMENT))
