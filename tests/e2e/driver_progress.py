"""What a running driver says at /progress, read as the operator reads it."""

from __future__ import annotations

from base64 import b64decode

from rl_operator.driver_contact import Head
from rl_operator.driver_http import DriverHttp
from rl_operator.names import TOKEN_KEY, child_name
from rl_operator.reach import ThroughApiServer
from rl_operator.runtime.resources import SECRETS
from rl_platform.spec.driver_protocol import Progress
from tests.cluster.live_cluster import LiveCluster


def driver_progress(jobs: LiveCluster, name: str) -> Progress | None:
    """None where there is none to be had."""
    secret = jobs.api.get(SECRETS, jobs.namespace, child_name(name, jobs.job(name)["metadata"]["uid"]))
    pods = jobs.pods(name)
    if secret is None or not pods:
        return None
    head = Head(jobs.namespace, pods[0]["metadata"]["name"], pods[0]["metadata"]["uid"], "")
    token = b64decode(secret["data"][TOKEN_KEY]).decode()
    return DriverHttp(ThroughApiServer(jobs.transport), head, token).progress()
