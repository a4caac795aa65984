"""When a run may take a folder that is already there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rl_platform.driver.run_folder import RunFolder, RunFolderError, chosen_folder
from rl_platform.driver.train import train
from tests.integration.probes import PPO, job


@pytest.mark.parametrize("taking", ["new", "overwrite"])
def test_a_folder_with_other_files_is_neither_filled_nor_replaced(tmp_path: Path, taking: Any) -> None:
    (tmp_path / "my.txt").write_text("mine")
    problem = f"{tmp_path} is not empty and holds no run (there is my.txt)"
    with (
        pytest.raises(
            RunFolderError, match=re.escape(problem) + ".*choose another folder with --output"
        ) as told,
        RunFolder(tmp_path).held(taking),
    ):
        pass
    assert "--resume" not in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["my.txt"]


def test_a_fresh_volume_with_something_on_it_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    with RunFolder(tmp_path).held("resume") as used:
        assert used


def test_a_folder_with_a_run_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("")
    (tmp_path / "my.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="already holds a run"), RunFolder(tmp_path).held("new"):
        pass
    with RunFolder(tmp_path).held("overwrite"):
        pass


@pytest.mark.parametrize("below", [".", "run"])
def test_a_link_to_nothing_is_called_that(tmp_path: Path, below: str) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    problem = re.escape(f"{link} is a link to nowhere, where there is nothing")
    with pytest.raises(RunFolderError, match=problem), RunFolder(link / below).held("new"):
        pass
    (tmp_path / "nowhere").mkdir()
    with RunFolder(link / below).held("new") as used:
        assert not used


@pytest.mark.parametrize("output", ["", " "])
def test_no_name_is_no_folder(output: str) -> None:
    with pytest.raises(RunFolderError, match=f"--output is '{output}', which names no folder"):
        train(job({"id": "CartPole-v1"}, {"ppo": PPO}), output)
    assert chosen_folder(None, "a").path == Path("runs/a")
    assert chosen_folder("b", "a").path == Path("b")
