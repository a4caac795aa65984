"""An API server in memory, and caches that show what a test has taken from it: as old as it wants them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from rl_operator.caches import Caches
from rl_operator.driver_contact import DriverOrder, DriverSighting, Key
from rl_operator.names import HEAD, JOB_UID_LABEL, ROLE_LABEL
from rl_operator.runtime.api import Api
from rl_operator.runtime.resources import PODS, RAY_CLUSTERS, TRAINING_JOBS
from rl_platform.spec.status import TrainingJobStatus
from tests.rl_operator.observations import SPEC
from tests.simulation.api_model import ApiModel
from tests.simulation.world import cluster_kind, job_kind

NAMESPACE, NAME = "team", "walker"


class Nobody:
    """`DriverContacts` that see nothing."""

    def order(self, key: Key, order: DriverOrder | None) -> None:
        pass

    def sighting(self, key: Key) -> DriverSighting | None:
        return None

    def on_sighting(self, wake: object) -> None:
        pass


def _model() -> ApiModel:
    model = ApiModel([job_kind(), cluster_kind()])
    model.namespaces.add(NAMESPACE)
    return model


@dataclass
class Stale:
    """One job, on the server and in the caches."""

    model: ApiModel = field(default_factory=_model)
    caches: Caches = field(default_factory=Caches)

    @property
    def api(self) -> Api:
        return Api(self.model)

    def create_job(self, status: TrainingJobStatus) -> dict[str, Any]:
        body = {
            "apiVersion": TRAINING_JOBS.api_version,
            "kind": TRAINING_JOBS.kind,
            "metadata": {"name": NAME},
            "spec": SPEC,
        }
        self.model.user("POST", TRAINING_JOBS.path(NAMESPACE), body)
        return self.report(status)

    def report(self, status: TrainingJobStatus) -> dict[str, Any]:
        """Written down, and the job as it is then taken into the cache."""
        told = {"status": status.model_dump(mode="json", by_alias=True, exclude_none=True)}
        self.model.user("PATCH", TRAINING_JOBS.path(NAMESPACE, NAME, "status"), told)
        document = self.api.get(TRAINING_JOBS, NAMESPACE, NAME)
        assert document is not None
        self.caches.jobs.take(copy.deepcopy(document))
        return document

    def create_head(self, job_uid: str, phase: str = "Running") -> dict[str, Any]:
        """Not in a cache."""
        labels = {JOB_UID_LABEL: job_uid, ROLE_LABEL: HEAD}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "head", "labels": labels},
            "spec": {"containers": [{"name": "ray-head", "image": "ray"}]},
        }
        made = self.model.user("POST", PODS.path(NAMESPACE), body)
        self.model.user("PATCH", PODS.path(NAMESPACE, "head", "status"), {"status": {"phase": phase}})
        return made

    def clusters(self) -> list[str]:
        return [it["metadata"]["name"] for it in self.api.list(RAY_CLUSTERS, NAMESPACE).items]
