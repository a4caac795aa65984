"""A policy that was loaded, acting on one observation at a time, and the memory that it has in an episode."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from rl_platform.data.spaces import Spaces
from rl_platform.data.tree import Tree
from rl_platform.models.actors import Actor
from rl_platform.serving.observations import decode_action, encode_observation

HOW = (
    "begin each episode with state = policy.initial_state() and call policy.act(observation, state), which "
    "moves the state on"
)


class PolicyState:
    """The memory of a recurrent policy in one episode. `ServedPolicy.act` moves it on in place."""

    def __init__(self, tensors: Tree, weights: str) -> None:
        self.tensors = tensors
        """``<path>`` → float32 [1, ...]."""
        self.weights = weights
        """Digest of the weights that remember so: to others of the same sizes the numbers mean nothing."""

    def reset(self) -> None:
        """Forget: a new episode begins."""
        self.tensors = {path: np.zeros_like(leaf) for path, leaf in self.tensors.items()}


class ServedPolicy:
    """A policy with its weights. `act` for one observation; `actor` for batches.

    ``weights`` gives the flat ones; it is asked only by a policy with memory, whose states name them.
    """

    def __init__(self, actor: Actor, uri: str, weights: Callable[[], np.ndarray]) -> None:
        self.actor = actor
        self.uri = uri
        self._draws = np.random.default_rng()
        self._memory = {path: leaf.shape for path, leaf in actor.initial_state(1).items()}
        self._weights = _digest(weights()) if self._memory else ""

    @property
    def spaces(self) -> Spaces:
        return self.actor.spaces

    @property
    def recurrent(self) -> bool:
        return bool(self._memory)

    def initial_state(self) -> PolicyState:
        """What a policy with memory knows before an episode; of one without memory it is empty."""
        return PolicyState(self.actor.initial_state(1), self._weights)

    def act(
        self,
        observation: Any,
        state: PolicyState | None = None,
        deterministic: bool = True,
        seed: int | None = None,
        *,
        action_mask: Any = None,
    ) -> Any:
        """The action for one observation, both as the environment has them: array, number, dict, tuple.

        A policy with memory needs ``state``, one object per episode from `initial_state`, and moves it on.
        Without ``deterministic`` the action is drawn, from ``seed`` where one is given. ``action_mask`` is
        for environments that give it in ``info`` and not in the observation.
        Raises ObservationError, or ValueError where a policy with memory is given no state, where the state
        is another policy's (one of the same weights, loaded again, is the same policy), and where ``seed`` is
        negative.
        """
        memory = self._remembered(state)
        tensors = encode_observation(self.spaces, observation, action_mask)
        noise = None
        if not deterministic:
            noise = self.actor.draw_noise(self._draws if seed is None else _drawing(seed), (1,))
        act = self.actor.act(tensors, memory, None, noise)
        if state is not None:
            state.tensors = dict(act.state)
        return decode_action(self.spaces, act.env_action)

    def _remembered(self, state: PolicyState | None) -> Tree:
        if state is None:
            if self.recurrent:
                raise ValueError(f"this policy has a memory: {HOW}")
            return {}
        if not isinstance(state, PolicyState):
            raise ValueError(
                f"state is {state!r:.60} ({type(state).__name__}); expected what policy.initial_state() gives"
            )
        shapes = {path: np.shape(leaf) for path, leaf in state.tensors.items()}
        if shapes != self._memory:
            raise ValueError(
                f"state holds {_told(shapes)}, and this policy remembers {_told(self._memory)}: it is of "
                f"another policy; {HOW}"
            )
        if state.weights != self._weights:
            raise ValueError(
                "state was made by a policy with other weights, to which the same numbers mean something "
                f"else; {HOW}"
            )
        return state.tensors


def _drawing(seed: int) -> np.random.Generator:
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise ValueError(f"seed is {seed!r}; expected a whole number of 0 or more, or None") from None


def _told(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{path} {list(shape)}" for path, shape in sorted(shapes.items())) or "nothing"


def _digest(flat: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(flat, np.float32).data).hexdigest()
