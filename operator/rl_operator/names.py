"""Names, labels and paths of what belongs to a job: functions of its name and uid, never chosen anew.

A repeated create after a crash then meets its own object, and another job of the same name never does.
"""

from __future__ import annotations

JOB_LABEL = "rlplatform.io/job"
JOB_UID_LABEL = "rlplatform.io/job-uid"  # a name may be used again
ROLE_LABEL = "rlplatform.io/role"  # head, learner or rollouts
TRAINING_LABEL = "rlplatform.io/training"  # a ServiceAccount that jobs may use
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "rl-platform"
SPEC_DIGEST_ANNOTATION = "rlplatform.io/spec-digest"
BUILDER_ANNOTATION = "rlplatform.io/builder"
OPERATOR = "rlplatform.io/operator"  # spec.runPolicy.managedBy of the jobs that are ours

HEAD, LEARNER, ROLLOUTS = "head", "learner", "rollouts"
RAY_CLUSTER_LABEL = "ray.io/cluster"
TOKEN_KEY = "auth_token"  # KubeRay's name for it
JOB_FILE = "job.json"
GCS_PORT, CLIENT_PORT = 6379, 10001
DASHBOARD_PORT = 8265
RAY_METRICS_PORT = 8080
DRIVER_PORT = 8470

CLUSTER_NAME_LENGTH = 50  # KubeRay appends suffixes and refuses more than 53


def child_name(job: str, uid: str) -> str:
    """Of the RayCluster, Secret, ConfigMap, NetworkPolicy and PodDisruptionBudget of a job."""
    suffix = uid.replace("-", "")[:8]
    return f"{job[: CLUSTER_NAME_LENGTH - len(suffix) - 1].rstrip('-')}-{suffix}"


def logs_name(job: str, uid: str) -> str:
    """Of the ConfigMap with the ends of the drivers' logs."""
    return f"{child_name(job, uid)}-logs"


def log_key(attempt: int) -> str:
    return f"attempt-{attempt}.log"


def submission_id(uid: str, attempt: int) -> str:
    return f"{uid}-{attempt}"
