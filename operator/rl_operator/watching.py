"""The informers of the operator: what is watched, where, and which job's key each change wakes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from rl_operator.caches import Caches
from rl_operator.driver_contact import Key
from rl_operator.names import JOB_LABEL
from rl_operator.rbac import Rule
from rl_operator.runtime.api import Api
from rl_operator.runtime.cache import Cache, Change
from rl_operator.runtime.informer import Informer
from rl_operator.runtime.resources import PODS, RAY_CLUSTERS, TRAINING_JOBS, Resource

LOOK = ("list", "watch")
RULES = (Rule(TRAINING_JOBS, LOOK), Rule(RAY_CLUSTERS, LOOK), Rule(PODS, LOOK))
STUCK_SECONDS = 300.0


class Watching:
    """Informers of jobs, clusters and pods, in each namespace of ``namespaces`` or, when empty, in all."""

    def __init__(
        self,
        api: Api,
        namespaces: Sequence[str],
        *,
        wake: Callable[[Key], None],
        job_changed: Callable[[Change], None],
    ) -> None:
        self._wake = wake
        self._job_changed = job_changed
        self.caches = Caches(kuberay_missing=lambda: any(it.missing for it in self._of(RAY_CLUSTERS)))
        watched: list[tuple[Resource, Cache, Callable[[Change], None], str]] = [
            (TRAINING_JOBS, self.caches.jobs, self._on_job, ""),
            (RAY_CLUSTERS, self.caches.clusters, self._on_child, ""),
            (PODS, self.caches.pods, self._on_child, JOB_LABEL),
        ]
        self.informers = [
            Informer(api, resource, cache, on_change, namespace=namespace, label_selector=selector)
            for resource, cache, on_change, selector in watched
            for namespace in namespaces or (None,)
        ]

    def start(self) -> None:
        for informer in self.informers:
            threading.Thread(target=informer.run, name=f"watch {informer.name}", daemon=True).start()

    def stop(self) -> None:
        for informer in self.informers:
            informer.stop()

    def not_synced(self) -> str:
        """What is still to be listed; empty: all is, or is not served."""
        late = [
            f"{it.name}: {it.fault or 'being listed'}"
            for it in self.informers
            if not (it.synced or it.missing)
        ]
        return "; ".join(late)

    def stuck(self) -> str:
        """Which loops have stood still for too long; empty: none."""
        ages = {it.name: it.turn_age_seconds() for it in self.informers}
        return "; ".join(
            f"watch {it}: no turn for {age:.0f} s" for it, age in ages.items() if age > STUCK_SECONDS
        )

    def _of(self, resource: Resource) -> list[Informer]:
        return [it for it in self.informers if it.resource == resource]

    def _on_job(self, change: Change) -> None:
        self._job_changed(change)
        self._wake(change.indexed.key)

    def _on_child(self, change: Change) -> None:
        for indexed in (change.previous, change.indexed):
            if indexed is not None and indexed.belongs_to is not None:
                self._wake(indexed.belongs_to)
