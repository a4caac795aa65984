"""How a fault is worded: which environment, which step of its episode, which field, what was wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from rl_platform.data.shortened import shortened
from rl_platform.envs.adapter import EnvironmentFault

SCALARS = frozenset({float, int, bool, np.float64, np.float32, np.float16, np.int64, np.int32, np.bool_})
"""Types of a reward or an end flag that need no closer look."""
FLAGS = frozenset({bool, np.bool_})


class BadEnvironment(ValueError):
    """The environment cannot be made as the job describes it; the message names the field."""


class FieldFault(ValueError):
    """One field of what an environment returned is wrong; an adapter adds environment and step."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field, self.problem = field, problem


RAISED = (Exception, SystemExit, GeneratorExit)
"""What an environment may raise: a simulator that leaves the process is at fault too."""
EXPECTED = {
    "reset": "(observation, info)",
    "step": "(observation, reward, terminated, truncated, info)",
}


def fault_at(name: str, env: int, step: int | str, error: BaseException | FieldFault) -> EnvironmentFault:
    """The fault that names all of it, to be raised ``from error``; one that is a fault already stays so.

    ``step`` counts env steps of the running episode, or says ``start``, ``reset`` or ``restore``.
    """
    if isinstance(error, EnvironmentFault):
        return error
    where = f"environment {name!r} number {env}, " + (f"step {step}" if isinstance(step, int) else step)
    if isinstance(error, FieldFault):
        return EnvironmentFault(f"{where}, field {error.field}: {error.problem}")
    what = "step" if isinstance(step, int) else "constructor" if step == "start" else step
    if isinstance(error, ValueError | TypeError) and what in EXPECTED and _is_ours(error):
        return EnvironmentFault(f"{where}, field {what}: did not return {EXPECTED[what]}: {words_of(error)}")
    if isinstance(error, SystemExit):
        return EnvironmentFault(f"{where}, field {what}: called sys.exit({shortened(repr(error.code))})")
    return EnvironmentFault(f"{where}, field {what}: raised {type(error).__name__}: {words_of(error)}")


def words_of(error: BaseException) -> str:
    """What an exception says, which may be long; one of an environment's own may not even be able to."""
    try:
        return shortened(str(error))
    except Exception as worse:  # noqa: BLE001 - whatever it is, the first fault is the one to tell
        return f"(whose message raises {type(worse).__name__})"


def _is_ours(error: BaseException) -> bool:
    """Raised where what was returned is taken apart, not within the environment."""
    traceback = error.__traceback__
    return "unpack" in words_of(error) and traceback is not None and traceback.tb_next is None


def check_reward(reward: Any) -> float:
    """A reward as one number, finite or not. Raises FieldFault where it is none."""
    number: Any = reward
    if type(number) in SCALARS:
        return float(number)
    if isinstance(reward, np.ndarray | np.generic) and reward.shape == () and reward.dtype.kind in "biuf":
        return float(number)
    shape = f" of shape {reward.shape}" if isinstance(reward, np.ndarray) else ""
    raise FieldFault("reward", f"is {type(reward).__name__}{shape} ({reward!r:.60}); expected one number")


def check_flag(field: str, flag: Any) -> bool:
    """``terminated`` or ``truncated`` as a bool. Raises FieldFault for anything that is not bool-like."""
    if flag.__class__ in FLAGS:
        return bool(flag)
    if isinstance(flag, int | np.integer | np.ndarray) and np.shape(flag) == () and flag in (0, 1):
        return bool(flag)
    raise FieldFault(field, f"is {flag!r:.60} ({type(flag).__name__}); expected true or false")
