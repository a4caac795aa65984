from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_platform.serving.registry import RegistryError
from rl_platform.serving.registry_process import RegistryProcess
from tests.serving.cases import Case
from tests.serving.conftest import Registry


@pytest.fixture
def process() -> Iterator[RegistryProcess]:
    process = RegistryProcess()
    yield process
    process.close()


def test_a_policy_is_registered_and_found_again(
    process: RegistryProcess, registry: Registry, policies: dict[str, Case], tmp_path: Path
) -> None:
    bundle = policies["mlp"].bundle(tmp_path / "policy").folder
    assert process.current_champion(registry.uri, "by-process", str(tmp_path / "a"), "champion") is None
    version = process.register(
        registry.uri,
        "by-process",
        str(bundle),
        alias="champion",
        job_uid="u",
        attempt=1,
        checkpoint_digest="d",
        run_id=registry.run_id,
    )
    assert (version.version, version.alias) == ("1", "champion")
    champion = process.current_champion(registry.uri, "by-process", str(tmp_path / "b"), "champion")
    assert champion is not None
    assert champion.bundle is not None
    assert Path(champion.bundle, "policy.onnx").is_file()


def test_an_absent_server_is_said_before_the_user_gives_up(process: RegistryProcess, tmp_path: Path) -> None:
    with pytest.raises(RegistryError):
        process.current_champion("nonsense://", "m", str(tmp_path), "champion")  # by then MLflow is imported
    began = time.monotonic()
    with pytest.raises(RegistryError, match=r"registry at http://127\.0\.0\.1:9"):
        process.current_champion("http://127.0.0.1:9", "m", str(tmp_path), "champion")
    assert time.monotonic() - began < 30


def test_a_process_that_dies_is_said(process: RegistryProcess, tmp_path: Path) -> None:
    os.kill(process._process.pid, signal.SIGKILL)
    with pytest.raises(RegistryError, match="ended while asked to current_champion"):
        process.current_champion("http://127.0.0.1:9", "m", str(tmp_path), "champion")


def test_a_damaged_store_is_said_in_one_line(process: RegistryProcess, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 100)
    with pytest.raises(RegistryError) as caught:
        process.current_champion(f"sqlite:///{tmp_path}/mlflow.db", "m", str(tmp_path), "champion")
    assert str(caught.value).endswith("file is not a database")
