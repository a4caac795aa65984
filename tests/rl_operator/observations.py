"""Jobs and what is seen of them, for tests of the pure parts of the operator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import SecretBytes

from rl_operator.driver_contact import DriverSighting, JobState
from rl_operator.names import HEAD, ROLLOUTS
from rl_operator.observed import Cluster, Job, Observed, Pod, job_from
from rl_operator.settings import Settings
from rl_operator.times import written
from rl_platform.spec.driver_protocol import Progress, ProgressState
from rl_platform.spec.status import DriverState, DriverStatus, TrainingJobStatus

NOW = 1_700_000_000.0
UID = "0b2e9a54-8a6e-4c1e-9a2b-2f6d2f0c9d11"
SPEC: dict[str, Any] = {
    "environment": {"id": "CartPole-v1"},
    "algorithm": {"ppo": {}},
    "stop": {"envSteps": 1000},
}
SETTINGS = Settings(token_key=SecretBytes(b"k" * 32), reach="direct", operator_namespace="rl-system")


def job(status: TrainingJobStatus | None = None, **groups: Any) -> Job:
    """``groups``: parts of the spec over SPEC."""
    document = {
        "metadata": {
            "namespace": "team",
            "name": "walker",
            "uid": UID,
            "resourceVersion": "7",
            "generation": 3,
        },
        "spec": SPEC | groups,
    }
    made = job_from(document)
    return replace(made, status=status) if status is not None else made


def pod(role: str = HEAD, uid: str = "head-1", **changes: Any) -> Pod:
    made = Pod(f"pod-{uid}", uid, UID, "10.0.0.7", role, "Running", True, False, None)
    return replace(made, **changes)


def cluster(**changes: Any) -> Cluster:
    groups = ({"groupName": ROLLOUTS, "replicas": 2},)
    made = Cluster("cluster-1", "9", False, None, False, "", None, groups, written(NOW), True)
    return replace(made, **changes)


def waiting(attempt: int = 1, **changes: Any) -> TrainingJobStatus:
    driver = DriverStatus(
        submission_id=f"{UID}-{attempt}", state=DriverState.WAITING, created_time=written(NOW)
    )
    return TrainingJobStatus(attempt=attempt, driver=driver.model_copy(update=changes))


def submitted(attempt: int = 1, **changes: Any) -> TrainingJobStatus:
    return waiting(attempt, **{"state": DriverState.SUBMITTED, "head": "head-1"} | changes)


def running(attempt: int = 1, **changes: Any) -> TrainingJobStatus:
    return submitted(attempt, **{"start_time": written(NOW)} | changes)


def sighting(state: JobState | None = JobState.RUNNING, attempt: int = 1, **changes: Any) -> DriverSighting:
    seen = DriverSighting(f"{UID}-{attempt}", "head-1", NOW, found=state is not None, state=state)
    return replace(seen, **changes)


def progress(state: ProgressState = ProgressState.TRAINING, **fields: Any) -> Progress:
    return Progress(**{"attempt": 1, "state": state, "env_steps": 500} | fields)


def seen(of: Job, **changes: Any) -> Observed:
    return replace(Observed(NOW, of, cluster(), (pod(),)), **changes)
