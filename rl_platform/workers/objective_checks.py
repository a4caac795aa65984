"""What an objective must return. One of a user's own may not: asked once, before its first optimizer step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from rl_platform.models.net_checks import NOTHING_TO_LEARN
from rl_platform.models.policy import Policy
from rl_platform.workers.objective import Objective, name_of

if TYPE_CHECKING:
    import torch

EXPECTED = "expected (loss, statistics): a tensor of one number, and a dict"


class BadObjective(ValueError):
    """The loss cannot be learned from; the message names its function and what came of it, or the network
    that has nothing to learn.
    """


def first_answer(
    objective: Objective, rows: int | None, policy: Policy, *arguments: Any
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """What it returns. Raises BadObjective where that is no answer, or a function of a user's own raised.

    ``rows``: a statistic may be so many numbers, as somebody wants them of every row; None: nobody does.
    """
    if not policy.layout.size:
        raise BadObjective(f"the network {type(policy.net).__name__} {NOTHING_TO_LEARN}")
    with _blamed(objective, "raised"):
        answer = objective(policy, *arguments)
    refuse_bad_answer(objective, answer, rows)
    return answer


def first_backward(objective: Objective, loss: torch.Tensor) -> None:
    """Differentiate it. Raises BadObjective: what a function has changed in place is noticed only now."""
    what = "returned a loss that cannot be differentiated; expected no tensor to be changed in place:"
    with _blamed(objective, what):
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation for it


def refuse_bad_answer(objective: Objective, answer: object, rows: int | None = None) -> None:
    """Raises BadObjective where autograd could not differentiate the loss, or there is none, and where a
    statistic is no number.
    """
    import torch

    problem: str | None = None
    if isinstance(answer, torch.Tensor):
        problem = f"returned only a tensor; {EXPECTED}"
    elif not isinstance(answer, tuple | list) or len(answer) != 2:
        what = f"{len(answer)} things" if isinstance(answer, tuple | list) else _kind(answer)
        problem = f"returned {what}; {EXPECTED}"
    else:
        loss, stats = answer
        problem = _problem_of_loss(loss)
        # What the library's own say of every row may be left unread.
        if problem is None and _is_own(objective):
            problem = _problem_of_statistics(stats, rows)
    if problem is not None:
        raise BadObjective(f"the loss function {name_of(objective)} {problem}")


def _problem_of_loss(loss: object) -> str | None:
    import torch

    if not isinstance(loss, torch.Tensor):
        return f"returned {_kind(loss)} as its loss; {EXPECTED}"
    if loss.numel() != 1:
        return f"returned a loss of shape {list(loss.shape)}; {EXPECTED}, such as loss.mean()"
    if loss.is_complex():
        return f"returned a loss of complex numbers; {EXPECTED} that is real, such as loss.abs()"
    if not loss.requires_grad:
        return (
            "returned a loss that no gradient comes from, as it depends on no parameter; expected one of "
            "policy.heads(params, batch, knobs) without detach(), item() or no_grad()"
        )
    return None


def _problem_of_statistics(stats: object, rows: int | None) -> str | None:
    """Whether one is NaN is not asked: a mean of nothing is."""
    import torch

    if not isinstance(stats, Mapping):
        return f"returned {_kind(stats)} as its statistics; {EXPECTED}"
    expected = "expected a number" if rows is None else f"expected a number, or [{rows}], one of every row"
    for name, value in stats.items():
        if not isinstance(value, torch.Tensor | np.ndarray | np.generic):
            if not isinstance(value, int | float):
                return f"returned {_kind(value)} as its statistic {name!r}; {expected}"
        elif value.is_complex() if isinstance(value, torch.Tensor) else value.dtype.kind not in "biuf":
            return f"returned {_kind(value)} of {value.dtype} as its statistic {name!r}; {expected}"
        elif value.ndim and list(value.shape) != [rows]:
            shape = list(value.shape)
            return f"returned its statistic {name!r} of shape {shape}; {expected}, such as its mean()"
    return None


def _is_own(objective: Objective) -> bool:
    return not name_of(objective).startswith("rl_platform.")


@contextmanager
def _blamed(objective: Objective, what: str) -> Iterator[None]:
    """Raises BadObjective for what a function of a user's own has caused."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, torch.AcceleratorError):  # not what is written there
        raise
    except Exception as error:
        if not _is_own(objective):
            raise
        problem = f"{what} {type(error).__name__}: {error}"
        raise BadObjective(f"the loss function {name_of(objective)} {problem}") from error


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
