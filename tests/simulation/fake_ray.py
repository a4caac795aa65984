"""Ray heads of the simulation: the Jobs API and the drivers behind it, for as long as a head pod lives."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rl_operator.driver_contact import Head
from rl_operator.jobs_api import LOG_FILE_PATH
from rl_operator.names import (
    DASHBOARD_PORT,
    HEAD,
    JOB_UID_LABEL,
    ROLE_LABEL,
    ROLLOUTS,
    TOKEN_KEY,
    child_name,
)
from rl_operator.runtime.resources import PODS, SECRETS
from rl_operator.runtime.transport import ConnectionLost, Request, Response
from rl_platform.spec.driver_protocol import ACK_QUERY, DESIRED_PATH, DRAIN_PATH, PROGRESS_PATH
from tests.simulation.answers import encode
from tests.simulation.api_model import ApiModel
from tests.simulation.fake_driver import Driver, Plan, Storage, from_submission

Json = dict[str, Any]
STOP_SECONDS = 60.0
PASSWORD = "pa55word"  # of a store, where somebody has put it into its URI


@dataclass
class FakeRay:
    """Addressed by the name of the pod, as through the API server's proxy, or by its address."""

    model: ApiModel
    by_address: bool = False
    plans: dict[str, Plan] = field(default_factory=dict)  # by name of the job
    target: int = 6000
    storage: Storage = field(default_factory=Storage)
    hanging: bool = False  # heads take calls and never answer
    heads: dict[str, dict[str, Driver]] = field(default_factory=dict)  # pod uid → submissions
    started: list[Driver] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def send(self, head: Head, port: int, request: Request) -> Response:
        """The seam `Reach`."""
        pod = self._pod(head)
        if pod is None or self.hanging:
            raise ConnectionLost(f"{head.pod} does not answer")
        if not self._authorized(pod, request):
            return Response(401, b"{}")
        now = self.model.now()
        submissions = self.heads.setdefault(pod["metadata"]["uid"], {})
        if port == DASHBOARD_PORT:
            return self._jobs(pod, submissions, request, now)
        running = next((it for it in submissions.values() if it.answers(now)), None)
        if running is None:
            raise ConnectionLost("connection refused")
        return self._driver(running, request, now)

    def advance(self) -> None:
        """Checkpoints that are due; heads that are gone take their drivers with them."""
        now = self.model.now()
        alive = {
            it.document["metadata"]["uid"] for it in self.model.store.of(PODS).values() if _runs(it.document)
        }
        for uid, submissions in self.heads.items():
            for driver in submissions.values():
                if uid in alive:
                    driver.save_due(now)
                elif driver.alive(now):
                    driver.kill(now)

    def live_drivers(self) -> Iterator[Driver]:
        now = self.model.now()
        for submissions in self.heads.values():
            yield from (driver for driver in submissions.values() if driver.alive(now))

    def may_end(self, pod_uid: str, now: float) -> bool:
        """preStop: the driver in the pod drains, and the pod waits for its end, so long as it lingers."""
        live = [driver for driver in self.heads.get(pod_uid, {}).values() if driver.alive(now)]
        for driver in live:
            driver.drain(now)
        return not live

    def _pod(self, head: Head) -> Json | None:
        for (namespace, name), stored in self.model.store.of(PODS).items():
            pod = stored.document
            if namespace != head.namespace or pod["metadata"]["labels"].get(ROLE_LABEL) != HEAD:
                continue
            found = pod["status"].get("podIP") == head.ip if self.by_address else name == head.pod
            if found and _runs(pod):
                return pod
        return None

    def _rollout_pods(self) -> list[str]:
        pods = (stored.document for stored in self.model.store.of(PODS).values())
        return sorted(
            it["metadata"]["name"] for it in pods if it["metadata"]["labels"][ROLE_LABEL] == ROLLOUTS
        )

    def _authorized(self, pod: Json, request: Request) -> bool:
        token = self._token(pod)
        return not token or any(value == f"Bearer {token}" for _, value in request.headers)

    def _token(self, pod: Json) -> str:
        """Of the job's Secret, as it was mounted."""
        labels = pod["metadata"]["labels"]
        child = child_name(labels["rlplatform.io/job"], labels[JOB_UID_LABEL])
        secret = self.model.store.get(SECRETS, (pod["metadata"]["namespace"], child))
        return b64decode(secret.document["data"][TOKEN_KEY]).decode() if secret is not None else ""

    def _jobs(self, pod: Json, submissions: dict[str, Driver], request: Request, now: float) -> Response:
        if request.path == LOG_FILE_PATH:
            of = submissions.get(dict(request.query).get("submission_id", ""))
            return (
                Response(200, f"log of attempt {of.attempt}: {of.said}\n".encode()) if of else Response(404)
            )
        parts = request.path.strip("/").split("/")[2:]
        if request.method == "POST" and not parts:
            return self._submit(pod, submissions, json.loads(request.body or b"{}"), now)
        driver = submissions.get(parts[0]) if parts else None
        if driver is None:
            return Response(404, b"Job does not exist")
        if request.method == "POST":
            driver.stop(now, STOP_SECONDS)
            return _answer({"stopped": True})
        state = driver.state(now)
        document: Json = {"status": state.value, "message": f"the driver is {state.value}: {driver.said}"}
        if state.ended and driver.stopped_at is None:
            document["driver_exit_code"] = driver.exit_code
        return _answer(document)

    def _submit(self, pod: Json, submissions: dict[str, Driver], body: Json, now: float) -> Response:
        if body["submission_id"] in submissions:
            return Response(500, b"already exists")
        job = pod["metadata"]["labels"]["rlplatform.io/job"]
        plan = self.plans.get(job, Plan())
        uid = pod["metadata"]["uid"]
        driver = from_submission(body, uid, lambda _: self.target, now, plan, self.storage)
        if plan.blabs:
            uris = f"s3://me:{PASSWORD}@bucket, s3://bucket?secret_key={PASSWORD}"
            driver.said = f"401 for Authorization: {self._token(pod)}, {uris}"
        others = [it for it in self.live_drivers() if it.job == driver.job]
        if others and driver.alive(now):
            attempts = [it.attempt for it in others]
            self.faults.append(f"attempt {driver.attempt} starts while {attempts} lives")
        submissions[body["submission_id"]] = driver
        self.started.append(driver)
        return _answer({"submission_id": body["submission_id"]})

    def _driver(self, driver: Driver, request: Request, now: float) -> Response:
        match request.method, request.path:
            case "GET", path if path == PROGRESS_PATH:
                document = driver.progress(now)
                if driver.let_go_at is not None:
                    document["rolloutPods"] = driver.needed(self._rollout_pods(), now)
                if dict(request.query).get(ACK_QUERY) == str(driver.attempt) and now >= driver.final_at:
                    driver.acknowledged_at = now
                return _answer(document)
            case "PUT", path if path == DESIRED_PATH:
                driver.desired(json.loads(request.body or b"{}"), now)
                return _answer({})
            case "POST", path if path == DRAIN_PATH:
                driver.drain(now)
                return _answer({"accepted": True})
        return Response(404, b"{}")


def _runs(pod: Json) -> bool:
    return bool(pod["status"].get("phase") == "Running")


def _answer(document: Json) -> Response:
    return Response(200, encode(document))
