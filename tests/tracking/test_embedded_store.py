"""MLflow's own database is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from rl_platform.tracking.embedded_store import make_store

MAKE = "import sys; from rl_platform.tracking.embedded_store import make_store; make_store(sys.argv[1])"
FULL = 200_000
"""Bytes, of some 1.2 million that the database has."""


@contextlib.contextmanager
def full_at(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def is_whole(uri: str) -> bool:
    client = MlflowClient(uri, registry_uri=uri)
    client.create_run(client.create_experiment("poles"))
    return [each.name for each in client.search_experiments()] == ["poles", "Default"]


def made_of(database: Path) -> int:
    """Bytes, wherever they are being made."""
    places = [database, database.with_name("mlflow.db.partial")]
    return max(place.stat().st_size if place.exists() else 0 for place in places)


def test_a_disk_that_fills_up_leaves_nothing_and_the_next_attempt_makes_it_whole(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}"
    with full_at(FULL), pytest.raises(Exception, match=r"full|disk I/O"):
        make_store(uri)
    assert not list((tmp_path / "runs").glob("mlflow.db*[!k]"))
    make_store(uri)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mlflow.db"]
    assert is_whole(uri)


@pytest.mark.slow
def test_what_a_killed_process_leaves_is_no_store_and_no_hindrance(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    making = subprocess.Popen(
        [sys.executable, "-c", MAKE, f"sqlite:///{database}"], stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 120
    while made_of(database) < FULL:
        assert making.poll() is None
        assert time.monotonic() < until
        time.sleep(0.005)
    making.send_signal(signal.SIGKILL)
    making.wait()
    assert not database.exists()
    (tmp_path / "mlflow.db.partial-journal").write_bytes(b"of another time")
    make_store(f"sqlite:///{database}")
    assert is_whole(f"sqlite:///{database}")
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.slow
def test_two_processes_at_once_make_one_store(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    making = [subprocess.Popen([sys.executable, "-c", MAKE, uri], stderr=subprocess.PIPE) for _ in range(2)]
    for process in making:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert is_whole(uri)


def test_a_store_that_is_there_is_left_alone(migrated_store: Path, tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    shutil.copy(migrated_store, database)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    before = database.read_bytes()
    make_store(f"sqlite:///{database}")
    make_store("http://127.0.0.1:9")
    assert database.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
