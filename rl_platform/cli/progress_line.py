"""A run's progress in one line; where workers are in processes of their own, a second one says how the edges
of the plan do.
"""

from __future__ import annotations

import threading
import time
from typing import TextIO

from rl_platform.cli.amounts import duration
from rl_platform.cli.live_line import LINE_SECONDS, LiveLine
from rl_platform.driver.edge_figures import edges_in
from rl_platform.spec.running import StopSpec
from rl_platform.tracking.report import Report

PHASE_SECONDS = 1.0  # a phase that takes longer shows how long, on a terminal
NOTED = {
    "rollout/workers_lost": "workers lost: {:.0f}",
    "learner/losses": "learners lost: {:.0f}",
    "rollout/dropped_agent_steps": "steps dropped: {:,.0f}",
}
"""Metrics that are shown where they are not zero."""


class ProgressLine:
    """Shows env steps, return, speed and time left. Costs nothing between two redraws."""

    def __init__(self, stop: StopSpec, stream: TextIO | None = None) -> None:
        self.stop, self.line = stop, LiveLine(stream)
        self.edges = ""  # they are not in every report
        self.phase_ended = threading.Event()
        self.writing = threading.Lock()

    def report(self, report: Report) -> None:
        edges = edges_in(report.metrics)
        if edges:
            told = (
                f"{name} {it.depth} ({it.age_seconds:.2g} s, {it.items_per_second:.3g}/s)"
                for name, it in edges.items()
            )
            self.edges = f"edges: {', '.join(told)}"
        if not self.line.due():
            return
        self._end_phase()
        self.line.write(self._text(report), self.edges)

    def phase(self, name: str) -> None:
        """What happens before and after training; the seconds are shown while it lasts."""
        self._end_phase()
        if name != "training":
            self.line.write(f"{name} ...")
            ended = self.phase_ended = threading.Event()
            threading.Thread(target=self._count, args=(name, ended), daemon=True).start()

    def close(self) -> None:
        self._end_phase()
        self.line.clear()

    def _end_phase(self) -> None:
        with self.writing:
            self.phase_ended.set()

    def _count(self, name: str, ended: threading.Event) -> None:
        began = time.monotonic()
        while not ended.wait(PHASE_SECONDS if self.line.live else LINE_SECONDS):
            with self.writing:
                if not ended.is_set():
                    self.line.write(f"{name} ... {time.monotonic() - began:.0f} s")

    def _text(self, report: Report) -> str:
        from rl_platform.driver.telemetry import seconds_left

        mean = report.metrics.get("rollout/episode_return_mean")
        speed = report.metrics.get("time/env_steps_per_second", 0.0)
        left = seconds_left(self.stop, report)
        total = f"/{self.stop.env_steps:,}" if self.stop.env_steps else ""
        parts = [
            f"{report.env_steps:,}{total} env steps",
            f"return {mean:.1f}" if mean is not None else "no episode yet",
            f"{speed:,.0f} steps/s",
        ]
        parts += [text.format(report.metrics[key]) for key, text in NOTED.items() if report.metrics.get(key)]
        if self.edges and "rollout/policy_lag" in report.metrics:
            parts.append(f"lag {round(report.metrics['rollout/policy_lag'], 1):g}")
        if left is not None:
            parts.append(f"{duration(left)} left")
        return " · ".join(parts)
