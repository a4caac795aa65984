"""The rules between fields, once more, in CEL: the API server refuses what the models refuse.

Every ``faults()`` of a model under ``spec`` has its counterpart here (one, about free JSON, is in `crd`).
``self`` is the spec: at the root of an object the server's estimate of a rule's cost is not multiplied by the
length of lists.
https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from rl_platform.spec.algorithms import AlgorithmSpec, Custom
from rl_platform.spec.fields import SpecModel
from rl_platform.spec.running import Schedules

_VALUE = re.compile(r"<([^>]+)>")
_GROUPS = ("rollouts", "learner", "driver")


class CelRule(NamedTuple):
    """A rule of ``x-kubernetes-validations``.

    ``message`` may hold CEL in angle brackets, such as ``<self.rollouts.replicas>``, of any type that
    ``string()`` takes. ``path`` is the field that the message is about, from the spec: ``stop.envSteps``.
    """

    path: str
    rule: str
    message: str

    def schema(self) -> dict[str, Any]:
        """As the CustomResourceDefinition has it."""
        rule = {"rule": self.rule, "fieldPath": f".{self.path}"}
        parts = _VALUE.split(self.message)
        if len(parts) == 1:
            return {**rule, "message": self.message}
        # Not `+`: the server cannot bound the length of string(…), and then takes the cost to be endless.
        form = "%s".join(it.replace("%", "%%") for it in parts[::2])
        return {**rule, "messageExpression": f"{_quoted(form)}.format([{', '.join(parts[1::2])}])"}


def job_rules() -> list[CelRule]:
    """Every rule that a spec must keep, whatever it was before."""
    return [
        *_environment_rules(),
        *_algorithm_rules(),
        *_model_rules(),
        *_sampling_rules(),
        *_pod_rules(),
        *_running_rules(),
        *_schedule_rules(),
    ]


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def names_of(model: type[SpecModel]) -> list[str]:
    """The fields of a model as a manifest spells them."""
    return [info.alias or name for name, info in model.model_fields.items()]


def _one_of(place: str, names: list[str]) -> str:
    return f"[{', '.join(f'has({place}.{name})' for name in names)}].exists_one(given, given)"


def _names_set(place: str, names: list[str]) -> str:
    """Says which of the optional fields are set, where it is not exactly one."""
    given = " + ".join(f"(has({place}.{name}) ? [{_quoted(name)}] : [])" for name in names)
    return f"size({given}) == 0 ? 'none is set' : '%s are set'.format([{given}])"


def _environment_rules() -> Iterator[CelRule]:
    place = "self.environment"
    yield CelRule(
        "environment",
        f"{place}.kind != 'external' || (!has({place}.id) && !has({place}.entrypoint))",
        "an external environment is not made here; remove id and entrypoint",
    )
    yield CelRule(
        "environment",
        f"{place}.kind == 'external' || has({place}.id) != has({place}.entrypoint)",
        f"<has({place}.id) ? 'id and entrypoint are both set' : 'neither id nor entrypoint is set'>; "
        'exactly one is needed, e.g. `id: CartPole-v1` or `entrypoint: "my_module:make"`',
    )
    yield CelRule(
        "environment.id",
        f"!{place}.kind.startsWith('pettingzoo') || !has({place}.id)",
        f"'<{place}.id>' is looked up in Gymnasium, and kind is <{place}.kind>; "
        'use entrypoint, e.g. "pettingzoo.butterfly.pistonball_v6:parallel_env"',
    )
    yield CelRule(
        "environment.vectorized",
        f"!{place}.vectorized || {place}.kind == 'gymnasium'",
        f"is true, and kind is <{place}.kind>; only kind gymnasium has vector environments",
    )


def _algorithm_rules() -> Iterator[CelRule]:
    place, members = "self.algorithm", names_of(AlgorithmSpec)
    yield CelRule(
        "algorithm",
        _one_of(place, members),
        f"<{_names_set(place, members)}>; "
        f"exactly one member of {', '.join(members)} is needed, e.g. `ppo: {{}}`",
    )
    yield CelRule(
        "algorithm.ppo.minibatchSize",
        f"!has({place}.ppo) || {place}.ppo.minibatchSize <= {place}.ppo.batchSize",
        f"<{place}.ppo.minibatchSize> is more than batchSize, which is <{place}.ppo.batchSize>; "
        "a minibatch is a part of a batch: lower minibatchSize or raise batchSize",
    )
    for field in ("batchSize", "learningStarts"):
        yield CelRule(
            f"algorithm.dqn.{field}",
            f"!has({place}.dqn) || {place}.dqn.{field} <= {place}.dqn.bufferSize",
            f"<{place}.dqn.{field}> is more than bufferSize, which is <{place}.dqn.bufferSize>; "
            f"the replay buffer would never hold so much: raise bufferSize or lower {field}",
        )
    yield CelRule(
        "algorithm.dqn.learningStarts",
        f"!has({place}.dqn) || !has(self.stop.envSteps) || {place}.dqn.learningStarts <= self.stop.envSteps",
        f"<{place}.dqn.learningStarts> env steps are more than stop.envSteps, which is <self.stop.envSteps>; "
        "nothing would be learned: lower learningStarts or raise stop.envSteps",
    )


def _model_rules() -> Iterator[CelRule]:
    recurrent, ppo = "self.model.recurrent", "self.algorithm.ppo"
    yield CelRule(
        "model.recurrent.sequenceLength",
        f"!has({ppo}) || {recurrent}.kind == 'none' || {recurrent}.sequenceLength <= {ppo}.minibatchSize",
        f"<{recurrent}.sequenceLength> is more than algorithm.ppo.minibatchSize, which is "
        f"<{ppo}.minibatchSize>; a minibatch must hold a sequence",
    )
    yield _distinct("policies")
    yield CelRule(
        "policies",
        "size(self.policies) == 0 || self.policies.exists(policy, policy.trained)",
        "none of them is trained; trained: true for at least one",
    )


def _distinct(path: str) -> CelRule:
    """Names are unique within a list."""
    place = f"self.{path}"
    alone = f"{place}.exists_one(other, other.name == one.name)"
    return CelRule(
        path,
        f"{place}.all(one, {alone})",
        f"'<{place}.filter(one, !{alone})[0].name>' is given twice; every name once",
    )


def _sampling_rules() -> Iterator[CelRule]:
    rollouts, ppo = "self.rollouts", "self.algorithm.ppo"
    pods = f"({rollouts}.replicas == 0 ? 1 : {rollouts}.replicas * {rollouts}.workersPerPod)"
    lanes = f"{pods} * {rollouts}.envsPerWorker"
    yield CelRule(
        "algorithm.ppo.batchSize",
        f"!has({ppo}) || {ppo}.batchSize >= {lanes}",
        f"<{ppo}.batchSize> env steps are fewer than the <{lanes}> environments, which take one each "
        f"(<{pods}> workers of <{rollouts}.envsPerWorker>); <{lanes}> or more, or fewer envsPerWorker",
    )
    low, high, now = (f"{rollouts}.{name}" for name in ("minReplicas", "maxReplicas", "replicas"))
    yield CelRule(
        "rollouts.minReplicas",
        f"!has({low}) || !has({high}) || {low} <= {high}",
        f"<{low}> is more than maxReplicas, which is <{high}>; swap or equal them",
    )
    yield CelRule(
        "rollouts.replicas",
        f"!has({low}) || {now} >= {low}",
        f"<{now}> is less than minReplicas, which is <{low}>; <{low}> or more",
    )
    yield CelRule(
        "rollouts.replicas",
        f"!has({high}) || {now} <= {high}",
        f"<{now}> is more than maxReplicas, which is <{high}>; at most <{high}>",
    )
    yield CelRule(
        "replay.placement",
        f"self.replay.placement != 'rollouts' || {now} > 0",
        "is rollouts, and there are none; driver, or rollouts.replicas",
    )
    yield CelRule(
        "replay.shards",
        "self.replay.placement != 'driver' || self.replay.shards == 1",
        "<self.replay.shards> shards in one process gain nothing; 1, or placement rollouts",
    )


def _pod_rules() -> Iterator[CelRule]:
    for path in (f"{group}.tolerations" for group in _GROUPS):
        yield CelRule(
            path,
            f"self.{path}.all(it, it.operator != 'Exists' || !has(it.value))",
            "value is set, and operator is Exists; remove value, or use operator Equal",
        )
        yield CelRule(
            path,
            f"self.{path}.all(it, it.operator != 'Equal' || has(it.key))",
            "key is not set, and operator is Equal; name the taint, or use operator Exists",
        )
    yield CelRule(
        "runtime.env",
        "self.runtime.env.all(it, has(it.value) != has(it.secret))",
        "value or secret is set in each, never both; exactly one is needed",
    )
    yield CelRule(
        "runtime.volumes",
        f"self.runtime.volumes.all(it, {_one_of('it', ['claim', 'configMap', 'secret'])})",
        "each mounts one thing; exactly one of claim, configMap, secret is needed",
    )
    yield _distinct("runtime.env")
    yield _distinct("runtime.volumes")


def _running_rules() -> Iterator[CelRule]:
    yield CelRule(
        "stop",
        "has(self.stop.envSteps) || has(self.stop.updates) || has(self.stop.wallSeconds)",
        "nothing bounds the run; set envSteps, updates or wallSeconds, e.g. `envSteps: 150000`",
    )
    yield CelRule(
        "evaluation.gate.minimumReturn",
        "self.evaluation.episodes > 0 || !has(self.evaluation.gate.minimumReturn)",
        "cannot be met with episodes: 0; evaluate some episodes",
    )
    yield CelRule(
        "checkpoint.everySeconds",
        "!self.checkpoint.exact || !has(self.checkpoint.everySeconds)",
        "exact is true: the clock would decide where environments are reseeded; "
        "remove everySeconds and set everyUpdates",
    )
    yield CelRule(
        "checkpoint.everyUpdates",
        "!self.checkpoint.exact || has(self.checkpoint.everyUpdates)",
        "is not set, and exact is true; a number of updates, such as 20",
    )


def _schedule_rules() -> Iterator[CelRule]:
    for field in names_of(Schedules):
        path = f"schedules.{field}"
        absent, schedule = f"!has(self.{path})", f"self.{path}"
        yield CelRule(
            f"{path}.final",
            f"{absent} || {schedule}.kind != 'exponential' || {schedule}.final > 0.0",
            "an exponential schedule never reaches 0; a number above 0, or kind linear",
        )
        yield CelRule(
            f"{path}.steps",
            f"{absent} || {schedule}.kind == 'constant' || has({schedule}.steps) || has(self.stop.envSteps)",
            "is not set, and neither is stop.envSteps; set steps here, or stop.envSteps",
        )
        for name in _algorithms_without(field):
            yield CelRule(
                path,
                f"{absent} || !has(self.algorithm.{name})",
                f"algorithm.{name} has no such field; remove it",
            )


def _algorithms_without(field: str) -> Iterator[str]:
    for name, info in AlgorithmSpec.model_fields.items():
        model = next(it for it in info.annotation.__args__ if it is not type(None))  # type: ignore[union-attr]
        if model is not Custom and field not in names_of(model):
            yield info.alias or name
