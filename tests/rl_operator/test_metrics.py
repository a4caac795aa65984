"""Metrics under controller-runtime's names, and the series of single jobs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from rl_operator.caches import index_job
from rl_operator.driver_contact import Key
from rl_operator.job_series import job_series
from rl_operator.live_metrics import InformerCollector, QueueCollector
from rl_operator.metrics import Metrics
from rl_operator.runtime.api import Api, Call, WatchEvent
from rl_operator.runtime.cache import Cache
from rl_operator.runtime.informer import Informer
from rl_operator.runtime.queue import WorkQueue
from rl_operator.runtime.resources import PODS, TRAINING_JOBS
from rl_operator.runtime.workers import Result
from rl_platform.spec.conditions import ConditionType
from tests.rl_operator.runtime.clocks import HandClock

MOST_SERIES = 40
OF_CONTROLLER_RUNTIME = {
    "controller_runtime_reconcile",
    "controller_runtime_reconcile_errors",
    "controller_runtime_reconcile_time_seconds",
    "controller_runtime_active_workers",
    "controller_runtime_max_concurrent_reconciles",
    "workqueue_depth",
    "workqueue_adds",
    "workqueue_queue_duration_seconds",
    "workqueue_work_duration_seconds",
    "workqueue_unfinished_work_seconds",
    "workqueue_longest_running_processor_seconds",
    "workqueue_retries",
    "rest_client_requests",
    "leader_election_master_status",
}


def job(name: str, version: int = 1, *, queue: str = "", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "ns",
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-11-26T10:00:00Z",
        },
        "spec": {"algorithm": {"ppo": {}}, "scheduling": {"queue": queue} if queue else {}},
        "status": status,
    }


def condition(kind: str, status: str, time: str = "2026-11-26T10:01:30Z") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": "R", "lastTransitionTime": time}


FULL = {
    "conditions": [condition(kind, "True") for kind in ConditionType],
    "attempt": 2,
    "progress": {"envSteps": 1000, "episodeReturnMean": 1.5, "envStepsPerSecond": 20.25},
    "checkpoint": {"envSteps": 900},
}


def series(jobs: Cache) -> list[tuple[str, dict[str, str], float]]:
    families = text_string_to_metric_families("".join(job_series(jobs)))
    return [(it.name, it.labels, it.value) for family in families for it in family.samples]


def test_a_job_has_its_series_and_they_vanish_with_it() -> None:
    jobs = Cache(index_job)
    jobs.replace([job("a", queue="gold", **copy.deepcopy(FULL)), job("b")], "5")
    of_a = [it for it in series(jobs) if it[1]["name"] == "a"]
    assert len(of_a) <= MOST_SERIES
    labels = {"namespace": "ns", "name": "a"}
    info = {"uid": "uid-a", "algorithm": "ppo", "queue": "gold"}
    assert ("trainingjob_info", labels | info, 1.0) in of_a
    holds = {"condition": "Training", "status": "True"}
    assert ("trainingjob_status_condition", labels | holds, 1.0) in of_a
    for name, value in {
        "trainingjob_last_env_steps": 1000,
        "trainingjob_last_episode_return_mean": 1.5,
        "trainingjob_last_env_steps_per_second": 20.25,
        "trainingjob_last_checkpoint_env_steps": 900,
    }.items():
        assert (name, labels, value) in of_a
    assert [it[0] for it in series(jobs) if it[1]["name"] == "b"] == ["trainingjob_info"]
    jobs.apply(WatchEvent("DELETED", job("a", 6)))
    assert {it[1]["name"] for it in series(jobs)} == {"b"}


def test_a_hostile_status_costs_no_more_series_and_breaks_no_line() -> None:
    jobs = Cache(index_job)
    odd = [condition(f'X"\n{number}\\', "True") for number in range(100)]
    strange = {"conditions": [*odd, "no object"], "progress": {"envSteps": "many"}, "checkpoint": None}
    jobs.replace([job("a", **strange), {**job("b"), "spec": {}}], "5")
    found = series(jobs)
    assert len([it for it in found if it[1]["name"] == "a"]) <= MOST_SERIES
    assert 'X"\n0\\' in {it[1].get("condition") for it in found}


def test_names_are_those_of_controller_runtime() -> None:
    metrics, queue = Metrics(), WorkQueue[Key]()
    metrics.registry.register(QueueCollector(queue))
    metrics.leader.labels("rl-operator").set(1)
    metrics.observe_calls("host:1")(Call("get", "GET", PODS, 200, 0.1))
    text = generate_latest(metrics.registry).decode()
    assert {it.name for it in text_string_to_metric_families(text)} >= OF_CONTROLLER_RUNTIME
    assert "_created" not in text


def value(metrics: Metrics, name: str, /, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def test_passes_keys_and_calls_are_counted() -> None:
    metrics, clock = Metrics(), HandClock()
    queue: WorkQueue[Key] = WorkQueue(clock=clock, observer=metrics)
    metrics.registry.register(QueueCollector(queue))
    of = {"name": "trainingjob", "controller": "trainingjob"}
    queue.add(("ns", "a"))
    queue.add(("ns", "b"))
    clock.now = 2.0
    queue.get(block=False)
    clock.now = 5.0
    assert value(metrics, "workqueue_depth", **of) == 1
    assert value(metrics, "workqueue_unfinished_work_seconds", **of) == 3
    assert value(metrics, "workqueue_longest_running_processor_seconds", **of) == 3
    queue.done(("ns", "a"))
    queue.add_rate_limited(("ns", "a"))
    metrics.began()
    assert value(metrics, "controller_runtime_active_workers", controller="trainingjob") == 1
    metrics.ended(Result.ERROR, 0.5)
    assert value(metrics, "workqueue_adds_total", **of) == 2
    assert value(metrics, "workqueue_retries_total", **of) == 1
    assert value(metrics, "workqueue_queue_duration_seconds_sum", **of) == 2
    assert value(metrics, "workqueue_work_duration_seconds_sum", **of) == 3
    passes = {"controller": "trainingjob", "result": "error"}
    assert value(metrics, "controller_runtime_reconcile_total", **passes) == 1
    assert value(metrics, "controller_runtime_reconcile_errors_total", controller="trainingjob") == 1
    assert value(metrics, "controller_runtime_reconcile_time_seconds_sum", controller="trainingjob") == 0.5
    for code in (200, 0):
        metrics.observe_calls("host:1")(Call("list", "GET", PODS, code, 0.25))
    lost = {"code": "<error>", "method": "GET", "host": "host:1"}
    assert value(metrics, "rest_client_requests_total", **lost) == 1
    latency = {"verb": "list", "resource": "pods"}
    assert value(metrics, "rl_operator_api_request_duration_seconds_sum", **latency) == 0.5


@pytest.mark.parametrize(("word", "result"), [("True", "succeeded"), ("False", "failed")])
def test_an_end_is_counted_once_and_not_again_after_a_restart(word: str, result: str) -> None:
    metrics, jobs = Metrics(), Cache(index_job)
    open_one = [condition("Succeeded", "Unknown")]
    ended = [condition("Succeeded", word)]
    steps = [
        jobs.replace([job("a", 1, conditions=open_one), job("old", 1, conditions=ended)], "2"),
        jobs.apply(WatchEvent("MODIFIED", job("a", 3, conditions=ended))),
        jobs.apply(WatchEvent("MODIFIED", job("a", 4, conditions=ended, attempt=1))),
        jobs.apply(WatchEvent("DELETED", job("a", 5, conditions=ended))),
    ]
    for change in (it for step in steps for it in step):
        metrics.job_changed(change)
    counted = value(metrics, "trainingjobs_finished_total", namespace="ns", result=result, algorithm="ppo")
    assert counted == 1


def test_the_time_until_training_is_that_of_the_first_attempt() -> None:
    metrics, jobs = Metrics(), Cache(index_job)
    training = [condition("Training", "True")]
    steps = [
        jobs.replace([job("a", 1, attempt=1), job("b", 1, attempt=2)], "2"),
        jobs.apply(WatchEvent("MODIFIED", job("a", 3, attempt=1, conditions=training))),
        jobs.apply(WatchEvent("MODIFIED", job("b", 4, attempt=2, conditions=training))),
    ]
    for change in (it for step in steps for it in step):
        metrics.job_changed(change)
    assert value(metrics, "trainingjob_start_seconds_count", namespace="ns") == 1
    assert value(metrics, "trainingjob_start_seconds_sum", namespace="ns") == 90


def test_informers_and_caches_are_read_at_each_scrape() -> None:
    metrics, clock, cache = Metrics(), HandClock(), Cache(index_job)
    informer = Informer(
        Api(None),  # type: ignore[arg-type]
        TRAINING_JOBS,
        cache,
        lambda change: None,
        namespace="ns",
        clock=clock,
    )
    metrics.registry.register(InformerCollector([informer]))
    cache.replace([job("a")], "5")
    cache.wrote(("ns", "a"), "6")
    cache.caught_up(("ns", "a"))
    informer.relists["expired"] += 2
    informer.missing = True
    clock.now = 12.0
    of = {"informer": "trainingjobs/ns"}
    assert value(metrics, "rl_operator_informer_last_event_age_seconds", **of) == 12
    assert value(metrics, "rl_operator_informer_missing", **of) == 1
    assert value(metrics, "rl_operator_informer_relists_total", reason="expired", **of) == 2
    assert value(metrics, "rl_operator_cached_objects", resource="trainingjobs") == 1
    assert value(metrics, "stale_sync_skips_total", resource="trainingjobs") == 1
