"""Pods of driver, learner, rollout workers and operator are deleted at random; the steps are counted.

Between the two tests the others run, beside what goes on here (see `conftest`).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from mlflow import MlflowClient

from tests.cluster.live_cluster import Json, steps
from tests.e2e.counted_jobs import counted
from tests.e2e.port_forward import forwarded
from tests.e2e.random_deletions import NAME, RandomDeletions
from tests.e2e.release import MLFLOW


def assert_one_driver_at_a_time(counted: Iterable[Json]) -> None:
    """By the times that each driver wrote down as long as it lived."""
    drivers = sorted(
        (it["attempt"], it["first"], it["last"], it["process"]) for it in counted if it["kind"] == "driver"
    )
    assert len({attempt for attempt, *_ in drivers}) == len(drivers), f"two drivers of one attempt: {drivers}"
    for (_, _, ended, _), (_, began, _, _) in pairwise(drivers):
        assert ended <= began, f"two drivers at once: {drivers}"


def test_deletions_begin(deletions: RandomDeletions) -> None:
    deletions.begin()


def test_it_finishes_with_one_model_and_never_two_drivers(deletions: RandomDeletions) -> None:
    done, jobs = deletions.end(), deletions.jobs
    assert steps(done) >= deletions.wanted
    assert done["failures"]["application"] == 0, done
    jobs.wait_for("no orphan is left", lambda: not jobs.holds(NAME))
    lives = counted(jobs)
    assert_one_driver_at_a_time(lives)
    # The last steps of each are not written down.
    assert sum(it["steps"] for it in lives) >= steps(done) * 0.9
    with forwarded(deletions.release.home.namespace, f"svc/{MLFLOW}", 5000) as server:
        versions = MlflowClient(server).search_model_versions(f"name = '{NAME}'")
    assert len(versions) == 1
    told = f"{dict(deletions.deleted)}; {done['attempt']} attempts, {done['failures']}"
    print(f"deleted in {deletions.seconds:g} s: {told}")  # noqa: T201 - the report
