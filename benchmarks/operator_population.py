"""A cluster full of jobs for `operator_scale.py`: finished ones, running ones, their clusters and heads.

Jobs and clusters go straight into etcd, made from one of each that the API server has stored: 10,000 calls
would take minutes.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from rl_operator.desired import ray_cluster
from rl_operator.names import (
    DASHBOARD_PORT,
    DRIVER_PORT,
    HEAD,
    JOB_LABEL,
    JOB_UID_LABEL,
    ROLE_LABEL,
    child_name,
)
from rl_operator.observed import job_from
from rl_operator.runtime.api import FIELD_MANAGER
from rl_operator.runtime.resources import PODS, RAY_CLUSTERS, TRAINING_JOBS, Resource
from rl_operator.settings import Settings
from rl_platform.spec.conditions import ConditionType
from rl_platform.spec.crd import custom_resource_definition
from rl_platform.spec.digest import spec_digest
from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.sample_crd import FREE_RAY_CLUSTER_CRD

Json = dict[str, Any]
NAMESPACE = "bench"
HEADS_ADDRESS = "127.77.0.1"  # every head's: the ports are fixed
PUTS_AT_ONCE = 50
VARIABLES = 18  # of a job's environment: without managed fields it then has 5 KiB
SINCE = "2026-11-01T00:00:00Z"


class Population:
    """``finished`` and ``running`` jobs in namespace `bench`; `templates` first, then `multiply`."""

    def __init__(self, server: ControlPlane, settings: Settings) -> None:
        self._server, self._settings = server, settings
        self._of: dict[str, tuple[str, str]] = {}  # template → uid of the job, uid of its cluster

    def templates(self) -> None:
        """One job that has ended and one that trains, for an operator to bring into its own words."""
        self._server.install_crd(custom_resource_definition())
        self._server.install_crd(FREE_RAY_CLUSTER_CRD)
        self._server.create_namespace(NAMESPACE)
        for name, running in (("template-finished", False), ("template-running", True)):
            job = self._create(TRAINING_JOBS, _job(name))
            cluster_uid = self._cluster(job) if running else ""
            head = self._head(name, job["metadata"]["uid"], cluster_uid) if running else "0" * 36
            self._of[name] = job["metadata"]["uid"], cluster_uid
            self._status(TRAINING_JOBS, name, _status(job, head, running))

    def multiply(self, finished: int, running: int) -> None:
        """Take the templates away and put so many of each in their place."""
        stored = {name: self._stored(TRAINING_JOBS, name) for name in self._of}
        job_uid, _ = self._of["template-running"]
        cluster = self._stored(RAY_CLUSTERS, child_name("template-running", job_uid))
        head = json.loads(stored["template-running"])["status"]["driver"]["head"]
        self._delete_templates(child_name("template-running", job_uid))
        numbers = range(finished, finished + running)
        with ThreadPoolExecutor(8) as pool:
            uids = dict(zip(numbers, pool.map(lambda it: self._new_head(it), numbers), strict=True))
        self._put(self._finished(stored["template-finished"], finished))
        self._put(self._running(stored["template-running"], cluster, head, uids))
        while self._server.request("GET", f"{TRAINING_JOBS.path()}?limit=1")[0] != 200:
            time.sleep(1)  # the API server refuses lists until its own cache has read what was put

    def _finished(self, template: str, count: int) -> Iterator[tuple[str, str]]:
        uid, _ = self._of["template-finished"]
        for number in range(count):
            name = f"job-{number:05d}"
            text = template.replace("template-finished", name).replace(uid[:8], f"{number:08x}")
            yield _key(TRAINING_JOBS, name), text

    def _running(
        self, template: str, cluster: str, head: str, uids: dict[int, str]
    ) -> Iterator[tuple[str, str]]:
        job_uid, cluster_uid = self._of["template-running"]
        for number, uid in uids.items():
            name, mark = f"job-{number:05d}", f"{number:08x}"
            text = template.replace(head, uid).replace("template-running", name).replace(job_uid[:8], mark)
            yield _key(TRAINING_JOBS, name), text
            text = cluster.replace("template-running", name).replace(job_uid[:8], mark)
            yield _key(RAY_CLUSTERS, child_name(name, mark)), text.replace(cluster_uid[:8], mark)

    def _new_head(self, number: int) -> str:
        job_uid, cluster_uid = self._of["template-running"]
        mark = f"{number:08x}"
        return self._head(f"job-{number:05d}", mark + job_uid[8:], mark + cluster_uid[8:])

    def _cluster(self, job: Json) -> str:
        seen = job_from(job)
        assert seen.spec is not None, seen.fault
        body = ray_cluster(seen, seen.spec, self._settings)
        made = self._create(RAY_CLUSTERS, body)
        ready = [{"type": "HeadPodReady", "status": "True", "reason": "HeadPodRunningAndReady"}]
        self._status(RAY_CLUSTERS, body["metadata"]["name"], {"state": "ready", "conditions": ready})
        return str(made["metadata"]["uid"])

    def _head(self, job: str, job_uid: str, cluster_uid: str) -> str:
        """Uid of a head that runs, ready, at the address where all are."""
        name = f"{child_name(job, job_uid)}-head"
        owner = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "controller": True, "uid": cluster_uid}
        owner["name"] = child_name(job, job_uid)
        body = {
            "metadata": {
                "name": name,
                "labels": {JOB_LABEL: job, JOB_UID_LABEL: job_uid, ROLE_LABEL: HEAD},
                "ownerReferences": [owner],
            },
            "spec": {"containers": [{"name": "ray", "image": "ray"}]},
        }
        made = self._create(PODS, body)
        ready = [{"type": it, "status": "True"} for it in ("PodScheduled", "Ready", "ContainersReady")]
        at = {"phase": "Running", "podIP": HEADS_ADDRESS, "podIPs": [{"ip": HEADS_ADDRESS}]}
        self._status(PODS, name, {**at, "conditions": ready})
        return str(made["metadata"]["uid"])

    def _create(self, resource: Resource, body: Json) -> Json:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        status, answer = self._server.request("POST", resource.path(NAMESPACE), body)
        assert status == 201, answer
        return answer

    def _status(self, resource: Resource, name: str, status: Json) -> None:
        """In the operator's name, whose alone it is."""
        path = resource.path(NAMESPACE, name, "status") + f"?fieldManager={FIELD_MANAGER}"
        code, answer = self._server.request("PATCH", path, {"status": status})
        assert code == 200, answer

    def _delete_templates(self, cluster: str) -> None:
        for resource, name in (
            *((TRAINING_JOBS, name) for name in self._of),
            (RAY_CLUSTERS, cluster),
            (PODS, f"{cluster}-head"),
        ):
            options = {"gracePeriodSeconds": 0}
            self._server.request("DELETE", resource.path(NAMESPACE, name), options)

    def _stored(self, resource: Resource, name: str) -> str:
        answer = self._etcd("range", {"key": _base64(_key(resource, name))})
        return base64.b64decode(answer["kvs"][0]["value"]).decode()

    def _put(self, pairs: Iterable[tuple[str, str]]) -> None:
        pairs = iter(pairs)
        while part := list(islice(pairs, PUTS_AT_ONCE)):
            puts = [{"requestPut": {"key": _base64(key), "value": _base64(text)}} for key, text in part]
            self._etcd("txn", {"success": puts})

    def _etcd(self, call: str, body: Json) -> Json:
        request = urllib.request.Request(f"{self._server.etcd_url}/v3/kv/{call}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer: Json = json.loads(reply.read())
        return answer


def _key(resource: Resource, name: str) -> str:
    return f"/registry/{resource.group}/{resource.plural}/{NAMESPACE}/{name}"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _job(name: str) -> Json:
    """What its size needs beside spec and status comes from its environment."""
    env = [{"name": f"VARIABLE_{each}", "value": f"{each * 7919:032x}"} for each in range(VARIABLES)]
    return {
        "metadata": {"name": name, "labels": {"team": "benchmark"}},
        "spec": {
            "environment": {"id": "CartPole-v1"},
            "algorithm": {"ppo": {}},
            "rollouts": {"replicas": 2},
            "stop": {"envSteps": 10**9},
            "runtime": {"env": env},
        },
    }


def _status(job: Json, head: str, running: bool) -> Json:
    """Full, in about the words that the operator would use."""
    uid = job["metadata"]["uid"]
    word = {"Succeeded": "Unknown" if running else "True", "Suspended": "False", "Degraded": "False"}
    conditions = [
        {
            "type": kind.value,
            "status": word.get(kind.value, "True"),
            "reason": "AsExpected",
            "message": f"{kind.value} as it should be for this job, since a while.",
            "lastTransitionTime": SINCE,
            "observedGeneration": 1,
        }
        for kind in ConditionType
    ]
    driver = {"submissionId": f"{uid}-1", "head": head, "createdTime": SINCE, "startTime": SINCE}
    driver |= {"state": "Submitted"} if running else {"state": "Ended", "outcome": "Done", "endTime": SINCE}
    seen = job_from(job)
    assert seen.spec is not None, seen.fault
    return {
        "observedGeneration": 1,
        "specDigest": spec_digest(seen.spec),
        "conditions": conditions,
        "attempt": 1,
        "driver": driver,
        "startTime": SINCE,
        **({} if running else {"completionTime": SINCE, "activeSeconds": 3600.0}),
        "progress": {"envSteps": 123456, "updates": 120, "episodeReturnMean": 12.5},
        "checkpoint": {"uri": f"s3://bucket/{uid}/1/000120", "envSteps": 120000},
        "model": {"name": "model", "version": "3", "uri": "models:/model/3"},
        "mlflow": {"uri": "https://mlflow.example.org", "experiment": "benchmark", "runId": "0" * 32},
    }


def serve_heads() -> subprocess.Popen[bytes]:
    """Until it is ended. Not in this process: its threads would hold up those that change jobs."""
    program = str(Path(__file__).with_name("operator_heads.py"))
    ports = [DASHBOARD_PORT, DRIVER_PORT]
    process = subprocess.Popen([sys.executable, program, HEADS_ADDRESS, *map(str, ports)])
    for port in ports:
        while True:
            try:
                socket.create_connection((HEADS_ADDRESS, port), timeout=5).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.05)
    return process
