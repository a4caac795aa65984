"""Gymnasium spaces as the platform's own: one leaf per observation path, one action space.

What is not supported is refused here, by name and path, before anything starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces as gym_spaces

from rl_platform.data.spaces import ActionSpace, Leaf, Spaces, in_dtype
from rl_platform.data.tree import ACTION, ACTION_MASK, OBS

OBSERVATIONS = "Box, Discrete, MultiDiscrete, MultiBinary, Dict, Tuple or a Sequence of Box"
ACTIONS = "Discrete, MultiDiscrete, MultiBinary or Box"
MASK_KEY = ACTION_MASK.removeprefix(f"{OBS}/")
GRAY_OR_COLOUR = 4
"""Up to so many channels a small first or last axis is one of channels whatever the others are."""


class UnsupportedSpace(ValueError):
    """A space that no policy can work with; the message has its path and what would be supported."""


def policy_spaces(
    observation: gym_spaces.Space[Any],
    action: gym_spaces.Space[Any],
    max_set_size: int | None = None,
    mask_in_info: bool = False,
) -> Spaces:
    """Leaves of an observation space and the action space. Raises UnsupportedSpace.

    ``mask_in_info``: the action mask comes in ``info["action_mask"]`` instead of in the observation.
    """
    for name, space in (("action_space", action), ("observation_space", observation)):
        if not isinstance(space, gym_spaces.Space):
            raise UnsupportedSpace(f"{name} is {space!r:.60}; expected a gymnasium.spaces.Space")
    acts = action_space(action)
    leaves = observation_leaves(observation, max_set_size)
    if ACTION_MASK in leaves or mask_in_info:
        leaves[ACTION_MASK] = _mask_leaf(leaves.get(ACTION_MASK), acts)
    return Spaces(leaves, acts)


def observation_leaves(
    space: gym_spaces.Space[Any], max_set_size: int | None = None, path: str = OBS
) -> dict[str, Leaf]:
    """Path → leaf, in the order of the space."""
    if isinstance(space, gym_spaces.Dict):
        children = [(f"{path}/{key}", child) for key, child in space.spaces.items()]
    elif isinstance(space, gym_spaces.Tuple):
        children = [(f"{path}/{i}", child) for i, child in enumerate(space.spaces)]
    elif isinstance(space, gym_spaces.Sequence):
        return _set_leaves(space, max_set_size, path)
    else:
        return {path: _leaf(space, path)}
    if not children:
        raise UnsupportedSpace(f"{path}: the space {space!r} is empty; expected at least one observation")
    leaves: dict[str, Leaf] = {}
    for child_path, child in children:
        found = observation_leaves(child, max_set_size, child_path)
        if twice := sorted(leaves.keys() & found.keys()):
            raise UnsupportedSpace(
                f"{twice[0]}: two observations have this path; give one of the keys another name, without a /"
            )
        leaves |= found
    return leaves


def action_space(space: gym_spaces.Space[Any], path: str = ACTION) -> ActionSpace:
    """The action space of a policy. Raises UnsupportedSpace, with ``path`` in its message."""
    _refuse_empty(space, path)
    if isinstance(space, gym_spaces.Discrete):
        return ActionSpace("discrete", (), (int(space.n),), (int(space.start),))
    if isinstance(space, gym_spaces.MultiDiscrete) and space.nvec.ndim == 1:
        start = tuple(int(s) for s in space.start)
        return ActionSpace("multi_discrete", space.nvec.shape, tuple(int(n) for n in space.nvec), start)
    if isinstance(space, gym_spaces.MultiBinary) and len(space.shape) == 1:
        size = space.shape[0]
        return ActionSpace("multi_discrete", (size,), (2,) * size, (0,) * size)
    if isinstance(space, gym_spaces.Box):
        low, high = (tuple(float(x) for x in bound.ravel()) for bound in (space.low, space.high))
        return ActionSpace("box", space.shape, low=low, high=high, box_dtype=str(space.dtype))
    raise UnsupportedSpace(
        f"{path}: the space {space!r:.200} is not supported; expected {ACTIONS} (1-D if discrete)"
    )


def action_list(space: gym_spaces.Space[Any]) -> Callable[[np.ndarray], Sequence[Any]]:
    """A function from actions in the environment's scale [L, ...] to what each environment's ``step`` takes:
    arrays and numbers as ``space.sample()`` gives them.
    """
    dtype = np.dtype(space.dtype)

    def rows(actions: np.ndarray) -> Sequence[Any]:
        return list(actions if actions.dtype == dtype else in_dtype(actions, dtype))

    return rows


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether a 3-D image of this shape has its channels in front: the smaller outer axis is that of
    channels.
    """
    return shape[0] < shape[2]


def _refuse_empty(space: gym_spaces.Space[Any], path: str) -> None:
    if 0 in (space.shape or ()):
        raise UnsupportedSpace(
            f"{path}: the space {space!r:.200} has no elements (its shape is {space.shape}); leave it out"
        )


def _leaf(space: gym_spaces.Space[Any], path: str) -> Leaf:
    _refuse_empty(space, path)
    if isinstance(space, gym_spaces.Box):
        low, high = float(space.low.min()), float(space.high.max())
        if _is_image(space):
            height, width, channels = space.shape
            if channels_first(space.shape):
                channels, height, width = space.shape
            return Leaf("image", (height, width, channels), "uint8", low, high)
        return Leaf("box", space.shape, "float32", low, high)
    if isinstance(space, gym_spaces.Discrete):
        return Leaf("discrete", (), "int64", categories=(int(space.n),), start=_start(space.start))
    if isinstance(space, gym_spaces.MultiDiscrete):
        categories = tuple(int(n) for n in space.nvec.ravel())
        start = _start(space.start)
        return Leaf("multi_discrete", (len(categories),), "int64", categories=categories, start=start)
    if isinstance(space, gym_spaces.MultiBinary):
        return Leaf("box", space.shape, "float32", 0.0, 1.0)
    raise UnsupportedSpace(f"{path}: the space {space!r:.200} is not supported; expected {OBSERVATIONS}")


def _start(start: Any) -> tuple[int, ...]:
    """Empty where all is counted from 0."""
    values = tuple(int(value) for value in np.ravel(start))
    return values if any(values) else ()


def _is_image(space: gym_spaces.Box) -> bool:
    if space.dtype != np.uint8 or len(space.shape) != 3:
        return False
    channels = min(space.shape[0], space.shape[2])
    return channels <= GRAY_OR_COLOUR or channels < min(space.shape[1], max(space.shape[0], space.shape[2]))


def _set_leaves(space: gym_spaces.Sequence, max_set_size: int | None, path: str) -> dict[str, Leaf]:
    feature = space.feature_space
    if not isinstance(feature, gym_spaces.Box):
        raise UnsupportedSpace(
            f"{path}: a Sequence of {feature!r:.200} is not supported; expected a Sequence of Box"
        )
    _refuse_empty(feature, path)
    if max_set_size is None:
        raise UnsupportedSpace(
            f"{path}: a Sequence has no largest size of its own; set environment.maxSetSize to the most "
            "elements that an observation can have"
        )
    size = int(np.prod(feature.shape, dtype=np.int64))
    low, high = float(feature.low.min()), float(feature.high.max())
    return {
        f"{path}/values": Leaf("set", (max_set_size, size), "float32", low, high),
        f"{path}/count": Leaf("count", (), "int64", 0.0, float(max_set_size)),
    }


def _mask_leaf(declared: Leaf | None, action: ActionSpace) -> Leaf:
    size = sum(action.categories)
    if action.kind == "box":
        raise UnsupportedSpace(
            f"{ACTION_MASK}: a Box action cannot be masked; expected Discrete or MultiDiscrete"
        )
    if declared is not None and declared.shape != (size,):
        raise UnsupportedSpace(
            f"{ACTION_MASK}: has shape {declared.shape}; expected ({size},), one number for each action"
        )
    return Leaf("mask", (size,), "int8", 0.0, 1.0)
