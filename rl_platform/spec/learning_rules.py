"""What a spec must keep about environment, algorithm, model, policies and schedules, in CEL.

Each rule is the counterpart of one in a model's ``faults()``; tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Iterator

from rl_platform.spec.algorithms import AlgorithmSpec, Custom
from rl_platform.spec.cel_rules import CelRule, distinct, names_of, names_set, one_of
from rl_platform.spec.running import Schedules

_WITH_MINIBATCHES = ("ppo", "appo", "ddppo")
_WITH_REPLAY = ("dqn", "apex")
_MAY_BE_ZERO = ("entropyCoefficient",)  # of the fields that may be scheduled


def learning_rules() -> list[CelRule]:
    """All of them."""
    return [*_environment_rules(), *_algorithm_rules(), *_model_rules(), *_schedule_rules()]


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
        one_of(place, members),
        f"<{names_set(place, members)}>; "
        f"exactly one member of {', '.join(members)} is needed, e.g. `ppo: {{}}`",
    )
    for name in _WITH_MINIBATCHES:
        member = f"{place}.{name}"
        yield CelRule(
            f"algorithm.{name}.minibatchSize",
            f"!has({member}) || {member}.minibatchSize <= {member}.batchSize",
            f"<{member}.minibatchSize> is more than batchSize, which is <{member}.batchSize>; "
            "a minibatch is a part of a batch: lower minibatchSize or raise batchSize",
        )
    for name in _WITH_REPLAY:
        member = f"{place}.{name}"
        for field in ("batchSize", "learningStarts"):
            yield CelRule(
                f"algorithm.{name}.{field}",
                f"!has({member}) || {member}.{field} <= {member}.bufferSize",
                f"<{member}.{field}> is more than bufferSize, which is <{member}.bufferSize>; "
                f"the replay buffer would never hold so much: raise bufferSize or lower {field}",
            )
        yield CelRule(
            f"algorithm.{name}.learningStarts",
            f"!has({member}) || !has(self.stop.envSteps) || {member}.learningStarts <= self.stop.envSteps",
            f"<{member}.learningStarts> env steps are more than stop.envSteps, which is "
            "<self.stop.envSteps>; nothing would be learned: lower learningStarts or raise stop.envSteps",
        )


def _model_rules() -> Iterator[CelRule]:
    recurrent = "self.model.recurrent"
    for name in _WITH_MINIBATCHES:
        own = f"self.algorithm.{name}"
        yield CelRule(
            "model.recurrent.sequenceLength",
            f"!has({own}) || {recurrent}.kind == 'none' || {recurrent}.sequenceLength <= {own}.minibatchSize",
            f"<{recurrent}.sequenceLength> is more than algorithm.{name}.minibatchSize, which is "
            f"<{own}.minibatchSize>; a minibatch must hold a sequence",
        )
    yield distinct("policies")
    yield CelRule(
        "policies",
        "size(self.policies) == 0 || self.policies.exists(policy, policy.trained)",
        "none of them is trained; trained: true for at least one",
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
        for name, fields in _fields_of_algorithms():
            own = f"self.algorithm.{name}"
            if field not in fields:
                yield CelRule(
                    path, f"{absent} || !has({own})", f"algorithm.{name} has no such field; remove it"
                )
            elif field in _MAY_BE_ZERO:
                yield CelRule(
                    f"{path}.kind",
                    f"{absent} || {schedule}.kind != 'exponential' || !has({own}) || {own}.{field} > 0.0",
                    f"is exponential, and algorithm.{name}.{field} is 0, from where that leads nowhere; "
                    f"kind linear, or {field} above 0",
                )


def _fields_of_algorithms() -> Iterator[tuple[str, list[str]]]:
    for name, info in AlgorithmSpec.model_fields.items():
        model = next(it for it in info.annotation.__args__ if it is not type(None))  # type: ignore[union-attr]
        if model is not Custom:
            yield info.alias or name, names_of(model)
