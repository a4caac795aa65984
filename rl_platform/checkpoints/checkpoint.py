"""What a checkpoint holds, and how one is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rl_platform.checkpoints.errors import CheckpointError
from rl_platform.data.tree import Tree


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything a run needs to go on.

    ``state`` is JSON (objects, lists, strings, numbers of any size, NaN and infinities, booleans, null;
    tuples come back as lists).
    ``arrays`` maps a group such as ``policy/default/weights``, ``learner/default``, ``replay`` or ``lanes/0``
    to a tree; each group is one safetensors file.
    """

    state: dict[str, Any]
    arrays: dict[str, Tree] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckpointRef:
    """A whole checkpoint. ``digest`` is the sha256 of its manifest, which holds those of all its files."""

    uri: str
    digest: str
    env_steps: int
    updates: int
    attempt: int
    sequence: int


def encode_state(state: Mapping[str, Any]) -> bytes:
    """State as JSON text. Raises CheckpointError with the path of what JSON cannot hold."""
    _check_json(state, "state")
    return json.dumps(state, separators=(",", ":")).encode()


def _check_json(value: object, path: str) -> None:
    if isinstance(value, Mapping):
        for key, child in value.items():
            if type(key) is not str:
                raise CheckpointError(f"{path} has the key {key!r}; JSON keys must be strings")
            _check_json(child, f"{path}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            if child is not None and type(child) not in _SCALARS:
                _check_json(child, f"{path}[{index}]")
    elif value is not None and type(value) not in _SCALARS:
        raise CheckpointError(
            f"{path} is a {type(value).__module__}.{type(value).__qualname__}; a checkpoint's state holds "
            "plain JSON values only: convert numbers with int() or float(), and put arrays into `arrays`"
        )


_SCALARS = frozenset({str, int, float, bool})
