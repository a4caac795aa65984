"""Learning curves of one or several runs in one PNG, from their progress files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rl_platform.tracking.progress_log import PROGRESS_FILE, read_reports

RETURN = "rollout/episode_return_mean"
MAX_POINTS = 2000


def plot_runs(dirs: Sequence[Path], png_path: Path, metric: str = RETURN) -> None:
    """Draw a line per run's folder over env steps; the PNG is there as a whole or not at all.

    A folder that is given twice has one line. Raises ValueError, which names the folder, where one holds no
    run, a damaged progress file, or no report with the metric yet; OSError where the PNG cannot be written.
    """
    dirs = list({os.path.realpath(folder): folder for folder in dirs}.values())
    curves = [_curve(folder, metric) for folder in dirs]
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for label, (steps, values) in zip(_labels(dirs), curves, strict=True):
        axes.plot(steps, values, label=label, linewidth=1.5)
    axes.set_xlabel("env steps")
    axes.set_ylabel(metric.rpartition("/")[2].replace("_", " "))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    png_path.parent.mkdir(parents=True, exist_ok=True)
    partial = png_path.with_name(png_path.name + ".partial")
    try:
        figure.savefig(partial, dpi=120, format="png")
        partial.replace(png_path)
    finally:
        partial.unlink(missing_ok=True)


def _curve(folder: Path, metric: str) -> tuple[list[int], list[float]]:
    """Env steps and values, of a long run every so many of them and the last."""
    progress = folder / PROGRESS_FILE
    try:
        with_metric = (each for each in read_reports(progress) if metric in each.metrics)
        points = [(each.env_steps, each.metrics[metric]) for each in with_metric]
    except FileNotFoundError:
        raise ValueError(f"{folder} is not the folder of a run: it has no {PROGRESS_FILE}") from None
    except NotADirectoryError:
        raise ValueError(f"{folder} is not the folder of a run: it is a file") from None
    except OSError as error:
        raise ValueError(f"{progress} cannot be read: {error.strerror}") from error
    if not points:
        raise ValueError(f"{progress} has no report with {metric} yet: no episode was finished")
    thin = points[:: 1 + len(points) // MAX_POINTS]
    if thin[-1] != points[-1]:
        thin.append(points[-1])
    return [step for step, _ in thin], [value for _, value in thin]


def _labels(dirs: Sequence[Path]) -> list[str]:
    """The ends of the paths, as short as they can be and still differ."""
    parts = [folder.resolve().parts for folder in dirs]
    length, longest, different = 1, max(map(len, parts), default=0), len(set(parts))
    while length < longest and len({each[-length:] for each in parts}) < different:
        length += 1
    return [str(Path(*each[-length:])) for each in parts]
