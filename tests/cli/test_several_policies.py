"""Models of several policies: each is registered by itself, and they are played together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import EXAMPLES, TINY, result_of, rlp

TRACKED = tuple(argument for argument in TINY if "tracking" not in argument)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    ran = rlp(folder, "run", EXAMPLES / "meeting-two.yaml", *TRACKED)
    assert ran.returncode == 0, ran.stderr
    return folder


def evaluated(folder: Path, source: str) -> tuple[dict[str, float], str]:
    ran = rlp(folder, "evaluate", source, "--episodes", "40", "--seed", "3", "--json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1]), ran.stderr


@pytest.fixture(scope="module")
def by_folder(workplace: Path) -> dict[str, float]:
    return evaluated(workplace, "runs/meeting-two")[0]


@pytest.mark.parametrize("name", ["meeting-two-right", "meeting-two"])
def test_a_model_is_played_beside_its_partners(
    workplace: Path, by_folder: dict[str, float], name: str
) -> None:
    played, said = evaluated(workplace, f"models:/{name}@champion")
    assert played == by_folder
    assert (
        "playing left: models:/meeting-two-left@champion, right: models:/meeting-two-right@champion" in said
    )


def test_a_policy_alone_is_refused_where_its_partners_are_not_known(workplace: Path) -> None:
    for source in ("models:/meeting-two-left/1", "runs/meeting-two/policy/left"):
        ran = rlp(workplace, "evaluate", source)
        assert ran.returncode == 2
        assert source in ran.stderr
        assert "the job has the policies left, right" in ran.stderr


def test_the_result_names_every_model(workplace: Path) -> None:
    model = result_of(workplace / "runs" / "meeting-two")["model"]
    assert model["uri"] == "models:/meeting-two-left@champion"
    assert "models:/meeting-two-right@champion" in model["message"]
