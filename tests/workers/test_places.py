"""Which hosts are still wanted when workers leave, and who leaves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rl_platform.workers.fragment import RemoteTrajectory
from rl_platform.workers.group import WorkerGroup
from rl_platform.workers.members import Member
from rl_platform.workers.places import Places


def trajectory() -> RemoteTrajectory:
    return RemoteTrajectory("default", 1, 0, 0, 16)


def test_a_host_is_wanted_until_what_was_asked_for_there_has_come() -> None:
    places = Places({"a"})
    places.asked("a")
    places.asked("a")
    places.received("a")
    assert places.wanted({"b"}) == ["a", "b"]
    places.received("a")
    assert places.wanted({"b"}) == ["b"]
    assert places.leaving == set()


def test_a_host_is_wanted_until_what_lies_there_has_been_learned_from() -> None:
    places, kept, other = Places({"a"}), trajectory(), trajectory()
    for each in (kept, other):
        places.asked("a")
        places.received("a", [each])
    del other, each
    assert places.wanted({"b"}) == ["a", "b"]
    del kept
    assert places.wanted({"b"}) == ["b"]


def test_a_host_that_has_a_worker_again_is_not_leaving() -> None:
    places = Places({"a"})
    assert places.wanted({"a", "b"}) == ["a", "b"]
    assert places.leaving == set()


@pytest.mark.parametrize(
    ("hosts", "count", "stay"),
    [
        (["a", "b", "a", "b"], 2, ["a", "a"]),  # all of one pod, not one of each
        (["a", "b", "c", "d"], 1, ["a"]),
        (["a", "", "b", ""], 2, ["a", "b"]),  # those that never answered first
        (["a", "a", "a"], 2, ["a", "a"]),
    ],
)
def test_workers_of_one_host_leave_together(hosts: list[str], count: int, stay: list[str]) -> None:
    unused: Any = SimpleNamespace(num_envs=1)
    group = WorkerGroup(unused, 0, unused)
    group.members.by_number = {
        number: Member(number, object(), host=host) for number, host in enumerate(hosts)
    }
    group.resize(count)
    assert [member.host for member in group.members.present()] == stay
    assert group.hosts() == sorted(set(stay))
