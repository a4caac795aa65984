"""What a rollout worker elsewhere says of what went wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from rl_platform.workers.blueprint import Blueprint
from rl_platform.workers.remote_worker import Broken, RemoteWorker


def told(error: BaseException) -> Broken:
    """Of worker 3, whose environments raise it when they are made."""

    def build(source: int, on_hang: Callable[[str], None]) -> Any:
        raise error

    blueprint = SimpleNamespace(build=build, environment=SimpleNamespace(name="Odd-v0"))
    answer = RemoteWorker(cast(Blueprint, blueprint), 3, 0).hello()
    assert isinstance(answer, Broken)
    return answer


def test_an_endless_message_is_told_in_part() -> None:
    broken = told(ValueError("begin" + "x" * 10**6 + "end"))
    assert broken.message.startswith("ValueError: begin")
    assert len(broken.message) < 2_200
    assert len(broken.traceback) < 20_200
    assert "in build" in broken.traceback
    assert broken.traceback.endswith("end\n")


def test_an_environment_that_interrupts_is_named_with_its_worker() -> None:
    broken = told(KeyboardInterrupt())
    assert broken.of_environment
    assert broken.message == "rollout worker 3: its environment raised KeyboardInterrupt"
    assert told(KeyboardInterrupt("why")).message.endswith("raised KeyboardInterrupt: why")
