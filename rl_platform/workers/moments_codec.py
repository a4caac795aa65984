"""What rollout workers counted for running filters, as one JSON document and one tree, for checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rl_platform.data.moments import Moments
from rl_platform.data.tree import Tree


def encode_moments(moments: Sequence[tuple[str, dict[str, Moments]]]) -> tuple[list[Any], Tree]:
    """``moments``: policy, then by path. Arrays are not copied."""
    document: list[Any] = []
    arrays: Tree = {}
    for index, (policy, by_path) in enumerate(moments):
        document.append([policy, {path: each.count for path, each in by_path.items()}])
        for path, each in by_path.items():
            arrays[f"moments{index}|{path}|mean"], arrays[f"moments{index}|{path}|m2"] = each.mean, each.m2
    return document, arrays


def decode_moments(document: list[Any], arrays: Tree) -> list[tuple[str, dict[str, Moments]]]:
    """The inverse of `encode_moments`; ``arrays`` may hold others too."""
    return [
        (
            policy,
            {
                path: Moments(
                    count, arrays[f"moments{index}|{path}|mean"], arrays[f"moments{index}|{path}|m2"]
                )
                for path, count in counts.items()
            },
        )
        for index, (policy, counts) in enumerate(document)
    ]
