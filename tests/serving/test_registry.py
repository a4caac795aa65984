from __future__ import annotations

import math
import shutil
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest

from rl_platform.serving.actors import bundle_actor
from rl_platform.serving.bundle import open_bundle
from rl_platform.serving.registry import (
    Champion,
    RegistryError,
    current_champion,
    promotion,
    register,
)
from tests.serving.cases import Case
from tests.serving.conftest import Registry


def test_the_same_checkpoint_is_registered_once(registry: Registry, policies: dict[str, Case]) -> None:
    first = registry.register(policies["mlp"], "once")
    assert (first.name, first.version, first.uri, first.alias) == ("once", "1", "models:/once/1", "champion")
    assert registry.register(policies["mlp"], "once") == first
    later = registry.register(policies["mlp"], "once", attempt=2, champion="1")
    assert later == first, "an attempt that only registers what the one before it has trained"
    assert registry.register(policies["mlp"], "once", checkpoint_digest="other", champion="1").version == "2"
    assert registry.register(policies["mlp"], "once", policy="second", champion="2").version == "3"


def test_a_version_carries_its_run_tags_and_metrics(registry: Registry, policies: dict[str, Case]) -> None:
    from mlflow import MlflowClient

    registry.register(
        policies["mlp"],
        "tagged",
        metrics={"evaluation/return_mean": 12.5},
        env_steps=700,
        tags={"rlplatform.seed": "3"},
    )
    client = MlflowClient(registry.uri, registry_uri=registry.uri)
    version = client.get_model_version("tagged", "1")
    assert version.run_id == registry.run_id
    assert version.tags == {
        "rlplatform.seed": "3",
        "rlplatform.job.uid": "uid-1",
        "rlplatform.attempt": "1",
        "rlplatform.checkpoint.digest": "abc",
        "rlplatform.policy": "default",
    }
    points = client.get_metric_history(registry.run_id, "evaluation/return_mean")
    assert [(point.step, point.value) for point in points] == [(700, 12.5)]
    model = client.get_logged_model(version.source.removeprefix("models:/"))
    assert [metric.value for metric in model.metrics] == [12.5]
    assert Path(urlparse(model.artifact_location).path).is_relative_to(registry.folder / "mlartifacts")


def test_the_champion_comes_with_its_policy(
    registry: Registry, policies: dict[str, Case], tmp_path: Path
) -> None:
    assert current_champion(registry.uri, "best", tmp_path) is None
    registry.register(policies["mlp"], "best", alias="challenger")
    assert current_champion(registry.uri, "best", tmp_path) is None
    registry.register(policies["lstm"], "best", checkpoint_digest="second")
    champion = current_champion(registry.uri, "best", tmp_path)
    assert champion is not None
    assert (champion.version, champion.uri, champion.problem) == ("2", "models:/best/2", None)
    assert champion.bundle is not None
    assert Path(champion.bundle).is_relative_to(tmp_path)
    actor = bundle_actor(open_bundle(champion.bundle))
    obs = {"obs": np.ones((2, 4), np.float32)}
    state = actor.initial_state(2)
    right = policies["lstm"].actor().act(obs, state, None, None).env_action
    assert actor.act(obs, state, None, None).env_action.tolist() == right.tolist()


def test_another_alias_can_mark_the_champion(
    registry: Registry, policies: dict[str, Case], tmp_path: Path
) -> None:
    registry.register(policies["mlp"], "aliased", alias="live", champion_alias="live")
    assert current_champion(registry.uri, "aliased", tmp_path) is None
    found = current_champion(registry.uri, "aliased", tmp_path, alias="live")
    assert found is not None
    assert found.version == "1"


def test_a_champion_whose_files_are_gone_is_told_with_its_problem(
    registry: Registry, policies: dict[str, Case], tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    registry.register(policies["mlp"], "gone")
    client = MlflowClient(registry.uri, registry_uri=registry.uri)
    shutil.rmtree(urlparse(client.get_model_version_download_uri("gone", "1")).path)
    champion = current_champion(registry.uri, "gone", tmp_path)
    assert champion is not None
    assert champion.bundle is None
    assert champion.problem


def test_a_champion_that_is_no_policy_is_told_with_its_problem(registry: Registry, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "MLmodel").write_text("flavors: {sklearn: {}}\n")
    client = MlflowClient(registry.uri, registry_uri=registry.uri)
    client.create_registered_model("foreign")
    client.create_model_version("foreign", (tmp_path / "foreign").as_uri(), registry.run_id)
    client.set_registered_model_alias("foreign", "champion", "1")
    champion = current_champion(registry.uri, "foreign", tmp_path / "copy")
    assert champion is not None
    assert "is no policy" in str(champion.problem)


def test_a_champion_that_moved_meanwhile_is_not_displaced(
    registry: Registry, policies: dict[str, Case]
) -> None:
    registry.register(policies["mlp"], "moved")
    registry.register(policies["mlp"], "moved", checkpoint_digest="second", champion="1")
    late = registry.register(policies["mlp"], "moved", checkpoint_digest="third", champion="1")
    assert late.alias == "challenger"
    assert late.message == "version 2 became champion meanwhile, and this one was not compared with it"


def test_a_registry_that_does_not_answer_is_said(
    policies: dict[str, Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(
        RegistryError, match=r"cannot ask for m@champion in the registry at http://127\.0\.0\.1:9"
    ):
        current_champion("http://127.0.0.1:9", "m", tmp_path)
    bundle = policies["mlp"].bundle(tmp_path / "policy").folder
    with pytest.raises(RegistryError, match="cannot register m in the registry at"):
        register(
            "http://127.0.0.1:9", "m", bundle, alias="champion", job_uid="u", attempt=1, checkpoint_digest="d"
        )


HOLDER = Champion("m", "4", "models:/m/4", bundle="/somewhere")


@pytest.mark.parametrize(
    ("candidate", "champion", "reached", "problem", "alias", "sentence"),
    [
        (5.0, None, None, None, "champion", "there was no champion before"),
        (None, None, None, None, "champion", "there was no champion before"),
        (5.0, HOLDER, 4.0, None, "champion", "version 4, reached 4 in the same evaluation, this one 5"),
        (5.0, HOLDER, 5.0, None, "champion", "reached 5"),
        (
            4.9,
            HOLDER,
            5.0,
            None,
            "challenger",
            "version 4, stays: it reached 5 in the same evaluation, this one 4.9",
        ),
        (None, HOLDER, 5.0, None, "challenger", "stays, because this one was not evaluated"),
        (math.nan, HOLDER, 5.0, None, "challenger", "stays"),
        (-math.inf, HOLDER, math.nan, None, "champion", "could not be compared with"),
        (1.0, HOLDER, None, "other spaces", "champion", "could not be compared with: other spaces"),
        (1.0, Champion("m", "4", "u", problem="deleted"), None, None, "champion", "compared with: deleted"),
    ],
)
def test_the_alias_moves_only_to_a_policy_that_is_not_worse(
    candidate: float | None,
    champion: Champion | None,
    reached: float | None,
    problem: str | None,
    alias: str,
    sentence: str,
) -> None:
    earned, why = promotion(candidate, champion, reached, problem)
    assert earned == alias
    assert sentence in why


def test_the_alias_that_moves_is_the_one_of_the_job() -> None:
    assert promotion(2.0, HOLDER, 1.0, alias="live")[0] == "live"
    assert promotion(1.0, HOLDER, None, alias="live")[0] == "live"
    assert promotion(1.0, None, None, alias="live")[0] == "live"
    assert promotion(1.0, HOLDER, 2.0, alias="live")[0] == "challenger"
