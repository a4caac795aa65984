"""The spaces of one policy: a leaf specification per observation path, and one action space.

Free of Gymnasium, so that models, checkpoints and serving describe a policy without it;
`rl_platform.envs.spaces` converts. Everything here goes to JSON and back unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

LeafKind = Literal["box", "discrete", "multi_discrete", "image", "set", "count", "mask"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One observation array without its batch dimension.

    kind            shape     dtype    meaning
    box             any       float32  real numbers, bounds in ``low``/``high`` (for all; may be infinite)
    discrete        ()        int64    0 .. categories[0]-1 (a Gymnasium ``start`` is already subtracted)
    multi_discrete  (k,)      int64    categories[i] values each
    image           (H,W,C)   uint8    0 .. 255, channels last
    set             (M, F)    float32  up to M elements at ``<path>/values``, the first ``<path>/count`` real
    count           ()        int64    how many elements of its set are real
    mask            (n,)      int8     1 where an action is legal (only at ``ACTION_MASK``)
    """

    kind: LeafKind
    shape: tuple[int, ...]
    dtype: str
    low: float = -np.inf
    high: float = np.inf
    categories: tuple[int, ...] = ()
    start: tuple[int, ...] = ()  # what was subtracted, for each of categories; empty: zeros


@dataclass(frozen=True, slots=True)
class ActionSpace:
    """The action of one policy; ``action`` arrays have shape ``[..., *shape]``.

    kind            shape   dtype    what the policy stores and learns from
    discrete        ()      int64    0 .. categories[0]-1; ``start`` is added on the way to the environment
    multi_discrete  (k,)    int64    as above per component
    box             any     float32  unclipped and unscaled; maps to [low, high] on the way to the
                                     environment, which takes ``box_dtype``
    """

    kind: Literal["discrete", "multi_discrete", "box"]
    shape: tuple[int, ...]
    categories: tuple[int, ...] = ()
    start: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    box_dtype: str = field(default="float32", compare=False)  # says nothing of what was learned

    @property
    def size(self) -> int:
        """Components of one action, flattened."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def dtype(self) -> str:
        return "float32" if self.kind == "box" else "int64"

    @property
    def env_dtype(self) -> str:
        """Of what the environment takes."""
        return self.box_dtype if self.kind == "box" else self.dtype

    def left_by(self, mask: np.ndarray) -> np.ndarray:
        """Whether masks [..., A] leave each discrete component a legal action: bool [...]."""
        if self.kind == "discrete":
            return np.asarray(mask.any(-1))
        starts = np.cumsum([0, *self.categories[:-1]])
        return np.asarray(np.logical_or.reduceat(mask != 0, starts, axis=-1).all(-1))


def in_dtype(actions: np.ndarray, dtype: np.dtype[Any] | str) -> np.ndarray:
    """Actions in the environment's scale as numbers of its dtype: the nearest ones where those are whole."""
    dtype = np.dtype(dtype)
    if dtype.kind in "iub" and actions.dtype.kind == "f":
        actions = np.rint(actions.astype(np.float64))
        if dtype.kind != "b":
            limits = np.iinfo(dtype)
            top = float(limits.max)  # of 64 bits it is rounded up, to what the dtype does not hold
            actions = actions.clip(limits.min, top if top <= limits.max else np.nextafter(top, 0.0))
    return actions.astype(dtype, copy=False)


@dataclass(frozen=True, slots=True)
class Spaces:
    """What a policy sees (path → leaf) and what it does."""

    obs: dict[str, Leaf] = field(default_factory=dict)
    action: ActionSpace = field(default_factory=lambda: ActionSpace("discrete", (), (1,), (0,)))

    def to_json(self) -> dict[str, Any]:
        """A JSON document; infinities are written as the strings ``inf`` and ``-inf``."""
        return {
            "obs": {path: _encode(leaf) for path, leaf in self.obs.items()},
            "action": _encode(self.action),
        }

    @staticmethod
    def from_json(document: dict[str, Any]) -> Spaces:
        return Spaces(
            {path: Leaf(**_decode(leaf)) for path, leaf in document["obs"].items()},
            ActionSpace(**_decode(document["action"])),
        )


def _encode(spec: Leaf | ActionSpace) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        if isinstance(value, float) and not np.isfinite(value):
            return str(value)
        return value

    return {name: plain(getattr(spec, name)) for name in spec.__slots__}


def _decode(document: dict[str, Any]) -> dict[str, Any]:
    def typed(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(typed("", item) for item in value)
        if value in ("inf", "-inf") and name != "kind":
            return float(value)
        return value

    return {name: typed(name, value) for name, value in document.items()}
