"""Notices a network that has died: updates no longer move it, and the return is far below what it was.

Dead units and saturated outputs have a gradient of exactly nought, so whole matrices stop to the bit, while
in a network that learns every matrix moves with every update. A policy that has nothing left to learn stands
still too: hence the look at the return. A flat return alone says nothing, as rewards may be rare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rl_platform.driver.building import Assembly
from rl_platform.models.policy import Policy
from rl_platform.spec.algorithms import Custom
from rl_platform.workers.weights import WeightSummary

LEAST_LEARNING_RATE = 1e-6
"""Below it, updates may be too small for single precision: nothing is concluded."""

LEAST_EPISODES = 20
"""A mean return is of at least so many before it counts as one that was reached."""


@dataclass(frozen=True, slots=True)
class Part:
    """Matrices without which a policy cannot learn, as positions in its layout."""

    name: str
    matrices: tuple[int, ...]


def parts_to_watch(assembly: Assembly) -> dict[str, tuple[Part, ...]]:
    """By trained policy; none where still matrices or a falling return can be as they should.

    An algorithm of the user's own may learn in phases; where agents compete, a return falls while all learn.
    """
    spec, run = assembly.job.spec, assembly.run
    if spec.environment.kind != "gymnasium" or isinstance(spec.algorithm.selected[1], Custom):
        return {}
    return {name: parts_of(name, assembly.policies[name]) for name in run.trained}


def parts_of(name: str, policy: Policy) -> tuple[Part, ...]:
    """The heads that choose actions, and all that is below the heads; one without a matrix is left out."""
    choosing = set(policy.distribution.heads)
    heads = choosing | {policy.value}
    found: dict[str, list[int]] = {"the layer that chooses actions": [], "all layers below the heads": []}
    choice, below = found.values()
    for position, (path, shape) in enumerate(policy.layout.shapes.items()):
        if len(shape) < 2 or shape[-2] == 1:  # a bias, also where several lie side by side
            continue
        head = _head_of(path)
        if head in choosing:
            choice.append(position)
        elif head not in heads:
            below.append(position)
    return tuple(
        Part(f"{what} of policy {name!r}", tuple(matrices)) for what, matrices in found.items() if matrices
    )


def _head_of(path: str) -> str | None:
    """``[<tower>/]head/<name>/w``, or ``<name>/w`` as in the example of a network of one's own, whose paths
    need no slash.
    """
    *above, name = path.rpartition("/")[0].split("/") if "/" in path else [path]
    return name if not above or above[-1] == "head" else None


@dataclass
class Collapse:
    """To be asked once per report, in their order.

    ``parts``: by policy, what has to move. ``reports``: so many in a row are a collapse.
    """

    parts: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    reports: int = 20
    _digests: dict[str, tuple[int, ...]] = field(default_factory=dict)  # as in the last report
    _moved: set[str] = field(default_factory=set)  # parts that ever did: a frozen one is not dead
    _dead: dict[str, int] = field(default_factory=dict)  # part → reports in a row
    _lowest: float = math.inf
    _highest: float = -math.inf

    @property
    def suspected(self) -> bool:
        """Something looked dead in the last report."""
        return bool(self._dead)

    def check(
        self, metrics: Mapping[str, float], episodes: int, weights: Mapping[str, WeightSummary]
    ) -> str | None:
        """What has collapsed, as a sentence. ``weights``: by policy."""
        fallen = self._fallen(metrics.get("rollout/episode_return_mean"), episodes)
        judged = fallen is not None and metrics.get("schedule/learning_rate", 0) >= LEAST_LEARNING_RATE
        for policy in self.parts.keys() & weights.keys():
            self._look(policy, weights[policy].digests, judged)
        for part, count in self._dead.items():
            if count >= self.reports:
                return f"updates have not moved {part} in {count} reports in a row, and {fallen}"
        return None

    def snapshot(self) -> dict[str, Any]:
        """JSON for a checkpoint, which has the weights apart."""
        returns = [self._lowest, self._highest] if self._lowest <= self._highest else None
        return {"moved": sorted(self._moved), "dead": dict(self._dead), "returns": returns}

    def restore(self, state: Mapping[str, Any], weights: Mapping[str, WeightSummary]) -> None:
        """``weights``: as in the last report before the checkpoint."""
        self._moved, self._dead = set(state["moved"]), dict(state["dead"])
        self._lowest, self._highest = state["returns"] or (math.inf, -math.inf)
        self._digests = {policy: weights[policy].digests for policy in self.parts.keys() & weights.keys()}

    def _fallen(self, mean: float | None, episodes: int) -> str | None:
        """Says so where the return is in the lower half of what it has been."""
        if mean is None or not math.isfinite(mean) or episodes < LEAST_EPISODES:
            return None
        self._lowest, self._highest = min(self._lowest, mean), max(self._highest, mean)
        if mean >= (self._lowest + self._highest) / 2:
            return None
        return f"the mean return, once {self._highest:.4g}, is {mean:.4g}"

    def _look(self, policy: str, now: tuple[int, ...], judged: bool) -> None:
        before = self._digests.get(policy)
        if before == now:
            return  # nothing new was published: this says nothing
        self._digests[policy] = now
        if before is None:
            return
        for part in self.parts[policy]:
            moved = any(before[matrix] != now[matrix] for matrix in part.matrices)
            if moved:
                self._moved.add(part.name)
            if moved or not judged or part.name not in self._moved:
                self._dead.pop(part.name, None)
            else:
                self._dead[part.name] = self._dead.get(part.name, 0) + 1
