"""What Prometheus reads from a run."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from rl_platform.tracking.prometheus import RunMetrics
from rl_platform.tracking.report import Report

METRICS = {
    "rollout/episode_return_mean": 475.5,
    "rollout/episode_length_mean": 480.0,
    "rollout/episodes": 12.0,
    "time/env_steps_per_second": 41000.0,
    "rollout/policy_lag": 2.0,
    "rollout/workers": 4.0,
    "rollout/workers_lost": 1.0,
    "learner/losses": 2.0,
    "train/default/policy_loss": -0.01,
    "train/blue-team/value_loss": 3.5,
    "train/default/entropy": 0.6,
    "edge/learn/update_priorities/depth": 3.0,
    "edge/rollouts/age": 0.25,
    "edge/rollouts/rate": 40.0,
    "something/else": 1.0,
}


def report(env_steps: int = 1024, **others: object) -> Report:
    given_values = {"updates": 16, "agent_steps": {"default": env_steps}, "metrics": dict(METRICS), **others}
    return Report(env_steps=env_steps, iteration=1, wall_seconds=2.0, **given_values)  # type: ignore[arg-type]


def scrape(metrics: RunMetrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """(name, label values in the order of their names) → value, read by Prometheus' own parser."""
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("rlp_")
    }


def test_a_report_is_scraped_under_the_names_of_prometheus_conventions() -> None:
    metrics = RunMetrics({"version": "0.1.0", "python": "3.11.7"})
    metrics.observe(report(), dropped={"stale": 64}, policy_version=9)
    metrics.checkpointed(1000, 1.5e9)
    assert scrape(metrics) == {
        ("rlp_env_steps_total", ()): 1024,
        ("rlp_updates_total", ()): 16,
        ("rlp_episodes_total", ()): 12,
        ("rlp_agent_steps_total", ("default",)): 1024,
        ("rlp_dropped_agent_steps_total", ("stale",)): 64,
        ("rlp_episode_return_mean", ()): 475.5,
        ("rlp_episode_length_env_steps_mean", ()): 480,
        ("rlp_env_steps_per_second", ()): 41000,
        ("rlp_policy_lag_versions", ()): 2,
        ("rlp_rollout_workers", ()): 4,
        ("rlp_rollout_workers_lost", ()): 1,
        ("rlp_learner_losses", ()): 2,
        ("rlp_policy_version", ()): 9,
        ("rlp_checkpoint_env_steps", ()): 1000,
        ("rlp_checkpoint_timestamp_seconds", ()): 1.5e9,
        ("rlp_edge_depth_items", ("learn/update_priorities",)): 3,
        ("rlp_edge_age_seconds", ("rollouts",)): 0.25,
        ("rlp_edge_items_per_second", ("rollouts",)): 40,
        ("rlp_loss", ("policy_loss", "default")): -0.01,
        ("rlp_loss", ("value_loss", "blue-team")): 3.5,
        ("rlp_learner_statistic", ("default", "entropy")): 0.6,
        ("rlp_build_info", ("3.11.7", "0.1.0")): 1,
    }


def test_before_the_first_report_there_are_counters_at_nought_and_no_invented_gauges() -> None:
    assert scrape(RunMetrics()) == {
        ("rlp_env_steps_total", ()): 0,
        ("rlp_updates_total", ()): 0,
        ("rlp_episodes_total", ()): 0,
    }


def test_the_figures_of_the_process_are_there_too() -> None:
    assert b"process_resident_memory_bytes" in generate_latest(RunMetrics().registry)


def test_two_runs_in_one_process_do_not_mix() -> None:
    one, two = RunMetrics(), RunMetrics()
    one.observe(report(10))
    two.observe(report(20))
    assert scrape(one)["rlp_env_steps_total", ()] == 10
    assert scrape(two)["rlp_env_steps_total", ()] == 20


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20))
def test_counters_never_go_back_and_agree_again_once_a_run_that_was_put_back_has_caught_up(
    steps: list[int],
) -> None:
    metrics = RunMetrics()
    shown = []
    for step in steps:
        metrics.observe(
            report(step, updates=step, metrics={"rollout/episodes": float(step)}), dropped={"stale": step}
        )
        found = scrape(metrics)
        names = ("rlp_env_steps_total", "rlp_updates_total", "rlp_episodes_total")
        values = {found[name, ()] for name in names}
        values |= {
            found["rlp_agent_steps_total", ("default",)],
            found["rlp_dropped_agent_steps_total", ("stale",)],
        }
        assert len(values) == 1
        shown.extend(values)
    assert shown == [max(steps[: index + 1]) for index in range(len(steps))]


def test_gauges_follow_the_newest_report_and_vanish_with_it() -> None:
    metrics = RunMetrics()
    metrics.observe(report(1), dropped={"stale": 5}, policy_version=4)
    metrics.observe(report(2, agent_steps={"other": 1}, metrics={"rollout/episode_return_mean": 3.0}))
    found = scrape(metrics)
    assert found["rlp_episode_return_mean", ()] == 3.0
    assert ("rlp_loss", ("policy_loss", "default")) not in found
    kept = {
        ("rlp_episodes_total", ()): 12,
        ("rlp_agent_steps_total", ("default",)): 1,
        ("rlp_dropped_agent_steps_total", ("stale",)): 5,
        ("rlp_policy_version", ()): 4,
    }
    assert kept.items() <= found.items(), "a report that says nothing of a counter must not reset it"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_not_a_number_does_not_break_the_scrape(value: float) -> None:
    metrics = RunMetrics()
    metrics.observe(report(metrics={"train/default/policy_loss": value}))
    assert str(scrape(metrics)["rlp_loss", ("policy_loss", "default")]) == str(value)


def test_a_report_costs_training_next_to_nothing() -> None:
    metrics, observed = RunMetrics(), report()
    best = min(_seconds(metrics, observed) for _ in range(5))
    assert best / 200 < 100e-6


def _seconds(metrics: RunMetrics, observed: Report) -> float:
    began = time.perf_counter()
    for _ in range(200):
        metrics.observe(observed)
    return time.perf_counter() - began
