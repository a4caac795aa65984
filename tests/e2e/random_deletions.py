"""A job whose steps are counted, while pods of it and of the operator are deleted at random."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

from rl_operator.runtime.resources import PODS, TRAINING_JOBS
from rl_operator.runtime.transport import Request
from tests.cluster.live_cluster import Json, LiveCluster, phase, steps
from tests.cluster.slow_jobs import BATCH
from tests.e2e.counted_jobs import counted_job
from tests.e2e.release import Release

PAUSE_SECONDS = (15.0, 60.0)
OPERATOR = "operator"
ROLES = ("head", "learner", "rollouts", OPERATOR)
SECONDS_TO_START = 600.0
SECONDS_TO_END = 900.0
NAME = "sturdy"


class RandomDeletions:
    """Go on for ``seconds`` in a thread of their own, so that other tests run meanwhile."""

    def __init__(self, jobs: LiveCluster, release: Release, seconds: float, seed: int) -> None:
        self.jobs, self.release, self.seconds = jobs, release, seconds
        self.deleted: Counter[str] = Counter()
        self.wanted = 0  # env steps at the end
        self._chance = random.Random(seed)
        self._watched = Watched(jobs, NAME)
        self._waited_for, self._stop = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="random deletions", daemon=True)

    def begin(self) -> None:
        """Once the job trains."""
        policy = {"infrastructureRetries": 1000}
        tracked = {"mlflowUri": self.release.mlflow}
        job = counted_job(self.jobs, NAME, tracking=tracked, runPolicy=policy)
        self.jobs.create(TRAINING_JOBS, job)
        self.jobs.wait(NAME, lambda status: steps(status) > 0, SECONDS_TO_START)
        self._thread.start()

    def end(self) -> Json:
        """Wait until they are over and the job has succeeded: its status. Raises what went wrong.

        They begin now if they have not, as where the test that waits for them is run alone.
        """
        if self._thread.ident is None:
            self.begin()
        self._waited_for.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self.jobs.status(NAME)

    def close(self) -> None:
        """Whoever no longer wants to know."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._delete()
            self._finish()
        except BaseException as failure:  # noqa: BLE001 - raised where it is waited for
            self._failure = failure

    def _delete(self) -> None:
        until, next_at = time.monotonic() + self.seconds, time.monotonic()
        # It trains on until it is waited for: at its end MLflow must not be away for another test's sake.
        while not self._stop.is_set() and (time.monotonic() < until or not self._waited_for.is_set()):
            self._watched.look()
            if next_at <= time.monotonic() < until:
                next_at = time.monotonic() + self._chance.uniform(*PAUSE_SECONDS)
                role = self._chance.choice(ROLES)
                if role == OPERATOR:
                    remove(self.release.home, self.release.operators(), self._chance)
                else:
                    remove(self.jobs, self.jobs.pods(NAME, role), self._chance)
                self.deleted[role] += 1
            self._stop.wait(0.5)

    def _finish(self) -> None:
        self.wanted = max(steps(self._watched.look()), self._watched.saved) + 20 * BATCH
        self.jobs.change(NAME, {"stop": {"envSteps": self.wanted}})
        until = time.monotonic() + SECONDS_TO_END
        while not phase("Succeeded")(self._watched.look()) and not self._stop.is_set():
            assert time.monotonic() < until, self.jobs.status(NAME)
            self._stop.wait(0.5)


class Watched:
    """Every status that is seen: steps stay above the checkpoint, attempts only grow, no fault is its own."""

    def __init__(self, jobs: LiveCluster, name: str) -> None:
        self.jobs, self.name = jobs, name
        self.saved = self.attempt = 0

    def look(self) -> Json:
        status = self.jobs.status(self.name)
        assert not mistaken(status), "\n".join([str(status), *self.jobs.logs(self.name).values()])
        if "progress" in status:
            assert steps(status) >= self.saved, f"checkpoint {self.saved} and then {status['progress']}"
        self.saved = max(self.saved, status.get("checkpoint", {}).get("envSteps", 0))
        assert status.get("attempt", 0) >= self.attempt
        self.attempt = status.get("attempt", 0)
        return status


def mistaken(status: Json) -> bool:
    """Whether a deleted pod was taken for a fault of the job's own."""
    return bool(status.get("failures", {}).get("application")) or status.get("phase") == "Failed"


def remove(cluster: LiveCluster, pods: list[Json], chance: random.Random) -> None:
    """One of them: as its node is drained, or at once, as its node dies."""
    if pods:
        pod = chance.choice(pods)["metadata"]["name"]
        grace = (("gracePeriodSeconds", "0"),) if chance.random() < 0.5 else ()
        cluster.transport.send(Request("DELETE", PODS.path(cluster.namespace, pod), grace))
