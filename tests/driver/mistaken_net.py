"""A linear network, and the mistakes that one of a user's own may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rl_platform.models.net import Param

MISTAKES: dict[str, Callable[[Any, Any], Any]] = {
    "none": lambda heads, state: (heads, state),
    "no return": lambda heads, state: None,
    "no state": lambda heads, state: heads,
    "state is none": lambda heads, state: (heads, None),
    "no value": lambda heads, state: ({"policy": heads["policy"]}, state),
    "wide value": lambda heads, state: (heads | {"value": heads["policy"]}, state),
    "flat value": lambda heads, state: (heads | {"value": heads["value"][..., 0]}, state),
    "no such head": lambda heads, state: (heads["vaule"], state),
    "forgets": lambda heads, state: (heads, {}),
}


class MistakenNet:
    portable = True

    def __init__(
        self, inputs: int, heads: dict[str, int], mistake: str, remembers: bool, slash: str = "/"
    ) -> None:
        self.heads, self.mistake, self.slash = heads, mistake, slash
        self.state = {"sum": (inputs,)} if remembers else {}
        self.params = [Param(f"{name}{slash}w", (inputs, size), "orthogonal") for name, size in heads.items()]
        self.params += [Param(f"{name}{slash}b", (size,)) for name, size in heads.items()]

    def forward(self, ops: Any, params: Any, obs: Any, state: Any, first: Any) -> Any:
        heads = {
            name: ops.linear(obs["obs"], params[f"{name}{self.slash}w"], params[f"{name}{self.slash}b"])
            for name in self.heads
        }
        return MISTAKES[self.mistake](heads, state)


class TorchNet(MistakenNet):
    portable = False


class BareNet:
    """It answers, and has nothing to learn."""

    portable = True
    params: tuple[Param, ...] = ()

    def __init__(self, heads: dict[str, int]) -> None:
        self.heads, self.state = heads, dict[str, tuple[int, ...]]()

    def forward(self, ops: Any, params: Any, obs: Any, state: Any, first: Any) -> Any:
        column = obs["obs"][..., :1]
        return {name: ops.concat([column] * size, -1) for name, size in self.heads.items()}, state


def build(
    spaces: Any,
    heads: Any,
    mistake: str = "none",
    remembers: bool = False,
    portable: bool = True,
    bare: bool = False,
    slash: str = "/",
) -> MistakenNet | BareNet:
    if bare:
        return BareNet(heads)
    kind = MistakenNet if portable else TorchNet
    return kind(spaces.obs["obs"].shape[0], heads, mistake, remembers, slash)
