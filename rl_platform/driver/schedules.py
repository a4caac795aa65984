"""Fields of an algorithm that change over the run, as ``spec.schedules`` asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic.alias_generators import to_camel

SCHEDULED = ("learning_rate", "clip_range", "entropy_coefficient")


def schedule_of(
    config: Any, schedules: Any, total_env_steps: int | None
) -> Callable[[int], dict[str, float]]:
    """env steps → the present value of every schedulable field that the algorithm has.

    A schedule without ``steps`` ends with ``stop.envSteps``. Raises ValueError where neither is given, and
    where a field is scheduled that the algorithm does not have.
    """
    rules: dict[str, Callable[[int], float]] = {}
    for name in SCHEDULED:
        field = to_camel(name)  # as a manifest spells it
        initial = config.get(field) if isinstance(config, dict) else getattr(config, name, None)
        rule = getattr(schedules, name, None)
        if initial is None:
            if rule is not None:
                raise ValueError(f"spec.schedules names {field}, which this algorithm does not have")
            continue
        rules[name] = (
            _constant(float(initial)) if rule is None else _changing(field, initial, rule, total_env_steps)
        )
    rules.setdefault("learning_rate", _constant(3e-4))
    return lambda env_steps: {name: value(env_steps) for name, value in rules.items()}


def _constant(value: float) -> Callable[[int], float]:
    return lambda env_steps: value


def _changing(field: str, initial: float, rule: Any, total_env_steps: int | None) -> Callable[[int], float]:
    if rule.kind == "constant":
        return _constant(initial)
    steps = rule.steps or total_env_steps
    if not steps:
        raise ValueError(
            f"spec.schedules.{field} needs steps, because spec.stop.envSteps does not say when the run ends"
        )
    final = float(rule.final)
    if rule.kind == "exponential":
        if final <= 0 or initial <= 0:
            raise ValueError(
                f"spec.schedules.{field} is exponential, from {initial:g} to {final:g}; "
                "expected both above 0, or kind linear"
            )
        ratio = final / initial
        return lambda env_steps: float(initial * ratio ** min(1.0, env_steps / steps))
    return lambda env_steps: initial + (final - initial) * min(1.0, env_steps / steps)
