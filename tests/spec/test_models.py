"""The models: strict, bounded, frozen; every rule between fields refuses with a sentence at its field."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from rl_platform.spec import patterns
from rl_platform.spec.algorithms import DQN, PPO, AlgorithmSpec
from rl_platform.spec.environment import EnvironmentSpec
from rl_platform.spec.free_json import DEPTH, VALUES
from rl_platform.spec.manifest import json_schema
from rl_platform.spec.metadata import Metadata
from rl_platform.spec.running import CheckpointSpec, StopSpec
from rl_platform.spec.training_job import TrainingJob, TrainingJobSpec

NOON = "2026-01-02T12:00:00Z"
SMALL: dict[str, Any] = {
    "apiVersion": "rlplatform.io/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "a-job"},
    "spec": {"environment": {"id": "CartPole-v1"}, "algorithm": {"ppo": {}}, "stop": {"envSteps": 1000}},
}


def job(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """`SMALL` with fields of its spec replaced or (None) removed, by dotted path."""
    document = copy.deepcopy(SMALL)
    for path, value in (changes or {}).items():
        place = document["spec"]
        *parents, last = path.split(".")
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = value
    return document


def faults(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Dotted path and message of everything that validation says, in its order."""
    with pytest.raises(ValidationError) as caught:
        TrainingJob.model_validate(document, by_alias=True, by_name=False)
    return [(".".join(map(str, it["loc"])), it["msg"]) for it in caught.value.errors()]


def test_the_smallest_job_has_every_default() -> None:
    spec = TrainingJob.model_validate(SMALL).spec
    name, ppo = spec.algorithm.selected
    assert (name, ppo) == ("ppo", PPO())
    assert (PPO().learning_rate, PPO().gamma, PPO().gae_lambda, PPO().clip_range) == (3e-4, 0.99, 0.95, 0.2)
    assert (PPO().epochs, PPO().minibatch_size, PPO().batch_size, PPO().max_grad_norm) == (4, 256, 1024, 0.5)
    assert (DQN().learning_rate, DQN().batch_size, DQN().buffer_size, DQN().n_step) == (
        2.5e-4,
        128,
        10_000,
        1,
    )
    assert (spec.seed, spec.policies, spec.model.hidden, spec.model.activation) == (0, (), (64, 64), "tanh")
    assert (spec.rollouts.replicas, spec.rollouts.envs_per_worker, spec.learner.replicas) == (0, 8, 0)
    assert (spec.evaluation.episodes, spec.checkpoint.keep, spec.tracking.alias) == (20, 3, "champion")
    assert spec.driver.port is None


def test_python_writes_snake_case_and_lists_and_gets_the_same_job() -> None:
    built = TrainingJob(
        metadata=Metadata(name="a-job"),
        spec=TrainingJobSpec(
            environment=EnvironmentSpec(id="CartPole-v1"),
            algorithm=AlgorithmSpec(ppo=PPO()),
            stop=StopSpec(env_steps=1000),
        ),
    )
    assert built == TrainingJob.model_validate(SMALL)
    assert TrainingJob.model_validate_json(built.model_dump_json()) == built
    assert (built.experiment, built.registered_model) == ("a-job", "a-job")


def test_a_job_cannot_be_changed() -> None:
    spec = TrainingJob.model_validate(SMALL).spec
    with pytest.raises(ValidationError, match="frozen"):
        spec.seed = 3
    assert isinstance(spec.model.hidden, tuple)


def test_a_null_is_an_absent_field_and_an_unknown_null_is_still_unknown() -> None:
    document = job({"seed": None, "model": None, "rollouts.minReplicas": None, "algorithm.dqn": None})
    assert TrainingJob.model_validate(document) == TrainingJob.model_validate(SMALL)
    assert faults(job({"sed": None})) == [("spec.sed", "Extra inputs are not permitted")]
    kept = TrainingJob.model_validate(job({"environment.kwargs": {"a": None, "b": [None]}}))
    assert kept.spec.environment.kwargs == {"a": None, "b": [None]}


STRICT = [
    ("seed", "3"), ("seed", 3.5), ("seed", True), ("seed", -1), ("seed", 2**31), ("seed", [3]),
    ("algorithm.ppo.learningRate", "3e-4"), ("algorithm.ppo.learningRate", 0), ("algorithm.ppo.gamma", 1.01),
    ("algorithm.ppo.learningRate", float("nan")), ("algorithm.ppo.gamma", True), ("algorithm.ppo.epochs", 0),
    ("algorithm.ppo.normalizeAdvantage", 1), ("algorithm.ppo.normalizeAdvantage", "true"),
    ("environment.id", 3), ("environment.id", ""), ("environment.id", "x" * 2000),
    ("environment.kind", "Gym"),
    ("environment.kwargs", [1]), ("environment.kwargs", {1: 2}), ("environment.kwargs", {"a": object()}),
    ("environment.kwargs", {"a": float("inf")}), ("environment.kwargs", {"a": 2**63}),
    ("environment.kwargs", {"a": ["x"] * VALUES}), ("environment.kwargs", {"a": "\ud800"}),
    ("environment.wrappers", [{"entrypoint": "no_colon"}]), ("model.hidden", 64), ("model.hidden", [0]),
    ("model.hidden", [64] * 33), ("model.hidden", ["64"]), ("model.activation", "ReLU"),
    ("rollouts.resources.cpu", 0.5), ("rollouts.resources.memory", "8 GB"), ("rollouts.resources.cpu", True),
    ("rollouts.nodeSelector", {"a": 1}), ("runtime.env", {"A": "b"}), ("driver.port", 65536),
    ("checkpoint.uri", "a b"), ("tracking.alias", "1st"), ("tracking.registeredModel", "a/b"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), STRICT)
def test_a_value_of_another_type_or_beyond_its_bounds_is_refused_at_its_field(path: str, value: Any) -> None:
    found = faults(job({path: value}))
    assert len(found) == 1
    assert found[0][0].startswith(f"spec.{path}")


def test_json_as_deep_as_allowed_is_taken_and_one_deeper_is_not() -> None:
    def nested(levels: int) -> dict[str, Any]:
        return {"a": nested(levels - 1)} if levels else {}

    assert TrainingJob.model_validate(job({"environment.kwargs": nested(DEPTH)}))
    assert "too large" in faults(job({"environment.kwargs": nested(DEPTH + 1)}))[0][1]


RULES: list[tuple[dict[str, Any], str, str]] = [
    ({"environment": {}}, "environment", "neither id nor entrypoint is set"),
    ({"environment.entrypoint": "a:b"}, "environment", "id and entrypoint are both set"),
    ({"environment.kind": "external"}, "environment", "an external environment is not made here"),
    ({"environment.kind": "pettingzooParallel"}, "environment.id", "looked up in Gymnasium"),
    (
        {"environment": {"kind": "pettingzooAec", "entrypoint": "a:b", "vectorized": True}},
        "environment.vectorized",
        "is true, and kind is pettingzooAec",
    ),
    ({"algorithm": {}}, "algorithm", "no algorithm is set"),
    ({"algorithm": {"ppo": None}}, "algorithm", "no algorithm is set"),
    ({"algorithm.dqn": {}}, "algorithm", "ppo and dqn are set"),
    ({"algorithm.ppo.minibatchSize": 1025}, "algorithm.ppo.minibatchSize", "1025 is more than batchSize"),
    ({"rollouts.envsPerWorker": 1025}, "algorithm.ppo.batchSize", "1024 env steps are fewer than the 1025"),
    (
        {"rollouts.replicas": 65, "rollouts.workersPerPod": 2},
        "algorithm.ppo.batchSize",
        "fewer than the 1040 environments",
    ),
    ({"algorithm": {"dqn": {"batchSize": 10_001}}}, "algorithm.dqn.batchSize", "more than bufferSize"),
    (
        {"algorithm": {"dqn": {"learningStarts": 10_001}}},
        "algorithm.dqn.learningStarts",
        "more than bufferSize",
    ),
    (
        {"model.recurrent": {"kind": "lstm", "sequenceLength": 257}},
        "model.recurrent.sequenceLength",
        "257 is more than algorithm.ppo.minibatchSize",
    ),
    ({"model.kwargs": {"a": 1}}, "model.kwargs", "there is no entrypoint"),
    ({"policies": [{"name": "a"}, {"name": "a"}]}, "policies.1.name", "'a' is given twice"),
    ({"policies": [{"name": "a", "trained": False}]}, "policies", "none of them is trained"),
    ({"rollouts.minReplicas": 1}, "rollouts.replicas", "0 is less than minReplicas"),
    ({"rollouts": {"replicas": 3, "maxReplicas": 2}}, "rollouts.replicas", "3 is more than maxReplicas"),
    (
        {"rollouts": {"minReplicas": 3, "maxReplicas": 2}},
        "rollouts.minReplicas",
        "3 is more than maxReplicas",
    ),
    ({"replay.shards": 2}, "replay.shards", "2 shards in one process"),
    ({"replay.placement": "rollouts"}, "replay.placement", "is rollouts, and there are none"),
    ({"stop": {}}, "stop", "nothing bounds the run"),
    ({"stop": {"episodeReturn": 475, "plateau": {"envSteps": 9}}}, "stop", "nothing bounds the run"),
    ({"checkpoint.exact": True}, "checkpoint.everyUpdates", "is not set, and exact is true"),
    (
        {"checkpoint": {"exact": True, "everyUpdates": 1, "everySeconds": 9}},
        "checkpoint.everySeconds",
        "exact is true",
    ),
    (
        {"evaluation": {"episodes": 0, "gate": {"minimumReturn": 1}}},
        "evaluation.gate.minimumReturn",
        "episodes: 0",
    ),
    (
        {"algorithm": {"dqn": {}}, "schedules.clipRange": {}},
        "schedules.clipRange",
        "algorithm.dqn has no such field",
    ),
    (
        {"stop": {"updates": 5}, "schedules.learningRate": {}},
        "schedules.learningRate.steps",
        "is not set, and neither is stop.envSteps",
    ),
    ({"schedules.learningRate": {"kind": "exponential"}}, "schedules.learningRate.final", "never reaches 0"),
    (
        {"schedules.entropyCoefficient": {"kind": "exponential", "final": 1}},
        "schedules.entropyCoefficient.kind",
        "algorithm.ppo.entropyCoefficient is 0",
    ),
    ({"runtime.env": [{"name": "A"}]}, "runtime.env.0", "neither value nor secret is set"),
    (
        {"runtime.env": [{"name": "A", "value": "", "secret": {"name": "s", "key": "k"}}]},
        "runtime.env.0",
        "value and secret are both set",
    ),
    ({"runtime.env": [{"name": "A", "value": "1"}] * 2}, "runtime.env.1.name", "'A' is given twice"),
    (
        {"runtime.volumes": [{"name": "v", "mountPath": "/v"}]},
        "runtime.volumes.0",
        "there is nothing to mount",
    ),
    (
        {"runtime.volumes": [{"name": "v", "mountPath": "/v", "claim": "c", "secret": "s"}]},
        "runtime.volumes.0",
        "claim and secret are set",
    ),
    ({"driver.tolerations": [{"operator": "Equal"}]}, "driver.tolerations.0.key", "is not set"),
    ({"driver.tolerations": [{"operator": "Exists", "value": "a"}]}, "driver.tolerations.0.value", "is set"),
]


@pytest.mark.parametrize(("changes", "path", "message"), RULES)
def test_a_broken_rule_is_told_once_at_its_field(changes: dict[str, Any], path: str, message: str) -> None:
    found = faults(job(changes))
    assert [it[0] for it in found] == [f"spec.{path}"]
    assert message in found[0][1]
    assert "; " in found[0][1], "what would be right"


def test_rules_at_their_edge_hold() -> None:
    assert TrainingJob.model_validate(job({"algorithm.ppo.minibatchSize": 1024}))
    assert TrainingJob.model_validate(job({"rollouts.envsPerWorker": 1024}))
    assert TrainingJob.model_validate(job({"rollouts": {"replicas": 2, "minReplicas": 2, "maxReplicas": 2}}))
    assert TrainingJob.model_validate(job({"algorithm": {"dqn": {"batchSize": 10_000}}}))
    assert TrainingJob.model_validate(
        job({"algorithm": {"custom": {"entrypoint": "a"}}, "schedules.clipRange": {}})
    )
    assert TrainingJob.model_validate(job({"stop": {"wallSeconds": 0.5}}))
    assert TrainingJob.model_validate(job({"environment": {"kind": "external"}}))
    constant = {"stop": {"updates": 5}, "schedules.learningRate": {"kind": "constant"}}
    assert TrainingJob.model_validate(job(constant))


def test_checkpoints_come_each_minute_unless_they_are_exact() -> None:
    assert CheckpointSpec().every_seconds == 60.0
    assert CheckpointSpec(every_updates=5).every_seconds == 60.0
    assert CheckpointSpec(exact=True, every_updates=5).every_seconds is None
    assert CheckpointSpec(every_seconds=5.0).every_seconds == 5.0


def test_a_document_of_the_api_server_with_its_own_fields_and_status_is_read() -> None:
    document = job()
    document["metadata"] |= {
        "uid": "6f2c", "resourceVersion": "12", "generation": 3, "creationTimestamp": "2026-01-02T03:04:05Z",
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
    }  # fmt: skip
    document["status"] = {
        "phase": "Training", "attempt": 2, "progress": {"envSteps": 512, "episodeReturnMean": 21.5},
        "conditions": [
            {"type": "Training", "status": "True", "reason": "Running", "lastTransitionTime": NOON}
        ],
    }  # fmt: skip
    status = TrainingJob.model_validate(document, by_alias=True, by_name=False).status
    assert status is not None
    assert (status.phase, status.conditions[0].type, status.progress.env_steps) == (
        "Training",
        "Training",
        512,
    )
    document["status"]["phase"] = "Dancing"
    assert [it[0] for it in faults(document)] == ["status.phase"]


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for name, value in schema.items():
            if name not in ("default", "enum"):
                yield from _nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _nodes(value)


def test_everything_in_the_schema_is_bounded_described_and_free_of_unions_of_objects() -> None:
    free = []
    for node in _nodes(json_schema()):
        kind = node.get("type")
        if kind == "string" and "enum" not in node and "const" not in node:
            assert "maxLength" in node or "pattern" in node or node == {"type": "string"}, node
        if kind == "array":
            assert "maxItems" in node, node
        if kind == "object" and "properties" not in node:
            assert "maxProperties" in node, node
            free.append(node)
        if kind == "object" and "properties" in node:
            assert node["additionalProperties"] is False
            for name, field in node["properties"].items():
                assert field.get("description") or "$ref" in field, name
        options = [it for it in node.get("anyOf", []) if it.get("type") != "null"]
        assert len(options) < 2 or "x-kubernetes-int-or-string" in node, node
        if kind == "integer" and "x-kubernetes-int-or-string" not in node and len(node) > 1:
            assert "minimum" in node, node
            assert "maximum" in node, node
    assert free, "the walk saw free JSON"


def test_every_pattern_has_a_sentence() -> None:
    used = {node["pattern"] for node in _nodes(json_schema()) if isinstance(node.get("pattern"), str)}
    assert used <= patterns.SENTENCES.keys()


def test_importing_the_job_is_quick_and_brings_no_other_part() -> None:
    code = (
        "import sys, rl_platform.spec.training_job, rl_platform.spec.driver_protocol;"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'numpy', 'yaml', 'gymnasium')"
        " or m.startswith('rl_platform.') and not m.startswith('rl_platform.spec')])"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - began < 5, "with much room for a busy machine; 0.3 s on an idle one"


def test_a_run_that_ends_before_dqn_begins_to_learn_is_refused() -> None:
    document = {
        "metadata": {"name": "never-learns"},
        "spec": {"environment": {"id": "CartPole-v1"}, "algorithm": {"dqn": {}}, "stop": {"envSteps": 999}},
    }
    with pytest.raises(ValueError, match="nothing would be learned"):
        TrainingJob.model_validate(document)
    document["spec"]["stop"] = {"envSteps": 1000}  # type: ignore[index]
    TrainingJob.model_validate(document)
