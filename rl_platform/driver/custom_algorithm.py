"""A user's own algorithm, whose functions say by name what is wrong with what they return or raise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.execution.parts import PlanError
from rl_platform.execution.plan import Flow, Plan
from rl_platform.execution.run import Run
from rl_platform.models.policy import Policy
from rl_platform.workers.learner import Learning
from rl_platform.workers.objective import name_of


class BadAlgorithm(ValueError):
    """A function of a custom algorithm returned what it must not, or raised; the message names it."""


def named_functions(algorithm: Algorithm, entrypoint: str) -> Algorithm:
    """The same, whose functions raise BadAlgorithm. What `policy` and `refuse` raise as ValueError stays: it
    says that the environment or the model is not supported.
    """
    field = f"spec.algorithm.custom.entrypoint {entrypoint!r}"

    def policy(*arguments: Any) -> Policy:
        try:
            made = algorithm.policy(*arguments)
        except ValueError:
            raise
        except Exception as error:
            raise BadAlgorithm(_raised(field, "policy", algorithm.policy, error)) from error
        if not isinstance(made, Policy):
            raise BadAlgorithm(_returned(field, "policy", algorithm.policy, made, "a Policy"))
        return made

    def learning(config: Any) -> Learning:
        made = _called(field, "learning", algorithm.learning, config)
        if not isinstance(made, Learning):
            raise BadAlgorithm(_returned(field, "learning", algorithm.learning, made, "a Learning"))
        return made

    def plan(run: Run, config: Any) -> Plan:
        made = _called(field, "plan", algorithm.plan, run, config)
        if not isinstance(made, Plan):
            hint = "end it with .as_plan(name)" if isinstance(made, Flow) else "return flow.as_plan(name)"
            raise BadAlgorithm(_returned(field, "plan", algorithm.plan, made, f"a Plan: {hint}"))
        try:
            return made.validate()
        except PlanError as error:
            raise BadAlgorithm(f"{field}: plan, {name_of(algorithm.plan)}: {error}") from error

    return replace(algorithm, policy=policy, learning=learning, plan=plan)


def _called(field: str, part: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        raise BadAlgorithm(_raised(field, part, function, error)) from error


def _raised(field: str, part: str, function: Callable[..., Any], error: Exception) -> str:
    return f"{field}: {part}, {name_of(function)}, raised {type(error).__name__}: {error}"


def _returned(field: str, part: str, function: Callable[..., Any], made: object, expected: str) -> str:
    what = "None" if made is None else f"a {type(made).__name__}"
    return f"{field}: {part}, {name_of(function)}, returned {what}; expected {expected}"
