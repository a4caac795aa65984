"""What a run is saved to or tracked by goes away, or is full: it goes on, says so, and loses nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from mlflow import MlflowClient

from rl_operator.runtime.resources import TRAINING_JOBS
from tests.cluster.live_cluster import Json, LiveCluster, condition, phase, steps
from tests.cluster.slow_jobs import BATCH, CHECKPOINTS, CLAIM, ENDLESS, slow_job
from tests.cluster.volume_claims import volume_claim
from tests.e2e.claim_pod import run_on_claim
from tests.e2e.object_store.server import BUCKET, ObjectStore, scale
from tests.e2e.port_forward import forwarded
from tests.e2e.release import MLFLOW, Release

MLFLOW_SECONDS = float(os.environ.get("RLP_E2E_MLFLOW_SECONDS", "120"))
STORE_SECONDS = float(os.environ.get("RLP_E2E_STORE_SECONDS", "60"))
SMALL_FOLDER = "RLP_TEST_SMALL_NODE_FOLDER"
FILL = f"""
try:
    with open("{CHECKPOINTS}/filler", "wb") as file:
        while True:
            file.write(bytes(65536)); file.flush()
except OSError as error:
    print(error)
"""
MINUTES_TO_TRAIN = 600.0


@pytest.fixture
def store(jobs: LiveCluster) -> Iterator[ObjectStore]:
    image = os.environ.get("RLP_TEST_STORE_IMAGE")
    if not image:
        pytest.skip("RLP_TEST_STORE_IMAGE names no image of tests/e2e/object_store")
    with volume_claim(jobs, "objects"):
        yield ObjectStore(jobs, image, "objects")


def finish(jobs: LiveCluster, name: str, batches: int = 10) -> Json:
    """The status of a job that trains a little longer and then ends."""
    wanted = steps(jobs.status(name)) + batches * BATCH
    jobs.change(name, {"stop": {"envSteps": wanted}})
    return jobs.wait(name, phase("Succeeded", "Failed"), MINUTES_TO_TRAIN)


def delayed(status: Json) -> bool:
    return condition(status, "Degraded").get("reason") == "CheckpointDelayed"


def saved(status: Json) -> int:
    return int(status.get("checkpoint", {}).get("envSteps", 0))


def test_checkpoints_at_an_object_store_that_goes_away_and_comes_back(
    jobs: LiveCluster, store: ObjectStore
) -> None:
    job = slow_job("objects", jobs.image, stop=ENDLESS)
    job["spec"]["checkpoint"]["uri"] = f"s3://{BUCKET}/objects"
    job["spec"]["runtime"]["env"] += store.environment
    jobs.create(TRAINING_JOBS, job)
    before = jobs.wait("objects", lambda status: saved(status) > 0, MINUTES_TO_TRAIN)
    assert before["checkpoint"]["uri"].startswith(f"s3://{BUCKET}/objects/1/")

    store.scale(0)
    away_since = time.monotonic()
    during = jobs.wait("objects", delayed, MINUTES_TO_TRAIN)
    assert "objects" in condition(during, "Degraded")["message"]
    jobs.wait("objects", lambda status: steps(status) > steps(during), MINUTES_TO_TRAIN)
    time.sleep(max(0.0, STORE_SECONDS - (time.monotonic() - away_since)))
    store.scale(1)
    jobs.wait("objects", lambda now: not delayed(now) and saved(now) > saved(during), MINUTES_TO_TRAIN)

    jobs.change("objects", {"runPolicy": {"suspend": True}})
    resting = jobs.wait("objects", phase("Suspended"), MINUTES_TO_TRAIN)
    jobs.change("objects", {"runPolicy": {"suspend": False}})
    jobs.wait("objects", lambda status: steps(status) > saved(resting), MINUTES_TO_TRAIN)
    done = finish(jobs, "objects")
    assert (done["phase"], done["attempt"]) == ("Succeeded", 2), done
    assert done["failures"] == {"application": 0, "infrastructure": 0}


def test_a_full_volume_is_a_condition_and_no_crash(jobs: LiveCluster) -> None:
    folder = os.environ.get(SMALL_FOLDER)
    if not folder:
        pytest.skip(f"{SMALL_FOLDER} names no folder of the node on a file system of a few megabytes")
    with volume_claim(jobs, CLAIM, folder=folder):
        jobs.create(TRAINING_JOBS, slow_job("full", jobs.image, claim=True, stop=ENDLESS))
        jobs.wait("full", lambda status: saved(status) > 0, MINUTES_TO_TRAIN)
        assert "No space left" in run_on_claim(jobs, CLAIM, FILL)
        status = jobs.wait("full", delayed, MINUTES_TO_TRAIN)
        assert "no space is left on the device" in condition(status, "Degraded")["message"]
        jobs.wait("full", lambda now: steps(now) > steps(status), MINUTES_TO_TRAIN)
        run_on_claim(jobs, CLAIM, f"import os; os.remove('{CHECKPOINTS}/filler')")
        jobs.wait("full", lambda now: not delayed(now) and saved(now) > saved(status), MINUTES_TO_TRAIN)
        done = finish(jobs, "full")
        assert (done["phase"], done["attempt"]) == ("Succeeded", 1), done
        run_on_claim(jobs, CLAIM, f"import shutil; shutil.rmtree('{CHECKPOINTS}/full')")


def test_mlflow_is_away_and_no_metric_is_lost(jobs: LiveCluster, release: Release) -> None:
    tracking = {"mlflowUri": release.mlflow}
    jobs.create(TRAINING_JOBS, slow_job("tracked", jobs.image, stop=ENDLESS, tracking=tracking))
    before = jobs.wait("tracked", lambda status: status.get("mlflow", {}).get("runId"), MINUTES_TO_TRAIN)
    scale(release.home, MLFLOW, 0)
    time.sleep(MLFLOW_SECONDS)
    assert steps(jobs.status("tracked")) > steps(before)
    scale(release.home, MLFLOW, 1)
    done = finish(jobs, "tracked")
    assert (done["phase"], done["attempt"]) == ("Succeeded", 1), done
    assert condition(done, "ModelRegistered")["status"] == "True"
    with forwarded(release.home.namespace, f"svc/{MLFLOW}", 5000) as server:
        client = MlflowClient(server)
        history = client.get_metric_history(done["mlflow"]["runId"], "progress/updates")
    assert [it.step for it in history] == list(range(BATCH, steps(done) + BATCH, BATCH))


def test_mlflow_is_away_at_the_end_and_the_model_is_registered_later(
    jobs: LiveCluster, release: Release
) -> None:
    """As the condition says: the same job once more, which trains no more."""
    job = slow_job("late", jobs.image, claim=True, stop=ENDLESS, tracking={"mlflowUri": release.mlflow})
    with volume_claim(jobs, CLAIM):
        jobs.create(TRAINING_JOBS, job)
        jobs.wait("late", lambda status: saved(status) > 0, MINUTES_TO_TRAIN)
        scale(release.home, MLFLOW, 0)
        done = finish(jobs, "late", 2)
        assert done["phase"] == "Succeeded", done
        told = condition(done, "ModelRegistered")
        assert (told["status"], told["reason"]) == ("False", "NotRegistered"), told
        assert "apply it again" in told["message"]

        scale(release.home, MLFLOW, 1)
        jobs.delete(TRAINING_JOBS, "late")
        jobs.wait_for("it is gone", lambda: not jobs.job("late") and not jobs.children("late"))
        job["spec"]["stop"] = {"envSteps": steps(done)}
        jobs.create(TRAINING_JOBS, job)
        again = jobs.wait("late", phase("Succeeded", "Failed"), MINUTES_TO_TRAIN)
        assert condition(again, "ModelRegistered")["status"] == "True", again
        assert steps(again) == steps(done)
