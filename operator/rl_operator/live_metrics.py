"""Metrics that are read off the running parts at each scrape: queue, informers, caches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rl_operator.driver_contact import Key
from rl_operator.metrics import CONTROLLER
from rl_operator.runtime.cache import Cache
from rl_operator.runtime.informer import Informer
from rl_operator.runtime.queue import WorkQueue

OF_QUEUE = ["name", "controller"]


class QueueCollector(Collector):
    """What client-go's work queue shows as gauges."""

    def __init__(self, queue: WorkQueue[Key]) -> None:
        self._queue = queue

    def collect(self) -> Iterable[Metric]:
        running = self._queue.running_seconds()
        yield _gauge("workqueue_depth", "Keys that wait.", OF_QUEUE, self._queue.depth())
        yield _gauge("workqueue_unfinished_work_seconds", "Of all keys in work.", OF_QUEUE, sum(running))
        yield _gauge(
            "workqueue_longest_running_processor_seconds", "In work.", OF_QUEUE, max(running, default=0)
        )


class InformerCollector(Collector):
    """Whether the caches can be trusted. The label: kind, and namespace unless all are watched."""

    def __init__(self, informers: Sequence[Informer]) -> None:
        self._informers = informers

    def collect(self) -> Iterable[Metric]:
        age = GaugeMetricFamily(
            "rl_operator_informer_last_event_age_seconds", "Since the server spoke.", labels=["informer"]
        )
        synced = GaugeMetricFamily("rl_operator_informer_synced", "1: listed.", labels=["informer"])
        missing = GaugeMetricFamily("rl_operator_informer_missing", "1: not served.", labels=["informer"])
        relists = CounterMetricFamily(
            "rl_operator_informer_relists", "Lists taken.", labels=["informer", "reason"]
        )
        for informer in self._informers:
            age.add_metric([informer.name], informer.event_age_seconds())
            synced.add_metric([informer.name], float(informer.synced))
            missing.add_metric([informer.name], float(informer.missing))
            for reason, count in list(informer.relists.items()):
                relists.add_metric([informer.name, reason], count)
        yield from (age, synced, missing, relists, *self._caches())

    def _caches(self) -> Iterator[Metric]:
        objects = GaugeMetricFamily("rl_operator_cached_objects", "Held.", labels=["resource"])
        skips = CounterMetricFamily(
            "stale_sync_skips", "Passes put off until a write of ours came back.", labels=["resource"]
        )
        caches: dict[str, Cache] = {it.resource.plural: it.cache for it in self._informers}
        for plural, cache in caches.items():
            objects.add_metric([plural], len(cache))
            skips.add_metric([plural], cache.stale_skips)
        yield from (objects, skips)


def _gauge(name: str, text: str, labels: list[str], value: float) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    family.add_metric([CONTROLLER] * len(labels), value)
    return family
