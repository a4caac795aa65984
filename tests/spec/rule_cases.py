"""For every rule between fields: specs that keep it and specs that break it, at least two of each.

Pydantic is asked in tests/spec, a real API server in tests/apiserver.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

Spec = dict[str, Any]

SMALL: Spec = {
    "environment": {"id": "CartPole-v1"},
    "algorithm": {"ppo": {}},
    "stop": {"envSteps": 100_000},
}


class RuleCase(NamedTuple):
    """``keeps`` and ``breaks``: sections that replace those of `SMALL`. ``says``: a part of the message."""

    path: str
    says: str
    keeps: list[Spec]
    breaks: list[Spec]


def spec_with(sections: Spec) -> Spec:
    return {**SMALL, **sections}


def _environment(**fields: Any) -> Spec:
    return {"environment": fields}


def _ppo(**fields: Any) -> Spec:
    return {"algorithm": {"ppo": fields}}


def _dqn(steps: int = 100_000, **fields: Any) -> Spec:
    return {"algorithm": {"dqn": fields}, "stop": {"envSteps": steps}}


MAKER = "my_envs.maze:make"
LSTM = {"kind": "lstm", "sequenceLength": 16}

_ABOUT_ENVIRONMENTS = [
    RuleCase(
        "environment",
        "is not made here",
        [_environment(kind="external"), _environment(kind="external", kwargs={"port": 8080})],
        [_environment(kind="external", id="a"), _environment(kind="external", entrypoint=MAKER)],
    ),
    RuleCase(
        "environment",
        "exactly one is needed, e.g. `id",
        [_environment(id="CartPole-v1"), _environment(entrypoint=MAKER)],
        [_environment(), _environment(id="CartPole-v1", entrypoint=MAKER)],
    ),
    RuleCase(
        "environment.id",
        "is looked up in Gymnasium",
        [_environment(kind=kind, entrypoint=MAKER) for kind in ("pettingzooParallel", "pettingzooAec")],
        [_environment(kind=kind, id="a-v1") for kind in ("pettingzooParallel", "pettingzooAec")],
    ),
    RuleCase(
        "environment.vectorized",
        "only kind gymnasium has vector environments",
        [
            _environment(id="CartPole-v1", vectorized=True),
            _environment(kind="pettingzooAec", entrypoint=MAKER, vectorized=False),
        ],
        [
            _environment(kind="pettingzooAec", entrypoint=MAKER, vectorized=True),
            _environment(kind="external", vectorized=True),
        ],
    ),
]

_ABOUT_ALGORITHMS = [
    RuleCase(
        "algorithm",
        "exactly one member",
        [_ppo(), _dqn(), {"algorithm": {"custom": {"entrypoint": "mine"}}}],
        [{"algorithm": {}}, {"algorithm": {"ppo": {}, "dqn": {}}}],
    ),
    RuleCase(
        "algorithm.ppo.minibatchSize",
        "is more than batchSize",
        [_ppo(minibatchSize=1024), _ppo(minibatchSize=64, batchSize=64)],
        [_ppo(minibatchSize=1025), _ppo(batchSize=255)],
    ),
    RuleCase(
        "algorithm.dqn.batchSize",
        "is more than bufferSize",
        [_dqn(batchSize=10_000), _dqn(batchSize=64, bufferSize=64, learningStarts=64)],
        [_dqn(batchSize=10_001), _dqn(bufferSize=127, learningStarts=0)],
    ),
    RuleCase(
        "algorithm.dqn.learningStarts",
        "is more than bufferSize",
        [_dqn(learningStarts=10_000), _dqn(learningStarts=0)],
        [_dqn(learningStarts=10_001), _dqn(bufferSize=999)],
    ),
    RuleCase(
        "algorithm.dqn.learningStarts",
        "env steps are more than stop.envSteps",
        [_dqn(steps=1000), {"algorithm": {"dqn": {}}, "stop": {"updates": 1}}],
        [_dqn(steps=999), _dqn(steps=1, learningStarts=2)],
    ),
    RuleCase(
        "algorithm.ppo.batchSize",
        "environments, which take one each",
        [
            {**_ppo(batchSize=256), "rollouts": {"envsPerWorker": 256}},
            {"rollouts": {"replicas": 4, "workersPerPod": 4, "envsPerWorker": 64}},
            {**_dqn(), "rollouts": {"envsPerWorker": 100_000}},
        ],
        [
            {**_ppo(batchSize=256), "rollouts": {"envsPerWorker": 257}},
            {"rollouts": {"replicas": 4, "workersPerPod": 4, "envsPerWorker": 65}},
        ],
    ),
]

_ABOUT_MODELS = [
    RuleCase(
        "model.recurrent.sequenceLength",
        "a minibatch must hold a sequence",
        [
            {**_ppo(minibatchSize=16), "model": {"recurrent": LSTM}},
            {**_ppo(minibatchSize=15), "model": {"recurrent": {"sequenceLength": 16}}},
            {**_dqn(), "model": {"recurrent": {**LSTM, "sequenceLength": 10_000}}},
        ],
        [
            {**_ppo(minibatchSize=15), "model": {"recurrent": LSTM}},
            {"model": {"recurrent": {"kind": "lstm", "sequenceLength": 257}}},
        ],
    ),
    RuleCase(
        "model.kwargs",
        "",  # no CEL: it cannot see free JSON
        [{"model": {"entrypoint": MAKER, "kwargs": {"width": 32}}}, {"model": {"kwargs": {}}}],
        [{"model": {"kwargs": {"width": 32}}}, {"model": {"kwargs": {"a": None}}}],
    ),
    RuleCase(
        "policies",
        "is given twice",
        [{"policies": [{"name": "a"}, {"name": "b"}]}, {"policies": []}],
        [
            {"policies": [{"name": "a"}, {"name": "a"}]},
            {"policies": [{"name": "a"}, {"name": "b"}, {"name": "b", "trained": False}]},
        ],
    ),
    RuleCase(
        "policies",
        "none of them is trained",
        [{"policies": [{"name": "a", "trained": False}, {"name": "b"}]}, {"policies": [{"name": "a"}]}],
        [
            {"policies": [{"name": "a", "trained": False}]},
            {"policies": [{"name": "a", "trained": False}, {"name": "b", "trained": False}]},
        ],
    ),
]

_ABOUT_SAMPLING = [
    RuleCase(
        "rollouts.minReplicas",
        "is more than maxReplicas",
        [
            {"rollouts": {"replicas": 2, "minReplicas": 2, "maxReplicas": 2}},
            {"rollouts": {"replicas": 0, "minReplicas": 0, "maxReplicas": 9}},
        ],
        [
            {"rollouts": {"replicas": 3, "minReplicas": 3, "maxReplicas": 2}},
            {"rollouts": {"minReplicas": 1, "maxReplicas": 0}},
        ],
    ),
    RuleCase(
        "rollouts.replicas",
        "is less than minReplicas",
        [{"rollouts": {"replicas": 2, "minReplicas": 2}}, {"rollouts": {"minReplicas": 0}}],
        [{"rollouts": {"replicas": 1, "minReplicas": 2}}, {"rollouts": {"minReplicas": 1}}],
    ),
    RuleCase(
        "rollouts.replicas",
        "is more than maxReplicas",
        [{"rollouts": {"replicas": 2, "maxReplicas": 2}}, {"rollouts": {"maxReplicas": 0}}],
        [
            {"rollouts": {"replicas": 3, "maxReplicas": 2}},
            {"rollouts": {"replicas": 9, "minReplicas": 1, "maxReplicas": 8}},
        ],
    ),
    RuleCase(
        "replay.placement",
        "is rollouts, and there are none",
        [
            {"replay": {"placement": "rollouts"}, "rollouts": {"replicas": 1}},
            {"replay": {"placement": "driver"}, "rollouts": {"replicas": 0}},
        ],
        [
            {"replay": {"placement": "rollouts"}},
            {"replay": {"placement": "rollouts", "shards": 2}, "rollouts": {"replicas": 0}},
        ],
    ),
    RuleCase(
        "replay.shards",
        "shards in one process",
        [
            {"replay": {"placement": "rollouts", "shards": 2}, "rollouts": {"replicas": 1}},
            {"replay": {"placement": "driver", "shards": 1}},
        ],
        [{"replay": {"shards": 2}}, {"replay": {"placement": "driver", "shards": 256}}],
    ),
]


def _about_pods() -> Iterator[RuleCase]:
    for group in ("rollouts", "learner", "driver"):
        yield RuleCase(
            f"{group}.tolerations",
            "and operator is Exists",
            [
                {group: {"tolerations": [{"key": "spot", "operator": "Exists"}]}},
                {group: {"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b"}]}},
            ],
            [
                {group: {"tolerations": [{"key": "spot", "operator": "Exists", "value": "true"}]}},
                {group: {"tolerations": [{"operator": "Exists"}, {"operator": "Exists", "value": ""}]}},
            ],
        )
        yield RuleCase(
            f"{group}.tolerations",
            "and operator is Equal",
            [
                {group: {"tolerations": [{"key": "spot"}]}},
                {group: {"tolerations": [{"operator": "Equal", "key": "spot", "value": "true"}]}},
            ],
            [
                {group: {"tolerations": [{"value": "true"}]}},
                {group: {"tolerations": [{"operator": "Exists"}, {"operator": "Equal"}]}},
            ],
        )
        for field, value in (("nodeSelector", "a"), ("resources.extended", 1)):
            yield _about_keys(group, field, value)


def _about_keys(group: str, field: str, value: object) -> RuleCase:
    def holding(*keys: str) -> Spec:
        below: Any = dict.fromkeys(keys, value)
        for name in reversed(field.split(".")):
            below = {name: below}
        return {group: below}

    return RuleCase(
        f"{group}.{field}",
        "every key has 1 to 317 characters",
        [holding(), holding("a", "k" * 317)],
        [holding("a", ""), holding("k" * 318)],
    )


def _env(*variables: Spec) -> Spec:
    return {"runtime": {"env": list(variables)}}


def _volumes(*volumes: Spec) -> Spec:
    return {"runtime": {"volumes": [{"mountPath": "/data", **it} for it in volumes]}}


SECRET = {"name": "keys", "key": "token"}

_ABOUT_RUNTIME = [
    RuleCase(
        "runtime.env",
        "exactly one is needed",
        [_env({"name": "A", "value": ""}), _env({"name": "A", "secret": SECRET})],
        [_env({"name": "A"}), _env({"name": "B", "value": ""}, {"name": "A", "value": "", "secret": SECRET})],
    ),
    RuleCase(
        "runtime.env",
        "is given twice",
        [_env({"name": "A", "value": ""}, {"name": "B", "value": ""}), _env()],
        [
            _env({"name": "A", "value": ""}, {"name": "A", "value": ""}),
            _env({"name": "B", "value": ""}, {"name": "A", "value": ""}, {"name": "A", "secret": SECRET}),
        ],
    ),
    RuleCase(
        "runtime.volumes",
        "exactly one of claim",
        [_volumes({"name": "a", "claim": "c"}), _volumes({"name": "a", "configMap": "c"})],
        [_volumes({"name": "a"}), _volumes({"name": "a", "claim": "c", "secret": "s"})],
    ),
    RuleCase(
        "runtime.volumes",
        "is given twice",
        [_volumes({"name": "a", "claim": "c"}, {"name": "b", "claim": "c"}), _volumes()],
        [
            _volumes({"name": "a", "claim": "c"}, {"name": "a", "claim": "c"}),
            _volumes({"name": "a", "claim": "c"}, {"name": "a", "secret": "s"}),
        ],
    ),
]


_ABOUT_RUNNING = [
    RuleCase(
        "stop",
        "nothing bounds the run",
        [{"stop": {"updates": 5}}, {"stop": {"wallSeconds": 0.5, "episodeReturn": 475}}],
        [{"stop": {}}, {"stop": {"episodeReturn": 475, "plateau": {"envSteps": 5}}}],
    ),
    RuleCase(
        "evaluation.gate.minimumReturn",
        "cannot be met",
        [{"evaluation": {"episodes": 1, "gate": {"minimumReturn": 0}}}, {"evaluation": {"episodes": 0}}],
        [
            {"evaluation": {"episodes": 0, "gate": {"minimumReturn": 0}}},
            {"evaluation": {"everyEnvSteps": 5, "episodes": 0, "gate": {"minimumReturn": -5.5}}},
        ],
    ),
    RuleCase(
        "checkpoint.everySeconds",
        "the clock would decide",
        [{"checkpoint": {"everySeconds": 5}}, {"checkpoint": {"exact": True, "everyUpdates": 5}}],
        [
            {"checkpoint": {"exact": True, "everyUpdates": 5, "everySeconds": 5}},
            {"checkpoint": {"exact": True, "everySeconds": 60}},
        ],
    ),
    RuleCase(
        "checkpoint.everyUpdates",
        "is not set, and exact is true",
        [{"checkpoint": {"exact": False}}, {"checkpoint": {"exact": True, "everyUpdates": 1}}],
        [{"checkpoint": {"exact": True}}, {"checkpoint": {"exact": True, "keep": 5}}],
    ),
]


def _about_schedules() -> Iterator[RuleCase]:
    def schedule(field: str, **fields: Any) -> Spec:
        return {"schedules": {field: fields}}

    unbounded = {"stop": {"updates": 5}}
    for field in ("learningRate", "clipRange", "entropyCoefficient"):
        yield RuleCase(
            f"schedules.{field}.final",
            "never reaches 0",
            [schedule(field, kind="exponential", final=1e-9), schedule(field, kind="linear", final=0)],
            [schedule(field, kind="exponential"), schedule(field, kind="exponential", final=0.0)],
        )
        yield RuleCase(
            f"schedules.{field}.steps",
            "and neither is stop.envSteps",
            [
                schedule(field),
                {**schedule(field, steps=5), **unbounded},
                {**schedule(field, kind="constant"), **unbounded},
            ],
            [
                {**schedule(field), **unbounded},
                {**schedule(field, kind="exponential", final=1), **unbounded},
            ],
        )
    for field in ("clipRange", "entropyCoefficient"):
        yield RuleCase(
            f"schedules.{field}",
            "algorithm.dqn has no such field",
            [
                schedule(field),
                {**schedule(field), "algorithm": {"custom": {"entrypoint": "mine"}}},
                {**schedule("learningRate"), **_dqn()},
            ],
            [{**schedule(field), **_dqn()}, {**schedule(field, kind="constant"), **_dqn()}],
        )


RULE_CASES = [
    *_ABOUT_ENVIRONMENTS,
    *_ABOUT_ALGORITHMS,
    *_ABOUT_MODELS,
    *_ABOUT_SAMPLING,
    *_about_pods(),
    *_ABOUT_RUNTIME,
    *_ABOUT_RUNNING,
    *_about_schedules(),
]
