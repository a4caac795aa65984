"""Cases of the rules about pods, replay, stopping, evaluation and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.spec.rule_case import RuleCase, Spec

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
            {"replay": {"placement": "rollouts"}, "rollouts": {}},
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


RUNNING_RULE_CASES = [*_ABOUT_SAMPLING, *_about_pods(), *_ABOUT_RUNTIME, *_ABOUT_RUNNING]
