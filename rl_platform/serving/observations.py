"""One observation as an environment gives it → tensors of one row, and one row of actions → one action."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rl_platform.data.spaces import Leaf, Spaces, in_dtype
from rl_platform.data.tree import ACTION_MASK, OBS, Tree

_VALUES, _COUNT = "/values", "/count"


class ObservationError(ValueError):
    """An observation that is not of the policy's space. The message has the path and what is right."""


def encode_observation(spaces: Spaces, observation: Any, action_mask: Any = None) -> Tree:
    """Leaves [1, ...] by path. ``action_mask`` for environments that give it apart, in ``info``.

    Raises ObservationError.
    """
    tree = dict(_leaves(spaces, observation, OBS))
    if action_mask is not None:
        if ACTION_MASK not in spaces.obs or ACTION_MASK in tree:
            raise ObservationError("action_mask was given, and the policy takes none beside the observation")
        tree[ACTION_MASK] = _row(action_mask, spaces.obs[ACTION_MASK], ACTION_MASK)
    missing = [path for path in spaces.obs if path not in tree]
    if missing == [ACTION_MASK]:
        raise ObservationError(
            "the policy chooses among legal actions: give them as action_mask=info['action_mask']"
        )
    if missing:
        raise ObservationError(f"the observation lacks {', '.join(missing)}")
    return tree


def decode_action(spaces: Spaces, actions: np.ndarray) -> Any:
    """The first row of ``actions`` [1, ...]: an int for a discrete space, else an array."""
    if spaces.action.kind == "discrete":
        return int(actions[0])
    return np.array(in_dtype(actions[0], spaces.action.env_dtype)).reshape(spaces.action.shape)


def _leaves(spaces: Spaces, value: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    """(path, leaf [1, ...]) for everything below ``path``."""
    if path in spaces.obs:
        yield path, _row(value, spaces.obs[path], path)
    elif path + _VALUES in spaces.obs and not isinstance(value, Mapping):
        yield from _set(value, spaces.obs[path + _VALUES], path)
    elif not any(known.startswith(f"{path}/") for known in spaces.obs):
        raise ObservationError(f"the policy has no {path}; it takes {', '.join(spaces.obs)}")
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _leaves(spaces, child, f"{path}/{key}")
    elif isinstance(value, tuple | list):
        for index, child in enumerate(value):
            yield from _leaves(spaces, child, f"{path}/{index}")
    else:
        children = sorted(known for known in spaces.obs if known.startswith(f"{path}/"))
        raise ObservationError(
            f"{path} is a {type(value).__name__}; expected a dict or tuple that has {', '.join(children)}"
        )


def _row(value: Any, leaf: Leaf, path: str) -> np.ndarray:
    array = _numbers(value, path)
    if leaf.kind == "mask":
        if not ((array == 0) | (array == 1)).all():
            raise ObservationError(f"{path} is {array.tolist()!r:.100}; expected 0 or 1 for each action")
        array = array != 0
    if leaf.kind == "image":
        _refuse_other_numbers(array, path)
        if array.ndim == 3 and array.shape != leaf.shape:
            array = array.transpose(1, 2, 0)  # channels first, as some environments give it
    if array.shape != leaf.shape and not (leaf.kind == "multi_discrete" and array.size == leaf.shape[0]):
        batched = array.shape[1:] == leaf.shape
        hint = "; act takes one observation, not a batch" if batched else ""
        raise ObservationError(f"{path} has shape {np.shape(value)}; expected {leaf.shape}{hint}")
    if leaf.categories:
        array = _indices(array, leaf, path)
    return _finite(array, leaf, path).reshape(1, *leaf.shape)


def _refuse_other_numbers(image: np.ndarray, path: str) -> None:
    """As uint8 they would be other ones."""
    if image.dtype.kind == "f":
        raise ObservationError(f"{path} has dtype {image.dtype}; expected whole numbers from 0 to 255")
    if image.size and (image.min() < 0 or image.max() > 255):
        raise ObservationError(f"{path} holds {image.min()} to {image.max()}; expected 0 to 255")


def _finite(array: np.ndarray, leaf: Leaf, path: str) -> np.ndarray:
    """In the leaf's dtype: no policy has learned what to do about numbers that are none."""
    with np.errstate(over="ignore", invalid="ignore"):
        kept = array.astype(leaf.dtype)
    if kept.dtype.kind == "f" and not np.isfinite(kept).all():
        wrong = array[~np.isfinite(kept)].ravel()[0]
        raise ObservationError(f"{path} has {wrong}; expected numbers that are finite as {leaf.dtype}")
    return kept


def _numbers(value: Any, path: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ObservationError(f"{path} is {value!r:.100}, which is no array ({error})") from None
    if array.dtype.kind not in "biuf":
        raise ObservationError(f"{path} is {value!r:.100} of dtype {array.dtype}; expected numbers")
    return array


def _indices(array: np.ndarray, leaf: Leaf, path: str) -> np.ndarray:
    """Integers minus the start of their space, within the categories."""
    categories = np.array(leaf.categories)
    start = np.array(leaf.start) if leaf.start else np.zeros_like(categories)
    index: np.ndarray = array.reshape(-1) - start
    if array.dtype.kind == "f" or np.any((index < 0) | (index >= categories)):
        raise ObservationError(
            f"{path} is {array.tolist()}; expected whole numbers from {start.tolist()} to "
            f"{(start + categories - 1).tolist()}"
        )
    return index


def _set(value: Any, leaf: Leaf, path: str) -> Iterator[tuple[str, np.ndarray]]:
    largest, features = leaf.shape
    if not isinstance(value, tuple | list) and np.ndim(value) == 0:
        raise ObservationError(f"{path} is {value!r:.100}; expected a sequence of elements")
    size = len(value)
    if size > largest:
        raise ObservationError(f"{path} has {size} elements; expected at most {largest}")
    elements = np.zeros((1, *leaf.shape), leaf.dtype)
    if size:
        array = _numbers(value, path).reshape(size, -1)
        if array.shape[1] != features:
            raise ObservationError(f"{path} has {array.shape[1]} numbers per element; expected {features}")
        elements[0, :size] = _finite(array, leaf, path)
    yield path + _VALUES, elements
    yield path + _COUNT, np.array([size])
