"""Replay in checkpoints: from buffers in this process or from shards, and back into as many as are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rl_platform.data.tree import Tree
from rl_platform.execution.counters import Counters
from rl_platform.execution.run import Run
from rl_platform.workers.replay_shards import SHARD_LOST, ReplayShards
from rl_platform.workers.resharding import Saved, resharded

NOT_SAVED = "replay not saved"


def capture_replay(run: Run) -> tuple[dict[str, Any], dict[str, Tree]]:
    """Documents by policy, and trees by group."""
    replay, documents, arrays = run.replay, {}, {}
    if not isinstance(replay, ReplayShards):
        for policy, buffer in replay.items():
            documents[policy], arrays[_group(policy)] = buffer.snapshot()
        return documents, arrays
    for policy in replay.draws:
        parts = replay.snapshot(policy)
        documents[policy] = {"shards": [position for position, _ in parts]}
        arrays |= {_group(policy, number): columns for number, (_, columns) in enumerate(parts)}
    return documents, arrays


def put_replay_back(
    run: Run, counters: Counters, documents: Mapping[str, Any], arrays: Mapping[str, Tree]
) -> None:
    """What was saved, if it was; what is missing is counted. Raises ValueError where it does not fit."""
    replay = run.replay
    saved = {it: _saved(it, documents[it], arrays) for it in run.trained if it in documents}
    if isinstance(replay, ReplayShards):
        replay.forget()
        if saved:
            replay.restore({policy: resharded(each, len(replay.shards)) for policy, each in saved.items()})
    else:
        for policy in saved.keys() & replay.keys():
            ((position, columns),) = resharded(saved[policy], 1)
            replay[policy].restore(position, columns)
    _reconcile(run, counters)


def _reconcile(run: Run, counters: Counters) -> None:
    """Transitions that the counters know and replay has not are dropped; those of a moment that was gone back
    from are known again.
    """
    replay = run.replay
    there = replay.size if isinstance(replay, ReplayShards) else sum(it.size for it in replay.values())
    gone = sum(counters.dropped.get(reason, 0) for reason in (SHARD_LOST, NOT_SAVED))
    missing = counters.stored - counters.overwritten - gone - there
    if missing > 0:
        counters.drop(NOT_SAVED, missing)
    counters.stored += max(0, -missing)


def _saved(policy: str, document: Mapping[str, Any], arrays: Mapping[str, Tree]) -> list[Saved]:
    if "shards" not in document:
        return [(dict(document), arrays.get(_group(policy), {}))]
    return [
        (position, arrays.get(_group(policy, number), {}))
        for number, position in enumerate(document["shards"])
    ]


def _group(policy: str, shard: int | None = None) -> str:
    return f"replay/{policy}" if shard is None else f"replay/{policy}/{shard}"
