"""Which job a registered model was trained by."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_platform.serving.loading import PolicyNotFoundError
from rl_platform.serving.registry import RegistryError
from rl_platform.serving.trained_job import manifest_of_model
from tests.serving.cases import Case
from tests.serving.conftest import Registry


def test_the_manifest_is_that_of_the_run_which_made_the_model(
    registry: Registry, policies: dict[str, Case], tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(registry.uri, registry_uri=registry.uri)
    run = client.create_run(client.get_run(registry.run_id).info.experiment_id).info.run_id
    registry.register(policies["mlp"], "made", run_id=run)
    assert manifest_of_model("models:/made@champion", tmp_path, registry.uri) is None, "not there yet"
    (tmp_path / "spec.yaml").write_text("kind: TrainingJob\n")
    client.log_artifact(run, str(tmp_path / "spec.yaml"))
    source = client.get_model_version("made", "1").source
    for number, uri in enumerate(("models:/made@champion", "models:/made/1", source)):
        found = manifest_of_model(uri, tmp_path / str(number), registry.uri)
        assert found is not None
        assert found.is_relative_to(tmp_path / str(number))
        assert found.read_text() == "kind: TrainingJob\n"


def test_a_model_that_does_not_exist_is_said(registry: Registry, tmp_path: Path) -> None:
    for uri in ("models:/nowhere@champion", "models:/nowhere/3", "models:/m-0123"):
        with pytest.raises(RegistryError, match=f"there is no {uri} in the registry at sqlite"):
            manifest_of_model(uri, tmp_path, registry.uri)
    with pytest.raises(PolicyNotFoundError, match="names no policy"):
        manifest_of_model("models:/a@", tmp_path, registry.uri)
