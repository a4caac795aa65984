"""Replay that was saved as so many shards, for another number of them. Shape legend: M transitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rl_platform.data.tree import Tree
from rl_platform.workers.replay_draws import SERIAL

Saved = tuple[dict[str, Any], Tree]
"""Position and columns [M, ...] of one buffer; see `ReplayBuffer.snapshot`."""


def resharded(saved: Sequence[Saved], count: int) -> list[Saved]:
    """The same transitions in ``count`` shards, dealt out by age, so that all shards are of like age; nothing
    is left out. As many as there were come back as they were.
    """
    filled = [(position, columns) for position, columns in saved if position["size"]]
    if len(saved) == count or not filled:
        return list(saved) if len(saved) == count else [_empty(saved[0][0]) for _ in range(count)]
    columns = _oldest_first(filled)
    return [_dealt(saved, columns, shard, count) for shard in range(count)]


def _oldest_first(filled: Sequence[Saved]) -> Tree:
    """All transitions, those of different shards in turn, as they will have come."""
    ages = [np.arange(1, position["size"] + 1) / position["size"] for position, _ in filled]
    order = np.argsort(np.concatenate(ages), kind="stable")
    rings = [
        {name: np.roll(leaf, -position["head"], axis=0) for name, leaf in columns.items()}
        if position["head"] != position["size"]
        else columns
        for position, columns in filled
    ]
    return {name: np.concatenate([ring[name] for ring in rings])[order] for name in rings[0]}


def _dealt(saved: Sequence[Saved], columns: Tree, shard: int, count: int) -> Saved:
    mine = {name: leaf[shard::count] for name, leaf in columns.items()}
    size = len(next(iter(mine.values())))
    position = dict(saved[0][0])
    position |= {"size": size, "head": size, "added": size}
    if SERIAL in mine:
        mine[SERIAL] = np.arange(size)
        largest = max(each["largest"] for each, _ in saved)
        position |= {"stored": size, "largest": largest}
    return (position, mine) if size else _empty(position)


def _empty(position: dict[str, Any]) -> Saved:
    return position | {"size": 0, "head": 0, "added": 0} | ({"stored": 0} if "stored" in position else {}), {}
