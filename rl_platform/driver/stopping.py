"""When a run has reached what `stop` asks for. Pure: counts in, a reason out; its state is JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rl_platform.spec.conditions import StopReason
from rl_platform.spec.running import StopSpec

RETURN_EPISODES = 100
"""`stop.episodeReturn` and `stop.plateau` look at the mean return of so many finished episodes."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands. Totals are over all attempts; the time that a run is suspended does not count."""

    env_steps: int
    updates: int
    wall_seconds: float
    episode_return_mean: float | None = None  # of the last `returns` episodes
    returns: int = 0  # how many finished episodes the mean is of, at most RETURN_EPISODES


@dataclass(slots=True)
class _Best:
    """The mean return that has to be beaten, and when it was reached."""

    value: float
    env_steps: int


class StopRule:
    """Says why a run should stop. Where several rules hold at once, the return comes first, as it is the aim.

    ``episodes``: how many finished episodes the mean must be of before it counts.
    """

    def __init__(self, stop: StopSpec, episodes: int = RETURN_EPISODES) -> None:
        self.stop = stop  # may be replaced while running; what was seen stays
        self._episodes = episodes
        self._best: _Best | None = None

    def reason(self, standing: Standing) -> StopReason | None:
        """To be asked once per report, in the order of the reports; None where the run should go on."""
        mean = standing.episode_return_mean if standing.returns >= self._episodes else None
        plateau = mean is not None and self._is_plateau(mean, standing.env_steps)
        stop = self.stop
        if mean is not None and stop.episode_return is not None and mean >= stop.episode_return:
            return StopReason.RETURN_REACHED
        if stop.env_steps is not None and standing.env_steps >= stop.env_steps:
            return StopReason.ENV_STEPS_REACHED
        if stop.updates is not None and standing.updates >= stop.updates:
            return StopReason.UPDATES_REACHED
        if stop.wall_seconds is not None and standing.wall_seconds >= stop.wall_seconds:
            return StopReason.WALL_TIME_REACHED
        return StopReason.PLATEAU if plateau else None

    def snapshot(self) -> dict[str, Any]:
        """JSON for a checkpoint."""
        return {"best": asdict(self._best) if self._best else None}

    def restore(self, state: dict[str, Any]) -> None:
        """What `snapshot` gave, in this attempt or an earlier one."""
        self._best = _Best(**state["best"]) if state["best"] else None

    def _is_plateau(self, mean: float, env_steps: int) -> bool:
        rule, best = self.stop.plateau, self._best
        gain = rule.minimum_improvement if rule else 0.0
        if best is None or (mean > best.value and mean - best.value >= gain):
            self._best = _Best(mean, env_steps)
            return False
        return rule is not None and env_steps - best.env_steps >= rule.env_steps
