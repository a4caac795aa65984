from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from rl_platform.tracking.curves import plot_runs
from rl_platform.tracking.progress_log import ProgressLog
from rl_platform.tracking.report import Report


def run(folder: Path, reports: int, key: str = "rollout/episode_return_mean") -> Path:
    with ProgressLog(folder / "progress.jsonl") as log:
        for step in range(reports):
            log.append(Report(step, metrics={key: float(step)} if step else {}))
    return folder


def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[float, float]]]:
    """The lines of the figures that are saved from now on."""
    from matplotlib.figure import Figure

    lines: dict[str, list[tuple[float, float]]] = {}
    save = Figure.savefig

    def savefig(figure: Figure, *arguments: object, **named: object) -> None:
        for line in figure.axes[0].lines:
            lines[str(line.get_label())] = [(x, y) for x, y in np.asarray(line.get_xydata()).tolist()]
        save(figure, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", savefig)
    return lines


def test_runs_are_drawn_over_env_steps_in_one_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = drawn(monkeypatch)
    png = tmp_path / "new" / "curves.png"
    plot_runs([run(tmp_path / "a", 4), run(tmp_path / "b", 3)], png)
    assert lines == {"a": [(1, 1), (2, 2), (3, 3)], "b": [(1, 1), (2, 2)]}
    assert png.read_bytes().startswith(b"\x89PNG")
    assert list(png.parent.iterdir()) == [png]


def test_a_long_run_is_thinned_and_keeps_its_last_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = drawn(monkeypatch)
    plot_runs([run(tmp_path / "long", 7002)], tmp_path / "long.png")
    assert 1500 < len(lines["long"]) <= 2001
    assert lines["long"][-1] == (7001, 7001)


def test_folders_of_the_same_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(monkeypatch)
    plot_runs([run(tmp_path / side / "run", 3) for side in "ab"], tmp_path / "two.png")
    assert set(lines) == {"a/run", "b/run"}


def test_a_folder_that_is_given_twice_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[list[str]] = []
    legend = Axes.legend

    def told(axes: Axes, *arguments: Any, **named: Any) -> Any:
        labels.append([str(line.get_label()) for line in axes.lines])
        return legend(axes, *arguments, **named)

    monkeypatch.setattr(Axes, "legend", told)
    first, second = run(tmp_path / "a", 3), run(tmp_path / "b", 3)
    (tmp_path / "link").symlink_to(first)
    plot_runs([first, second, first, tmp_path / "b" / ".." / "a", tmp_path / "link"], tmp_path / "x.png")
    assert labels == [["a", "b"]]


def test_a_picture_that_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    with pytest.raises(IsADirectoryError):
        plot_runs([run(tmp_path / "a", 3)], tmp_path / "x.png")
    assert {each.name for each in tmp_path.iterdir()} == {"a", "x.png"}


def test_a_folder_without_a_run_or_without_an_episode_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing is not the folder of a run: it has no progress\.jsonl"):
        plot_runs([tmp_path / "nothing"], tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"early/progress\.jsonl has no report with rollout/"):
        plot_runs([run(tmp_path / "early", 3, key="train/default/loss")], tmp_path / "x.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file is not the folder of a run: it is a file"):
        plot_runs([tmp_path / "file"], tmp_path / "x.png")
    (tmp_path / "odd" / "progress.jsonl").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"odd/progress\.jsonl cannot be read: Is a directory"):
        plot_runs([tmp_path / "odd"], tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
