"""A sample that stays in the shards that it was drawn from until whoever learns from it wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rl_platform.data.tree import Tree
from rl_platform.workers.replay_buffer import Part, joined


@dataclass(frozen=True, slots=True)
class RemoteSample:
    """Sample ``number`` of one policy, in a shape [U, B]."""

    policy: str
    number: int
    shape: tuple[int, int]
    shards: tuple[int, ...]  # which of them gave the parts
    parts: tuple[Any, ...]  # references to the parts of all policies, by policy

    def of(self, parts: Sequence[dict[str, Part]]) -> Tree:
        """The sample itself [U, B, ...], of what ``parts`` refers to."""
        return joined(self.shape, [part[self.policy] for part in parts if self.policy in part])

    def fetch(self) -> Tree:
        """The same, brought here. Raises what Ray raises where it is lost."""
        import ray

        return self.of(ray.get(list(self.parts)))


def fetched(sample: Tree | RemoteSample) -> Tree:
    """The sample in this process, from wherever it lies."""
    return sample.fetch() if isinstance(sample, RemoteSample) else sample
