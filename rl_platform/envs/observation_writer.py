"""Writes one observation, as an environment gives it, into the rows of its leaves.

Every observation is checked for shape and dtype on the way, so that a wrong shape never broadcasts into a
row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces as gym_spaces

from rl_platform.data.spaces import ActionSpace, Leaf
from rl_platform.data.tree import ACTION_MASK, OBS
from rl_platform.envs.faults import FieldFault
from rl_platform.envs.spaces import MASK_KEY, channels_first, observation_leaves

Writer = Callable[[Any, Mapping[str, np.ndarray], int], None]
"""(observation, leaves [L, ...] by path, lane): writes row ``lane``. Raises FieldFault."""
Place = Callable[[np.ndarray], np.ndarray]
"""From a checked array to what is stored."""


def observation_writer(
    space: gym_spaces.Space[Any], max_set_size: int | None = None, path: str = OBS
) -> Writer:
    """The writer of a space; made once, called for every observation."""
    if isinstance(space, gym_spaces.Dict):
        return _dict_writer(space, max_set_size, path)
    if isinstance(space, gym_spaces.Tuple):
        return _tuple_writer(space, max_set_size, path)
    if isinstance(space, gym_spaces.Sequence):
        return _set_writer(space, max_set_size or 0, path)
    leaf = observation_leaves(space, max_set_size, path)[path]
    dtype = space.dtype or np.dtype(leaf.dtype)
    return array_writer(path, tuple(space.shape or ()), dtype, _place(space, leaf, path))


def array_writer(
    path: str, shape: tuple[int, ...], dtype: np.dtype[Any], place: Place | None = None
) -> Writer:
    """Writes arrays of exactly this shape, of any dtype that casts to ``dtype`` without changing its kind."""
    accepted: Any = dtype

    def write(obs: Any, rows: Mapping[str, np.ndarray], lane: int) -> None:
        nonlocal accepted
        if obs.__class__ is not np.ndarray or obs.shape != shape or obs.dtype is not accepted:
            obs = _checked(obs, path, shape, dtype)
            if not _may_not_fit(obs.dtype, dtype):
                accepted = obs.dtype
        rows[path][lane] = obs if place is None else place(obs)

    return write


def mask_writer(size: int) -> Writer:
    """Writes ``info["action_mask"]`` [size] to its leaf; the observation argument is the info."""
    array = array_writer(ACTION_MASK, (size,), np.dtype(np.int8))

    def write(info: Any, rows: Mapping[str, np.ndarray], lane: int) -> None:
        mask = info.get(MASK_KEY) if isinstance(info, Mapping) else None
        if mask is None:
            raise FieldFault(
                "info['action_mask']", "is missing; expected it with every observation, as at first"
            )
        array(_as_mask(np.asarray(mask)), rows, lane)

    return write


def refusing_without_action(write: Writer, action: ActionSpace) -> Writer:
    """The same writer, of observations to act on: their mask leaves each component a legal action."""

    def checked(obs: Any, rows: Mapping[str, np.ndarray], lane: int) -> None:
        write(obs, rows, lane)
        mask = rows[ACTION_MASK][lane]
        if not action.left_by(mask):
            raise FieldFault(ACTION_MASK, without_action(mask))

    return checked


def without_action(mask: np.ndarray) -> str:
    """What is wrong with a mask [A] that leaves nothing to do."""
    return f"leaves no legal action ({mask.tolist()!r:.100}); expected at least one 1 for each component"


def refuse_late_mask(info: Any) -> None:
    """Of environments whose first reset gave no mask. Raises FieldFault."""
    if info and isinstance(info, Mapping) and MASK_KEY in info:
        raise FieldFault(
            f"info[{MASK_KEY!r}]", "is there, and was not at the first reset; expected it always"
        )


def no_mask(numbers: np.ndarray) -> str:
    """What is wrong with these [A] as a mask."""
    return f"is {numbers.tolist()!r:.100}; expected 0 or 1 for each action"


def _as_mask(mask: np.ndarray) -> np.ndarray:
    """Masks come as bool, int or float arrays."""
    if mask.dtype != np.bool_ and not np.isin(mask, (0, 1)).all():
        raise FieldFault(ACTION_MASK, no_mask(mask))
    legal: np.ndarray = mask != 0
    return legal


def _checked(obs: Any, path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    try:
        array = np.asarray(obs)
    except ValueError:
        raise FieldFault(path, f"is {obs!r:.100}, which is no array; expected shape {shape}") from None
    if array.shape != shape:
        raise FieldFault(path, f"has shape {array.shape}; expected {shape}")
    if _may_not_fit(array.dtype, dtype):
        within(path, array, dtype)
    elif not np.can_cast(array.dtype, dtype, "same_kind"):
        raise FieldFault(path, f"has dtype {array.dtype}; expected {dtype} or one that casts to it")
    return array


def _may_not_fit(given: np.dtype[Any], dtype: np.dtype[Any]) -> bool:
    """Whole numbers of a dtype that holds more: each array has to be looked at."""
    return given.kind in "iu" and dtype.kind in "iu" and not np.can_cast(given, dtype)


def within(path: str, array: np.ndarray, dtype: np.dtype[Any]) -> None:
    """Raises FieldFault where an integer does not fit ``dtype``: it would be stored as another number."""
    limits = np.iinfo(dtype)
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        raise FieldFault(
            path, f"holds {array.min()} to {array.max()}; {dtype} holds {limits.min} to {limits.max}"
        )


def first_and_count(space: gym_spaces.Space[Any], leaf: Leaf) -> tuple[np.ndarray, np.ndarray] | None:
    """Where categories begin to count and how many there are, int64 of the space's shape; None for others."""
    if leaf.kind not in ("discrete", "multi_discrete"):
        return None
    start = np.asarray(getattr(space, "start", 0), np.int64)
    return start, np.array(leaf.categories).reshape(start.shape)


def _place(space: gym_spaces.Space[Any], leaf: Leaf, path: str) -> Place | None:
    if leaf.kind == "image":
        return (lambda obs: obs.transpose(1, 2, 0)) if channels_first(space.shape or ()) else None
    found = first_and_count(space, leaf)
    if found is None:
        return None
    start, categories = found

    def place(obs: np.ndarray) -> np.ndarray:
        index = obs.astype(np.int64) - start
        if np.any((index < 0) | (index >= categories)):
            last = (start + categories - 1).tolist()
            raise FieldFault(path, f"is {obs.tolist()}; expected {start.tolist()} to {last}")
        placed: np.ndarray = index.reshape(leaf.shape)
        return placed

    return place


def _dict_writer(space: gym_spaces.Dict, max_set_size: int | None, path: str) -> Writer:
    writers = []
    for key, child in space.spaces.items():
        child_path = f"{path}/{key}"
        write_child = observation_writer(child, max_set_size, child_path)
        if child_path == ACTION_MASK:
            write_child = array_writer(ACTION_MASK, tuple(child.shape or ()), np.dtype(np.float64), _as_mask)
        writers.append((key, write_child))
    keys = len(writers)

    def write(obs: Any, rows: Mapping[str, np.ndarray], lane: int) -> None:
        if not isinstance(obs, Mapping):
            raise FieldFault(
                path, f"is {type(obs).__name__}; expected a dict with the keys {list(space.spaces)}"
            )
        for key, write_child in writers:
            if key not in obs:
                raise FieldFault(f"{path}/{key}", f"is missing; the observation has the keys {list(obs)}")
            write_child(obs[key], rows, lane)
        if len(obs) > keys:
            unknown = [key for key in obs if key not in space.spaces]
            raise FieldFault(path, f"has the keys {unknown}, which its space does not declare")

    return write


def _tuple_writer(space: gym_spaces.Tuple[Any], max_set_size: int | None, path: str) -> Writer:
    writers = [observation_writer(child, max_set_size, f"{path}/{i}") for i, child in enumerate(space.spaces)]

    def write(obs: Any, rows: Mapping[str, np.ndarray], lane: int) -> None:
        if not isinstance(obs, tuple | list) or len(obs) != len(writers):
            size = f" of {len(obs)}" if isinstance(obs, tuple | list) else ""
            raise FieldFault(path, f"is {type(obs).__name__}{size}; expected a tuple of {len(writers)}")
        for write_child, child in zip(writers, obs, strict=True):
            write_child(child, rows, lane)

    return write


def _set_writer(space: gym_spaces.Sequence, largest: int, path: str) -> Writer:
    values, count = f"{path}/values", f"{path}/count"
    shape = tuple(space.feature_space.shape or ())

    def write(obs: Any, rows: Mapping[str, np.ndarray], lane: int) -> None:
        if not isinstance(obs, tuple | list | np.ndarray) or np.shape(obs) == ():
            raise FieldFault(path, f"is {type(obs).__name__}; expected a sequence of arrays of shape {shape}")
        size = len(obs)
        if size > largest:
            raise FieldFault(
                path, f"has {size} elements; expected at most {largest} (environment.maxSetSize)"
            )
        row = rows[values][lane]
        if size:
            array = _checked(obs, path, (size, *shape), np.dtype(np.float32))
            row[:size] = array.reshape(size, -1)
        row[size:] = 0
        rows[count][lane] = size

    return write
