"""The run's figures for Prometheus. `observe` swaps in one immutable snapshot; a scrape reads that only.

So a scrape never waits for training nor training for a scrape, and all figures of a scrape are of one report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from rl_platform.tracking.report import Report

_COUNTERS = {
    "env_steps": "Env steps taken by the run, over all its attempts.",
    "updates": "Updates made by the run, over all its attempts.",
    "episodes": "Episodes finished in the run, over all its attempts.",
}
_GAUGES = {
    "rollout/episode_return_mean": ("rlp_episode_return_mean", "Mean return of the last finished episodes."),
    "rollout/episode_length_mean": (
        "rlp_episode_length_env_steps_mean",
        "Mean length of the last finished episodes.",
    ),
    "time/env_steps_per_second": ("rlp_env_steps_per_second", "Env steps taken per second of training."),
    "rollout/policy_lag": ("rlp_policy_lag_versions", "Versions published since the policy acted."),
    "rollout/workers": ("rlp_rollout_workers", "Rollout workers in other processes that there should be."),
    "rollout/workers_lost": ("rlp_rollout_workers_lost", "Rollout workers lost so far, over all attempts."),
    "learner/losses": ("rlp_learner_losses", "Losses of learner processes; each led back to a checkpoint."),
}
_EDGE = {
    "depth": ("rlp_edge_depth_items", "Items that wait at this edge of the execution plan."),
    "age": ("rlp_edge_age_seconds", "Age of what last passed this edge of the execution plan."),
    "rate": ("rlp_edge_items_per_second", "Items that pass this edge of the execution plan per second."),
}


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Never written again once it is published."""

    counters: Mapping[str, float] = field(default_factory=dict)
    agent_steps: Mapping[str, float] = field(default_factory=dict)
    dropped: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    checkpoint: tuple[int, float] | None = None  # env steps, seconds since 1970
    policy_version: int | None = None


@dataclass(slots=True, eq=False)  # a registry keeps its collectors by identity
class RunMetrics(Collector):
    """Metrics of one run, prefix ``rlp_``, in ``registry`` (a new one by default, with those of the process).

    Counters are totals over all attempts. They never go back: where a report is behind the last one, because
    the run was put back to a checkpoint, they stand still until it has caught up.
    ``build``: labels of ``rlp_build_info``, such as version, python, torch.
    """

    build: Mapping[str, str] = field(default_factory=dict)
    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=False))
    _snapshot: _Snapshot = field(default_factory=_Snapshot, init=False)

    def __post_init__(self) -> None:
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def observe(
        self, report: Report, dropped: Mapping[str, int] | None = None, policy_version: int | None = None
    ) -> None:
        """The newest report; ``dropped``: agent steps that were not learned from, in total, by reason."""
        last = self._snapshot
        totals = {
            "env_steps": report.env_steps,
            "updates": report.updates,
            "episodes": report.metrics.get("rollout/episodes", 0),
        }
        self._snapshot = replace(
            last,
            counters=_grown(last.counters, totals),
            agent_steps=_grown(last.agent_steps, report.agent_steps),
            dropped=_grown(last.dropped, dropped or {}),
            metrics=dict(report.metrics),
            policy_version=last.policy_version if policy_version is None else policy_version,
        )

    def checkpointed(self, env_steps: int, seconds: float) -> None:
        """A checkpoint of so many env steps was saved at ``seconds`` since 1970."""
        self._snapshot = replace(self._snapshot, checkpoint=(env_steps, seconds))

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: names depend on what is reported."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        snapshot = self._snapshot
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"rlp_{name}", text, value=snapshot.counters.get(name, 0))
        yield _labelled(
            CounterMetricFamily(
                "rlp_agent_steps", "Agent steps by policy, over all attempts.", labels=["policy"]
            ),
            snapshot.agent_steps,
        )
        yield _labelled(
            CounterMetricFamily(
                "rlp_dropped_agent_steps", "Agent steps not learned from.", labels=["reason"]
            ),
            snapshot.dropped,
        )
        yield from _gauges(snapshot)
        yield from _edges(snapshot.metrics)
        yield from _learning(snapshot.metrics)
        if self.build:
            yield InfoMetricFamily("rlp_build", "What runs here.", value=dict(self.build))


def _grown(last: Mapping[str, float], totals: Mapping[str, float]) -> Mapping[str, float]:
    return {**last, **{name: max(total, last.get(name, 0)) for name, total in totals.items()}}


def _labelled(family: CounterMetricFamily, values: Mapping[str, float]) -> Metric:
    for label, value in values.items():
        family.add_metric([label], value)
    return family


def _gauges(snapshot: _Snapshot) -> Iterator[Metric]:
    for key, (name, text) in _GAUGES.items():
        if key in snapshot.metrics:
            yield GaugeMetricFamily(name, text, value=snapshot.metrics[key])
    if snapshot.policy_version is not None:
        yield GaugeMetricFamily(
            "rlp_policy_version", "Policy version last published.", value=snapshot.policy_version
        )
    if snapshot.checkpoint is not None:
        env_steps, seconds = snapshot.checkpoint
        yield GaugeMetricFamily(
            "rlp_checkpoint_env_steps", "Env steps in the last checkpoint.", value=env_steps
        )
        yield GaugeMetricFamily(
            "rlp_checkpoint_timestamp_seconds",
            "When the last checkpoint was saved, since 1970.",
            value=seconds,
        )


def _edges(metrics: Mapping[str, float]) -> Iterator[Metric]:
    """``edge/<name>/depth|age|rate``; an edge's name may hold slashes (``learn/update_priorities``)."""
    families = {kind: GaugeMetricFamily(name, text, labels=["edge"]) for kind, (name, text) in _EDGE.items()}
    for key, value in metrics.items():
        if key.startswith("edge/"):
            edge, _, kind = key.removeprefix("edge/").rpartition("/")
            if kind in families:
                families[kind].add_metric([edge], value)
    return iter(families.values())


def _learning(metrics: Mapping[str, float]) -> Iterator[Metric]:
    """``train/<policy>/<name>``: losses, and whatever else the learner says."""
    losses = GaugeMetricFamily("rlp_loss", "A loss of the last update.", labels=["policy", "loss"])
    others = GaugeMetricFamily(
        "rlp_learner_statistic", "What the learner reports besides.", labels=["policy", "statistic"]
    )
    for key, value in metrics.items():
        if key.startswith("train/") and key.count("/") >= 2:
            _, policy, name = key.split("/", 2)
            (losses if name.endswith("loss") else others).add_metric([policy, name], value)
    return iter((losses, others))
