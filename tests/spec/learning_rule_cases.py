"""Cases of the rules about environment, algorithm, model, policies and schedules."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from tests.spec.rule_case import RuleCase, Spec


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
        "algorithm.appo.minibatchSize",
        "is more than batchSize",
        [{"algorithm": {"appo": {}}}, {"algorithm": {"appo": {"minibatchSize": 512}}}],
        [{"algorithm": {"appo": {"minibatchSize": 513}}}, {"algorithm": {"appo": {"batchSize": 255}}}],
    ),
    RuleCase(
        "algorithm.ddppo.minibatchSize",
        "is more than batchSize",
        [{"algorithm": {"ddppo": {}}}, {"algorithm": {"ddppo": {"minibatchSize": 1024}}}],
        [{"algorithm": {"ddppo": {"minibatchSize": 1025}}}, {"algorithm": {"ddppo": {"batchSize": 511}}}],
    ),
    RuleCase(
        "algorithm.ddppo.batchSize",
        "environments, which take one each",
        [{"algorithm": {"ddppo": {}}, "rollouts": {"envsPerWorker": lanes}} for lanes in (1, 1024)],
        [
            {"algorithm": {"ddppo": {}}, "rollouts": {"replicas": 2, "envsPerWorker": 513}},
            {"algorithm": {"ddppo": {"batchSize": 1023}}, "rollouts": {"envsPerWorker": 1024}},
        ],
    ),
    RuleCase(
        "learner.replicas",
        "learns in its rollout workers",
        [{"algorithm": {"ddppo": {}}}, {**_ppo(), "learner": {"replicas": 2}}],
        [{"algorithm": {"ddppo": {}}, "learner": {"replicas": replicas}} for replicas in (1, 2)],
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
        "algorithm.apex.batchSize",
        "is more than bufferSize",
        [{"algorithm": {"apex": {}}}, {"algorithm": {"apex": {"batchSize": 100_000}}}],
        [{"algorithm": {"apex": {"batchSize": 100_001}}}, {"algorithm": {"apex": {"bufferSize": 127}}}],
    ),
    RuleCase(
        "algorithm.apex.learningStarts",
        "is more than bufferSize",
        [{"algorithm": {"apex": {}}}, {"algorithm": {"apex": {"learningStarts": 0}}}],
        [{"algorithm": {"apex": {"learningStarts": 100_001}}}, {"algorithm": {"apex": {"bufferSize": 999}}}],
    ),
    RuleCase(
        "algorithm.apex.learningStarts",
        "env steps are more than stop.envSteps",
        [{"algorithm": {"apex": {}}}, {"algorithm": {"apex": {}}, "stop": {"updates": 1}}],
        [
            {"algorithm": {"apex": {}}, "stop": {"envSteps": 999}},
            {"algorithm": {"apex": {"learningStarts": 2}}, "stop": {"envSteps": 1}},
        ],
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
            {"algorithm": {"appo": {"minibatchSize": 15}}, "model": {"recurrent": LSTM}},
            {"algorithm": {"ddppo": {"minibatchSize": 15}}, "model": {"recurrent": LSTM}},
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


def _about_schedules() -> Iterator[RuleCase]:
    def schedule(field: str, **fields: Any) -> Spec:
        return {"schedules": {field: fields}}

    unbounded = {"stop": {"updates": 5}}
    for field in ("learningRate", "clipRange", "entropyCoefficient"):
        above_zero = _ppo(entropyCoefficient=0.1)
        yield RuleCase(
            f"schedules.{field}.final",
            "never reaches 0",
            [
                {**schedule(field, kind="exponential", final=1e-9), **above_zero},
                schedule(field, kind="linear", final=0),
            ],
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
    for name in ("a2c", "a3c", "impala"):
        yield RuleCase(
            "schedules.clipRange",
            f"algorithm.{name} has no such field",
            [
                {**schedule("entropyCoefficient"), "algorithm": {name: {}}},
                {**schedule("learningRate"), "algorithm": {name: {}}},
            ],
            [
                {**schedule("clipRange"), "algorithm": {name: {}}},
                {**schedule("clipRange", kind="constant"), "algorithm": {name: {}}},
            ],
        )
    rising = schedule("entropyCoefficient", kind="exponential", final=1)
    for name in ("ppo", "a2c", "a3c", "impala", "appo", "ddppo"):
        yield RuleCase(
            "schedules.entropyCoefficient.kind",
            f"algorithm.{name}.entropyCoefficient is 0",
            [
                {**rising, "algorithm": {name: {"entropyCoefficient": 1e-9}}},
                {**schedule("entropyCoefficient", final=1), "algorithm": {name: {"entropyCoefficient": 0}}},
                {**rising, "algorithm": {"custom": {"entrypoint": "mine"}}},
            ],
            [
                {**rising, "algorithm": {name: {"entropyCoefficient": 0}}},
                {**rising, "algorithm": {name: {"entropyCoefficient": 0.0}}},
            ],
        )
    for field, name in product(("clipRange", "entropyCoefficient"), ("dqn", "apex")):
        config = {"algorithm": {name: {}}}
        yield RuleCase(
            f"schedules.{field}",
            f"algorithm.{name} has no such field",
            [
                schedule(field),
                {**schedule(field), "algorithm": {"custom": {"entrypoint": "mine"}}},
                {**schedule("learningRate"), **config},
            ],
            [{**schedule(field), **config}, {**schedule(field, kind="constant"), **config}],
        )


LEARNING_RULE_CASES = [*_ABOUT_ENVIRONMENTS, *_ABOUT_ALGORITHMS, *_ABOUT_MODELS, *_about_schedules()]
