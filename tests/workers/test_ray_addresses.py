"""Which Ray a run joins: one that answers. What was killed leaves an address behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_platform.workers import ray_session
from rl_platform.workers.ray_session import BadRayAddress, RaySession, RayUnreachable, starts_its_own


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def dead() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def head_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "ray_current_cluster"
    monkeypatch.setattr(ray_session, "HEAD_FILE", file)
    return file


def test_the_head_on_this_machine_is_joined(head_file: Path, listening: str) -> None:
    assert ray_session._head_address() is None
    head_file.write_text(f"{listening}\n")
    assert ray_session._head_address() == listening


def test_a_head_that_was_killed_is_not_waited_for(head_file: Path, dead: str) -> None:
    head_file.write_text(dead)
    assert ray_session._head_address() is None


@pytest.mark.parametrize("address", [None, "127.0.0.1:99999999", "[::1]:1"])
def test_a_named_cluster_that_does_not_answer_is_an_error_that_says_so(
    address: str | None, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_session, "ANSWER_SECONDS", 0.1)
    monkeypatch.setenv("RAY_ADDRESS", address or dead)
    with pytest.raises(ConnectionError, match="RAY_ADDRESS=") as caught:
        RaySession().open()
    assert (address or dead) in str(caught.value)


@pytest.mark.parametrize("address", ["garbage", "localhost", ":6379", "10.0.0.1:", "http://10.0.0.1:8265"])
def test_what_is_no_address_is_refused_with_what_would_be_one(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(
        BadRayAddress, match=r"RAY_ADDRESS=.* expected host:port, ray://host:port, auto"
    ) as told:
        RaySession().open()
    assert address in str(told.value)


def test_local_is_a_ray_of_its_own_whatever_head_there_is(
    head_file: Path, listening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    head_file.write_text(listening)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert ray_session._address() == listening
    assert not starts_its_own()
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert ray_session._address() is None
    assert starts_its_own()


def test_auto_without_a_ray_is_said_in_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_found(**options: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setenv("RAY_ADDRESS", "auto")
    monkeypatch.setattr("ray.init", none_found)
    with pytest.raises(RayUnreachable, match="nothing answers at RAY_ADDRESS=auto"):
        RaySession().open()
