"""The README's commands for a cluster, as they stand there; only docker and kind are left out.

What is added is where the images of this run are; jobs go to the namespace that the kubeconfig names.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_operator.runtime.resources import TRAINING_JOBS
from tests.cluster.live_cluster import NAMESPACES, LiveCluster
from tests.contracts.source_files import ROOT
from tests.contracts.test_readme import README, console_blocks
from tests.e2e.release import Release, image_values

NAMESPACE = "rl-system"
IN_DOCKER = ("docker", "kind")
SECONDS = 600.0
OF_A_JOB = ("submit", "get", "suspend", "resume", "logs", "watch", "delete")
"""The order in which they make sense for one job."""
LONGER = ("--set", "spec.stop.envSteps=600000")  # or it is over before it is suspended


@pytest.fixture
def cluster_blocks(one_release: Release) -> Iterator[list[list[str]]]:
    """With no release on the cluster, and none of it left behind."""
    home = one_release.home
    if home.api.get(NAMESPACES, None, NAMESPACE) is not None:
        pytest.skip(f"the cluster has a namespace {NAMESPACE} already")
    one_release.uninstall()
    one_release.remove_kind()
    yield [
        [line for line in commands if not line.startswith(IN_DOCKER)]
        for kind, commands in console_blocks(README)
        if kind == "cluster"
    ]
    run("helm uninstall rl-platform --namespace rl-system --wait")
    found = home.api.get(NAMESPACES, None, NAMESPACE)
    if found is not None:
        home.api.delete(NAMESPACES, None, NAMESPACE, uid=found["metadata"]["uid"])
    for job in home.api.list(TRAINING_JOBS).items:
        home.api.delete(
            TRAINING_JOBS, job["metadata"]["namespace"], job["metadata"]["name"], uid=job["metadata"]["uid"]
        )


def environment() -> dict[str, str]:
    here = [str(Path(sys.executable).parent), str(Path(os.environ.get("HELM", "helm")).parent)]
    return os.environ | {"PATH": os.pathsep.join([*here, os.environ["PATH"]])}


def run(command: str, *more: str) -> str:
    ran = subprocess.run(
        [*shlex.split(command), *more],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


def test_from_installing_to_deleting_a_job(one_release: Release, cluster_blocks: list[list[str]]) -> None:
    (install, test), (submit, forward), of_a_job = cluster_blocks
    run(install, *image_values())
    run(test)
    run(submit)
    assert_serves(forward, "http://127.0.0.1:5000/health")
    run("rlp delete cartpole-ppo --wait")
    for command in sorted(of_a_job, key=lambda line: OF_A_JOB.index(line.split()[1])):
        submits = command.startswith("rlp submit")
        assert run(command, *(LONGER if submits else ())), f"{command} says nothing"
        if submits:
            wait_for_training(one_release.home)


def assert_serves(command: str, url: str) -> None:
    """While it runs."""
    process = subprocess.Popen(shlex.split(command), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + SECONDS
        while not answers(url):
            assert time.monotonic() < until, f"{command}: {url} does not answer"
            assert process.poll() is None, f"{command} has ended"
            time.sleep(0.5)
    finally:
        process.terminate()
        process.wait(60)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True


def wait_for_training(cluster: LiveCluster) -> None:
    """Of the only job."""

    def trains() -> bool:
        jobs = cluster.api.list(TRAINING_JOBS).items
        return [job.get("status", {}).get("phase") for job in jobs] == ["Training"]

    cluster.wait_for("it trains", trains, SECONDS)
