"""A user's own network, tried once on made-up observations before anything is sampled with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_platform.data.tree import ACTION_MASK
from rl_platform.models.actors import NumpyActor, make_actor
from rl_platform.models.numpy_ops import NUMPY
from rl_platform.models.policy import Policy

ROWS = 2
"""One alone would hide an axis that is missing or too many."""
NOTHING_TO_LEARN = "has no parameters that could learn; expected a Param in its params for each"
EXPECTED = "expected (heads, state): a dict of the heads by name, and one of the next state"


def is_own(policy: Policy) -> bool:
    """Whether its network is none of this library."""
    return not type(policy.net).__module__.startswith("rl_platform.")


def refuse_nothing_to_learn(policy: Policy, name: str) -> None:
    """Raises ValueError naming the network where neither it nor the distribution has a parameter."""
    if not policy.layout.size:
        raise ValueError(f"{name}: {type(policy.net).__name__} {NOTHING_TO_LEARN}")


def refuse_bad_forward(policy: Policy, name: str) -> None:
    """Raises ValueError naming the network, and what `forward` gives for rows of zeros that it must not."""
    which = f"{name}: {type(policy.net).__name__}.forward"
    try:
        answer = _answer(policy)
    except Exception as error:
        raise ValueError(
            f"{which}, called with {ROWS} rows of zeros, raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        what = "None" if answer is None else f"a {type(answer).__name__}"
        raise ValueError(f"{which} returned {what}; {EXPECTED}")
    heads, state = answer
    for said, part in ((heads, "heads"), (state, "state")):
        if not isinstance(said, Mapping):
            what = "None" if said is None else f"a {type(said).__name__}"
            raise ValueError(f"{which} returned {what} as its {part}; {EXPECTED}")
    sizes = {**policy.distribution.heads, **({policy.value: 1} if policy.value else {})}
    _refuse_wrong_shapes(f"{which} returned the heads", heads, {head: (n,) for head, n in sizes.items()})
    _refuse_wrong_shapes(f"{which} returned the state", state, policy.net.state)


def _refuse_wrong_shapes(
    which: str, leaves: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    for path, shape in shapes.items():
        if path not in leaves:
            raise ValueError(f"{which} {sorted(leaves)} without {path!r}; expected {sorted(shapes)}")
        got, expected = list(np.shape(leaves[path])), [ROWS, *shape]
        if got != expected:
            raise ValueError(f"{which} with {path!r} of shape {got} for {ROWS} rows; expected {expected}")


def _answer(policy: Policy) -> object:
    """In what it will sample with: numpy, or torch."""
    net, spaces = policy.net, policy.spaces
    flat = policy.layout.initial(0)
    obs = {
        path: np.zeros((ROWS, *leaf.shape), leaf.dtype)
        for path, leaf in spaces.obs.items()
        if path != ACTION_MASK
    }
    state = {path: np.zeros((ROWS, *shape), np.float32) for path, shape in net.state.items()}
    first = np.ones(ROWS, bool)
    if isinstance(make_actor(policy), NumpyActor):
        return net.forward(NUMPY, policy.layout.views(flat), obs, state, first)
    import torch

    from rl_platform.models.torch_ops import TORCH

    with torch.inference_mode():
        return net.forward(
            TORCH,
            policy.layout.views(torch.from_numpy(flat)),
            {path: torch.from_numpy(leaf) for path, leaf in obs.items()},
            {path: torch.from_numpy(leaf) for path, leaf in state.items()},
            torch.from_numpy(first),
        )
