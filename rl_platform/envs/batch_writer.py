"""Writes a batch of observations, as a vector environment gives it, into the rows of its leaves.

Shape and dtype are checked for the whole batch at once. L lanes in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces as gym_spaces

from rl_platform.data.spaces import Leaf
from rl_platform.data.tree import ACTION_MASK, OBS
from rl_platform.envs.faults import FieldFault
from rl_platform.envs.observation_writer import first_and_count, no_mask, observation_writer, within
from rl_platform.envs.spaces import channels_first, observation_leaves

Lanes = np.ndarray | slice
"""Which lanes of the batch are written: indices, or all of them."""
BatchWriter = Callable[[Any, Mapping[str, np.ndarray], Lanes], None]
"""(batch, leaves [L, ...] by path, lanes): writes these lanes of the batch. Raises FieldFault."""
Place = Callable[[np.ndarray], np.ndarray]
EVERY = slice(None)
ANY_NUMBER = np.dtype(np.float64)
"""Masks come as bool, int or float arrays."""


class LaneFault(FieldFault):
    """One lane of a batch is wrong, and it is known which."""

    def __init__(self, lane: int, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.lane = lane


def batch_writer(
    space: gym_spaces.Space[Any], num_envs: int, max_set_size: int | None = None, path: str = OBS
) -> BatchWriter:
    """The writer for batches of a single environment's space; made once."""
    if isinstance(space, gym_spaces.Dict):
        return _dict_writer(space, num_envs, max_set_size, path)
    if isinstance(space, gym_spaces.Tuple):
        return _tuple_writer(space, num_envs, max_set_size, path)
    if isinstance(space, gym_spaces.Sequence):
        return _one_by_one(space, num_envs, max_set_size, path)
    leaf = observation_leaves(space, max_set_size, path)[path]
    shape = (num_envs, *(space.shape or ()))
    if path == ACTION_MASK:
        return mask_batch_writer(shape)
    return array_batch_writer(path, shape, space.dtype or np.dtype(leaf.dtype), _place(space, leaf, path))


def array_batch_writer(
    path: str, shape: tuple[int, ...], dtype: np.dtype[Any], place: Place | None = None
) -> BatchWriter:
    """Writes arrays of exactly this shape, of any dtype that casts to ``dtype`` without changing its kind."""

    def write(batch: Any, rows: Mapping[str, np.ndarray], lanes: Lanes) -> None:
        if batch.__class__ is not np.ndarray:
            batch = _array(batch, path, shape)
        if batch.shape != shape:
            raise FieldFault(path, f"has shape {batch.shape}; expected {shape}, the environments in front")
        if batch.dtype != dtype and not _casts(batch.dtype, dtype):
            raise FieldFault(path, f"has dtype {batch.dtype}; expected {dtype} or one that casts to it")
        if batch.dtype != dtype and dtype.kind in "iu":
            within(path, batch, dtype)
        rows[path][lanes] = batch[lanes] if place is None else place(batch)[lanes]

    return write


def mask_batch_writer(shape: tuple[int, ...]) -> BatchWriter:
    """Writes action masks ``shape`` [L, A] to their leaf."""
    return array_batch_writer(ACTION_MASK, shape, ANY_NUMBER, _as_masks)


def _as_masks(masks: np.ndarray) -> np.ndarray:
    if masks.dtype != np.bool_:
        good = np.isin(masks, (0, 1)).all(-1)
        if not good.all():
            lane = int(np.argmin(good))
            raise LaneFault(lane, ACTION_MASK, no_mask(masks[lane]))
    legal: np.ndarray = masks != 0
    return legal


def _array(batch: Any, path: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.asarray(batch)
    except ValueError:
        raise FieldFault(path, f"is {batch!r:.100}, which is no array; expected shape {shape}") from None


def _casts(given: np.dtype[Any], dtype: np.dtype[Any]) -> bool:
    return np.can_cast(given, dtype, "same_kind") or (given.kind in "iu" and dtype.kind in "iu")


def _place(space: gym_spaces.Space[Any], leaf: Leaf, path: str) -> Place | None:
    if leaf.kind == "image":
        return (lambda batch: batch.transpose(0, 2, 3, 1)) if channels_first(space.shape or ()) else None
    found = first_and_count(space, leaf)
    if found is None:
        return None
    start, categories = found

    def place(batch: np.ndarray) -> np.ndarray:
        index = batch.astype(np.int64) - start
        wrong = ((index < 0) | (index >= categories)).reshape(len(batch), -1).any(axis=1)
        if wrong.any():
            lane = int(np.argmax(wrong))
            last = (start + categories - 1).tolist()
            problem = f"is {batch[lane].tolist()}; expected {start.tolist()} to {last}"
            raise LaneFault(lane, path, problem)
        placed: np.ndarray = index.reshape(len(batch), *leaf.shape)
        return placed

    return place


def _dict_writer(space: gym_spaces.Dict, num_envs: int, max_set_size: int | None, path: str) -> BatchWriter:
    writers = [
        (key, batch_writer(child, num_envs, max_set_size, f"{path}/{key}"))
        for key, child in space.spaces.items()
    ]

    def write(batch: Any, rows: Mapping[str, np.ndarray], lanes: Lanes) -> None:
        if not isinstance(batch, Mapping) or set(batch) != set(space.spaces):
            kind = list(batch) if isinstance(batch, Mapping) else type(batch).__name__
            raise FieldFault(path, f"is {kind}; expected a dict with the keys {list(space.spaces)}")
        for key, write_child in writers:
            write_child(batch[key], rows, lanes)

    return write


def _tuple_writer(
    space: gym_spaces.Tuple[Any], num_envs: int, max_set_size: int | None, path: str
) -> BatchWriter:
    writers = [
        batch_writer(child, num_envs, max_set_size, f"{path}/{i}") for i, child in enumerate(space.spaces)
    ]

    def write(batch: Any, rows: Mapping[str, np.ndarray], lanes: Lanes) -> None:
        if not isinstance(batch, tuple | list) or len(batch) != len(writers):
            raise FieldFault(path, f"is {type(batch).__name__}; expected a tuple of {len(writers)}")
        for write_child, child in zip(writers, batch, strict=True):
            write_child(child, rows, lanes)

    return write


def _one_by_one(
    space: gym_spaces.Sequence, num_envs: int, max_set_size: int | None, path: str
) -> BatchWriter:
    """Sets have no common shape: a batch of them is a tuple with one for each environment."""
    write_one = observation_writer(space, max_set_size, path)

    def write(batch: Any, rows: Mapping[str, np.ndarray], lanes: Lanes) -> None:
        if len(batch) != num_envs:
            raise FieldFault(path, f"has {len(batch)} sets; expected {num_envs}, one for each environment")
        for lane in np.arange(num_envs)[lanes].tolist():
            try:
                write_one(batch[lane], rows, lane)
            except FieldFault as fault:
                raise LaneFault(lane, fault.field, fault.problem) from fault

    return write
