"""A real API server keeps the rules between fields, and says at which field what was wrong."""

from __future__ import annotations

import json

import pytest

from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.training_jobs import TrainingJobs, job_of
from tests.spec.rule_case import RuleCase, spec_with
from tests.spec.rule_cases import RULE_CASES


@pytest.fixture(scope="module")
def jobs(api_server: ControlPlane) -> TrainingJobs:
    TrainingJobs.install(api_server)
    return TrainingJobs(api_server)


@pytest.mark.parametrize("case", RULE_CASES, ids=[f"{case.path}: {case.says}" for case in RULE_CASES])
def test_the_server_keeps_the_rule(jobs: TrainingJobs, case: RuleCase) -> None:
    for sections in case.keeps:
        answer = jobs.try_out(json.dumps(job_of("a-job", spec_with(sections))))
        assert answer.accepted, (sections, answer.message)
    for sections in case.breaks:
        answer = jobs.try_out(json.dumps(job_of("a-job", spec_with(sections))))
        assert answer.code == 422, sections
        assert f"spec.{case.path}" in answer.paths, (sections, answer.message)
        assert case.says in answer.message, sections


def test_a_message_has_the_numbers(jobs: TrainingJobs) -> None:
    spec = spec_with({"rollouts": {"replicas": 4, "workersPerPod": 4, "envsPerWorker": 65}})
    message = jobs.try_out(json.dumps(job_of("a-job", spec))).message
    assert (
        "spec.algorithm.ppo.batchSize: Invalid value: 1024 env steps are fewer than the 1040 environments, "
        "which take one each (16 workers of 65); 1040 or more, or fewer envsPerWorker" in message
    )


def test_several_faults_are_said_at_once(jobs: TrainingJobs) -> None:
    spec = spec_with({"stop": {}, "algorithm": {}, "replay": {"shards": 2}})
    answer = jobs.try_out(json.dumps(job_of("a-job", spec)))
    assert {"spec.stop", "spec.algorithm", "spec.replay.shards"} <= set(answer.paths)
    assert "none is set; exactly one member of ppo, " in answer.message
    assert " is needed, e.g. `ppo: {}`" in answer.message
