"""What an objective must return. One of a user's own may not: asked once, before its first optimizer step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rl_platform.workers.objective import Objective, name_of

if TYPE_CHECKING:
    import torch

EXPECTED = "expected (loss, statistics): a tensor of one number, and a dict"


class BadObjective(ValueError):
    """The loss cannot be learned from; the message names its function and what came of it."""


def first_answer(objective: Objective, *arguments: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """What it returns. Raises BadObjective where that is no answer, or a function of a user's own raised."""
    import torch

    try:
        answer = objective(*arguments)
    except (torch.OutOfMemoryError, torch.AcceleratorError):  # not what is written there
        raise
    except Exception as error:
        if name_of(objective).startswith("rl_platform."):
            raise
        problem = f"raised {type(error).__name__}: {error}"
        raise BadObjective(f"the loss function {name_of(objective)} {problem}") from error
    refuse_bad_answer(objective, answer)
    return answer


def refuse_bad_answer(objective: Objective, answer: object) -> None:
    """Raises BadObjective where autograd could not differentiate the loss, or there is none."""
    import torch

    problem: str | None = None
    if isinstance(answer, torch.Tensor):
        problem = f"returned only a tensor; {EXPECTED}"
    elif not isinstance(answer, tuple | list) or len(answer) != 2:
        what = f"{len(answer)} things" if isinstance(answer, tuple | list) else _kind(answer)
        problem = f"returned {what}; {EXPECTED}"
    else:
        loss, stats = answer
        if not isinstance(loss, torch.Tensor):
            problem = f"returned {_kind(loss)} as its loss; {EXPECTED}"
        elif loss.numel() != 1:
            problem = f"returned a loss of shape {list(loss.shape)}; {EXPECTED}, such as loss.mean()"
        elif not loss.requires_grad:
            problem = (
                "returned a loss that no gradient comes from, as it depends on no parameter; expected one of "
                "policy.heads(params, batch, knobs) without detach(), item() or no_grad()"
            )
        elif not isinstance(stats, Mapping):
            problem = f"returned {_kind(stats)} as its statistics; {EXPECTED}"
    if problem is not None:
        raise BadObjective(f"the loss function {name_of(objective)} {problem}")


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
