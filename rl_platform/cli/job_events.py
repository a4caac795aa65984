"""Kubernetes events about a job, from whichever of the two APIs recorded them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rl_platform.cli.amounts import parse_time, plain
from rl_platform.cli.api_requests import Cluster, Query
from rl_platform.cli.seen_job import SeenJob

BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """``time``: of its last repetition; ``count``: how often it was seen."""

    uid: str
    time: str
    type: str
    reason: str
    message: str
    count: int

    @property
    def moment(self) -> datetime:
        return parse_time(self.time) or BEGINNING

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.reason}: {self.message}{times}"


def events_path(namespace: str) -> str:
    """Of the core API: it shows what was recorded through events.k8s.io too."""
    return f"/api/v1/namespaces/{namespace}/events"


def about(job: SeenJob) -> Query:
    return (("fieldSelector", f"involvedObject.uid={job.uid}"),)


def seen_event(document: Mapping[str, Any]) -> SeenEvent:
    series = document.get("series")
    series = series if isinstance(series, Mapping) else {}
    metadata = document.get("metadata") or {}
    times = (
        series.get("lastObservedTime"),
        document.get("lastTimestamp"),
        document.get("eventTime"),
        metadata.get("creationTimestamp"),
    )
    count = series.get("count") or document.get("count") or 1
    return SeenEvent(
        uid=str(metadata.get("uid", "")),
        time=next((str(each) for each in times if each), ""),
        type=plain(document.get("type") or ""),
        reason=plain(document.get("reason") or ""),
        message=plain(document.get("message") or ""),
        count=count if isinstance(count, int) else 1,
    )


def events_of(cluster: Cluster, job: SeenJob) -> list[SeenEvent]:
    """Oldest first. Raises ClusterError."""
    found, _ = cluster.items(events_path(job.namespace), about(job))
    return sorted(map(seen_event, found), key=lambda event: event.moment)
