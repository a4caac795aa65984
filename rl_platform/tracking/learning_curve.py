"""Learning curves of one or several runs as a PNG, from their progress files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rl_platform.tracking.progress_log import read_reports

RETURN = "rollout/episode_return_mean"
MAX_POINTS = 2000


def learning_curve(progress: Path, metric: str = RETURN) -> tuple[list[int], list[float]]:
    """Env steps and values of a metric; reports without it are left out.

    Raises ValueError where a line of the file is no report, FileNotFoundError where there is no file.
    """
    points = [
        (report.env_steps, report.metrics[metric])
        for report in read_reports(progress)
        if metric in report.metrics
    ]
    thin = points[:: max(1, len(points) // MAX_POINTS)]
    if points and thin[-1] != points[-1]:
        thin.append(points[-1])
    return [step for step, _ in thin], [value for _, value in thin]


def plot_learning_curves(runs: Mapping[str, Path], output: Path, metric: str = RETURN) -> None:
    """Draw a line per run (label → progress file) over env steps, as a PNG that is whole or absent."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for label, progress in runs.items():
        steps, values = learning_curve(progress, metric)
        axes.plot(steps, values, label=label, linewidth=1.5)
    axes.set_xlabel("env steps")
    axes.set_ylabel(_title(metric))
    axes.grid(alpha=0.3)
    if runs:
        axes.legend(frameon=False)
    partial = output.with_name(output.name + ".partial")
    figure.savefig(partial, dpi=120, format="png")
    partial.replace(output)


def _title(metric: str) -> str:
    words: Sequence[str] = metric.rpartition("/")[2].split("_")
    return " ".join(words)
