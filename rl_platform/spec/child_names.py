"""Names of what belongs to a job on a cluster: functions of its name and uid, never chosen anew.

A repeated create after a crash then meets its own object, and another job of the same name never does.
"""

from __future__ import annotations

JOB_LABEL = "rlplatform.io/job"
TOKEN_KEY = "auth_token"  # KubeRay's name for it
DASHBOARD_PORT = 8265
CLUSTER_NAME_LENGTH = 50  # KubeRay appends suffixes and refuses more than 53
BEFORE_A_DIGIT = "tj-"  # KubeRay makes Services of the name, which begin with a letter


def child_name(job: str, uid: str) -> str:
    """Of the RayCluster, Secret, ConfigMap, NetworkPolicy and PodDisruptionBudget of a job."""
    suffix = uid.replace("-", "")[:8]
    job = job if job[:1].isalpha() else BEFORE_A_DIGIT + job
    return f"{job[: CLUSTER_NAME_LENGTH - len(suffix) - 1].rstrip('-')}-{suffix}"


def logs_name(job: str, uid: str) -> str:
    """Of the ConfigMap with the ends of the drivers' logs."""
    return f"{child_name(job, uid)}-logs"


def log_key(attempt: int) -> str:
    return f"attempt-{attempt}.log"


def submission_id(uid: str, attempt: int) -> str:
    return f"{uid}-{attempt}"
