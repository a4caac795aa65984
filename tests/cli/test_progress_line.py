from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest

from rl_platform.cli import live_line, progress_line
from rl_platform.cli.progress_line import ProgressLine
from rl_platform.driver.edge_figures import EdgeFigure, EdgeFigures
from rl_platform.spec.running import StopSpec
from rl_platform.tracking.report import Report


def test_a_phase_that_takes_long_is_said_again_until_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_line, "LINE_SECONDS", 0.05)
    written = io.StringIO()
    line = ProgressLine(StopSpec(env_steps=1), written)
    line.phase("registering")
    until = time.monotonic() + 60.0
    while written.getvalue().count("registering ... 0 s") < 2 and time.monotonic() < until:
        time.sleep(0.01)
    line.phase("training")
    before = written.getvalue()
    assert before.startswith("registering ...\nregistering ... 0 s\nregistering ... 0 s\n")
    time.sleep(0.2)
    assert written.getvalue() == before
    line.close()


REPORT = Report(
    2048,
    {"default": 2048},
    8,
    2,
    1.0,
    {
        "time/env_steps_per_second": 1024.0,
        "rollout/policy_lag": 3.0,
        "rollout/workers_lost": 1.0,
        "rollout/dropped_agent_steps": 64.0,
        **EdgeFigures.metrics(
            {"ppo/rollouts": EdgeFigure(2, 0.0213, 51.52), "ppo/report": EdgeFigure(0, 0.5, 25.8)}
        ),
    },
)
EDGES = "edges: ppo/rollouts 2 (0.021 s, 51.5/s), ppo/report 0 (0.5 s, 25.8/s)"


def test_edges_lag_losses_and_drops_are_shown_where_workers_are_elsewhere() -> None:
    written = io.StringIO()
    ProgressLine(StopSpec(env_steps=4096), written).report(REPORT)
    first, second = written.getvalue().splitlines()
    assert "workers lost: 1" in first
    assert "steps dropped: 64" in first
    assert "lag 3" in first
    assert second == EDGES


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_two_lines_are_redrawn_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "41")
    monkeypatch.setattr(live_line, "REDRAW_SECONDS", 0.0)
    written = Terminal()
    line = ProgressLine(StopSpec(env_steps=4096), written)
    line.report(REPORT)
    plain = {name: value for name, value in REPORT.metrics.items() if not name.startswith("edge/")}
    line.report(replace(REPORT, metrics=plain))
    line.close()
    once = f"\r\x1b[J2,048/4,096 env steps · no episode yet ·\n{EDGES[:40]}\r\x1b[1A"
    assert written.getvalue() == once + once + "\r\x1b[J"
