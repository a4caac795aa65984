"""Checkpoints in a real server that speaks the protocol of Amazon's object store."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rl_platform.checkpoints.checkpoint import Checkpoint
from rl_platform.checkpoints.errors import CheckpointError, StaleAttempt
from rl_platform.checkpoints.store import CheckpointStore

pytestmark = pytest.mark.long

BUCKET = "runs"
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "tester-secret"}
START_SECONDS = 60.0


def checkpoint(value: float) -> Checkpoint:
    return Checkpoint({"value": value}, {"policy/default/weights": {"flat": np.full(5, value, np.float32)}})


def free_ports(count: int) -> list[int]:
    """All held at once, so that no two are the same."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    weed = Path(sys.executable).with_name("weed")
    program = str(weed) if weed.exists() else shutil.which("weed")
    if program is None:
        pytest.skip("there is no S3 server: the program weed (SeaweedFS) is not installed")
    folder = tmp_path_factory.mktemp("s3")
    names = ["master.port", "volume.port", "filer.port", "s3.port"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    flags = [f"-{name}={port}" for name, port in ports.items()]
    command = [program, "server", "-s3", "-filer", f"-dir={folder}", "-ip=127.0.0.1", *flags]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=os.environ | KEYS, stdout=log, stderr=log)
    try:
        _wait_until_open(ports["s3.port"], server)
        yield f"http://127.0.0.1:{ports['s3.port']}"
    finally:
        server.terminate()
        server.wait(30)


def _wait_until_open(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the S3 server did not open its port: {server.poll()}")


@pytest.fixture
def uri(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    for name, value in (KEYS | {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}).items():
        monkeypatch.setenv(name, value)
    from pyarrow.fs import S3FileSystem

    files = S3FileSystem(endpoint_override=endpoint, region="us-east-1", allow_bucket_creation=True)
    files.create_dir(BUCKET)
    return f"s3://{BUCKET}/{request.node.name}"


def test_checkpoints_are_saved_found_kept_few_and_fenced(uri: str) -> None:
    store = CheckpointStore(uri, keep=2)
    assert (store.highest_attempt(), store.latest()) == (0, None)
    store.claim()
    refs = [store.save(checkpoint(float(number)), number, number) for number in range(1, 5)]
    assert [ref.env_steps for ref in store.refs()] == [4, 3]
    found = CheckpointStore(uri).load_latest()
    assert found is not None
    assert found[0] == refs[-1]
    assert found[1].arrays["policy/default/weights"]["flat"].tolist() == [4.0] * 5
    later = CheckpointStore(uri, attempt=2)
    later.claim()
    with pytest.raises(StaleAttempt):
        store.save(checkpoint(9.0), 9, 9)
    assert later.latest() == refs[-1]


def test_a_bucket_that_is_not_there_is_told(uri: str) -> None:
    with pytest.raises(CheckpointError, match="s3://no-such-bucket/x"):
        CheckpointStore("s3://no-such-bucket/x").claim()
