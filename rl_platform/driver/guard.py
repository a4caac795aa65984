"""Notices training that has gone wrong: not a number, diverged, collapsed, standing still.

Bounds are far beyond what any sound run shows: a run that is killed wrongly costs more than one killed late.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rl_platform.driver.collapse import Collapse
from rl_platform.spec.conditions import FailureReason
from rl_platform.workers.weights import WeightSummary


@dataclass(frozen=True, slots=True)
class Bounds:
    """What counts as wrong.

    ``episode_env_steps`` and ``update_env_steps``: env steps of the whole run within which at least one
    episode must end, and one update must be made; None where nothing can be said. Episodes may be endless,
    so set the first only where the environment limits them (see `episode_bound`), and the second beyond what
    it takes to fill a batch or to start learning.
    """

    loss: float = 1e15  # absolute
    weight_rms: float = 1e3  # root of the mean square of a policy's weights
    reports: int = 5  # so many in a row beyond a bound are a divergence
    idle_seconds: float = 1800.0  # neither an env step nor an update in that time
    episode_env_steps: int | None = None
    update_env_steps: int | None = None


def episode_bound(max_episode_steps: int | None, environments: int) -> int | None:
    """Env steps in which some episode must have ended, ten times over, if each has a longest length."""
    return None if max_episode_steps is None else 10 * max_episode_steps * environments


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why training cannot go on; ``message`` names the figure, its value and what it should have been."""

    reason: FailureReason
    message: str


@dataclass(frozen=True, slots=True)
class Observed:
    """One report, totals over all attempts; ``metrics`` has keys such as ``train/default/policy_loss``."""

    env_steps: int
    updates: int
    episodes: int
    wall_seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)


def nobody_acted(env_steps: int, updates: int) -> Trouble:
    """Of a run that is at its end."""
    return Trouble(
        FailureReason.NO_PROGRESS,
        f"no agent of a trained policy has acted by the end of the run (at env step {env_steps}, update "
        f"{updates}); does the environment give them observations, and is stop.wallSeconds long enough?",
    )


@dataclass(slots=True)
class _Mark:
    """When something last moved."""

    count: int
    at: float


class DivergenceGuard:
    """To be asked once per report. Its state is JSON: a resumed run is judged as an uninterrupted one."""

    def __init__(self, bounds: Bounds | None = None, collapse: Collapse | None = None) -> None:
        self.bounds, self.collapse = bounds or Bounds(), collapse or Collapse()
        self._beyond: dict[str, int] = {}  # figure → reports in a row beyond its bound
        self._work: _Mark | None = None  # env steps and updates, by seconds
        self._episodes: _Mark | None = None  # by env steps
        self._updates: _Mark | None = None  # by env steps

    def check(self, observed: Observed, weights: Mapping[str, WeightSummary] | None = None) -> Trouble | None:
        """``weights``: by policy."""
        trouble = self._not_a_number(observed, weights or {}) or self._diverged(observed, weights or {})
        return trouble or self._collapsed(observed, weights or {}) or self._standing_still(observed)

    @property
    def suspects(self) -> bool:
        """Something looked wrong in the last report: a checkpoint now may push out a good one."""
        return bool(self._beyond) or self.collapse.suspected

    def snapshot(self) -> dict[str, Any]:
        """JSON for a checkpoint."""
        marks = {"work": self._work, "episodes": self._episodes, "updates": self._updates}
        return {
            "beyond": dict(self._beyond),
            "marks": {name: [mark.count, mark.at] for name, mark in marks.items() if mark},
            "collapse": self.collapse.snapshot(),
        }

    def restore(self, state: dict[str, Any], weights: Mapping[str, WeightSummary]) -> None:
        """What `snapshot` gave, in this attempt or an earlier one, and the weights of that moment."""
        marks = {name: _Mark(count, at) for name, (count, at) in state["marks"].items()}
        self._beyond = dict(state["beyond"])
        self._work, self._episodes, self._updates = (
            marks.get(name) for name in ("work", "episodes", "updates")
        )
        if "collapse" in state:  # a checkpoint of an earlier version has none
            self.collapse.restore(state["collapse"], weights)

    def _not_a_number(self, observed: Observed, weights: Mapping[str, WeightSummary]) -> Trouble | None:
        for name, value in observed.metrics.items():
            if _is_loss(name) and not math.isfinite(value):
                return Trouble(FailureReason.NOT_A_NUMBER, f"{name} is {value} {_where(observed)}; {_ADVICE}")
        for policy, flat in weights.items():
            # The square of finite weights may overflow: that is a divergence, told apart here.
            if flat.not_finite:
                return Trouble(
                    FailureReason.NOT_A_NUMBER,
                    f"{flat.not_finite} of the {flat.size} weights of policy {policy!r} are NaN or infinite "
                    f"{_where(observed)}; {_ADVICE}",
                )
        return None

    def _diverged(self, observed: Observed, weights: Mapping[str, WeightSummary]) -> Trouble | None:
        figures = {
            name: (abs(value), self.bounds.loss) for name, value in observed.metrics.items() if _is_loss(name)
        }
        for policy, flat in weights.items():
            rms = math.sqrt(flat.square / max(flat.size, 1))
            figures[f"the root mean square of the weights of policy {policy!r}"] = (
                rms,
                self.bounds.weight_rms,
            )
        self._beyond = {
            name: self._beyond.get(name, 0) + 1 for name, (value, bound) in figures.items() if value > bound
        }
        for name, count in self._beyond.items():
            if count >= self.bounds.reports:
                value, bound = figures[name]
                return Trouble(
                    FailureReason.DIVERGED,
                    f"{name} was above {bound:g} in {count} reports in a row, now {value:g} "
                    f"{_where(observed)}; {_ADVICE}",
                )
        return None

    def _collapsed(self, observed: Observed, weights: Mapping[str, WeightSummary]) -> Trouble | None:
        found = self.collapse.check(observed.metrics, observed.episodes, weights)
        if found is None:
            return None
        return Trouble(
            FailureReason.DIVERGED, f"the network has collapsed: {found} {_where(observed)}; {_ADVICE}"
        )

    def _standing_still(self, observed: Observed) -> Trouble | None:
        bounds, steps = self.bounds, observed.env_steps
        self._work = _moved(self._work, steps + observed.updates, observed.wall_seconds)
        self._episodes = _moved(self._episodes, observed.episodes, steps)
        self._updates = _moved(self._updates, observed.updates, steps)
        idle = observed.wall_seconds - self._work.at
        if idle > bounds.idle_seconds:
            return _still(
                f"no env step and no update for {idle:.0f} seconds", observed, "is the environment stuck?"
            )
        if bounds.episode_env_steps is not None and steps - self._episodes.at > bounds.episode_env_steps:
            text = f"no episode has ended within {steps - self._episodes.at:.0f} env steps"
            return _still(
                text, observed, "does the environment terminate, and is environment.maxEpisodeSteps kept?"
            )
        if bounds.update_env_steps is not None and steps - self._updates.at > bounds.update_env_steps:
            text = f"no update was made within {steps - self._updates.at:.0f} env steps"
            return _still(text, observed, "is the batch, or learningStarts, larger than the run?")
        return None


_ADVICE = "try a lower learningRate or maxGradNorm, and look at the scale of rewards and observations"


def _is_loss(name: str) -> bool:
    return name.startswith("train/") and name.endswith(("loss", "gradient_norm"))


def _moved(mark: _Mark | None, count: int, at: float) -> _Mark:
    """Any change counts: a run that was put back to a checkpoint does not stand still."""
    return mark if mark is not None and mark.count == count else _Mark(count, at)


def _still(what: str, observed: Observed, question: str) -> Trouble:
    return Trouble(FailureReason.NO_PROGRESS, f"{what} {_where(observed)}; {question}")


def _where(observed: Observed) -> str:
    return f"(at env step {observed.env_steps}, update {observed.updates})"
