"""``rlp`` on a real cluster, from submit to delete: logs come from Ray, then from what the operator keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rl_operator.runtime.resources import TRAINING_JOBS
from tests.cli.cluster_jobs import Ran, run
from tests.cluster.live_cluster import LiveCluster, phase, steps
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.slow_jobs import ENDLESS, slow_job

NAME = "by-hand"
WAIT = ("--wait", "--timeout", "240")


def rlp(cluster: LiveCluster, command: str, *arguments: str | Path) -> Ran:
    return run(command, "-n", cluster.namespace, *arguments)


@pytest.mark.usefixtures("operator")
def test_a_job_is_submitted_watched_suspended_resumed_and_deleted_without_kubectl(
    cluster: LiveCluster, operator: OperatorProcess, tmp_path: Path, claim: str
) -> None:
    del claim
    job = slow_job(NAME, cluster.image, claim=True, stop=ENDLESS)
    manifest = tmp_path / "job.yaml"
    manifest.write_text(
        json.dumps({"apiVersion": TRAINING_JOBS.api_version, "kind": TRAINING_JOBS.kind, **job})
    )
    assert rlp(cluster, "submit", manifest).code == 0
    cluster.wait(NAME, lambda status: steps(status) > 0)

    live = rlp(cluster, "logs", NAME)
    assert live.code == 0, live.err
    assert "rl_platform.driver" in live.out
    assert live.err == "", "it is Ray's, not what is kept"

    suspended = rlp(cluster, "suspend", NAME, *WAIT)
    assert suspended.code == 0, suspended.err
    assert not cluster.holds(NAME)
    resting = steps(cluster.status(NAME))
    kept = rlp(cluster, "logs", NAME)
    assert kept.code == 0, kept.err
    assert "rl_platform.driver" in kept.out
    assert "as the operator has kept it" in kept.err

    resumed = rlp(cluster, "resume", NAME, *WAIT)
    assert resumed.code == 0, resumed.err
    operator.restart_after(1.0)
    cluster.wait(NAME, lambda status: steps(status) > resting)
    enough = steps(cluster.status(NAME)) + 1
    changed = rlp(cluster, "submit", manifest, f"--set=spec.stop.envSteps={enough}", "--watch")
    assert changed.code == 0, changed.out + changed.err
    assert "Succeeded (EnvStepsReached" in changed.out
    cluster.wait(NAME, phase("Succeeded"))

    ended = rlp(cluster, "logs", NAME, "--attempt", "2", "--tail", "3")
    assert ended.code == 0, ended.err
    assert ended.out.count("\n") == 3
    deleted = rlp(cluster, "delete", NAME, *WAIT)
    assert deleted.code == 0, deleted.err
    assert cluster.children(NAME) == {}
