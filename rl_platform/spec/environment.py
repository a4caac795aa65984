"""``spec.environment``: which environment, how it is made, what is put around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from rl_platform.spec.fields import Entrypoint, Fault, ListOf, Seconds, SpecModel, Text
from rl_platform.spec.free_json import JsonMap

EnvironmentKind = Literal["gymnasium", "pettingzooParallel", "pettingzooAec", "external"]


class Wrapper(SpecModel):
    """Called with the environment as its first argument; gives an environment."""

    entrypoint: Entrypoint = Field(description="`module:callable`.")
    kwargs: JsonMap = Field(default_factory=dict, description="Keyword arguments of the callable.")


class EnvironmentSpec(SpecModel):
    """One environment; every lane gets its own."""

    kind: EnvironmentKind = Field(default="gymnasium", description="Which interface the environment has.")
    id: Text | None = Field(default=None, description="A registered Gymnasium id, such as CartPole-v1.")
    entrypoint: Entrypoint | None = Field(
        default=None, description="`module:callable` that makes the environment."
    )
    kwargs: JsonMap = Field(default_factory=dict, description="Keyword arguments for making it.")
    max_episode_steps: int | None = Field(
        default=None, ge=1, le=10**9, description="Truncate longer episodes."
    )
    wrappers: Annotated[ListOf[Wrapper], Field(max_length=32)] = Field(
        default=(), description="Put around the environment, the first one innermost."
    )
    vectorized: bool = Field(
        default=False, description="It makes a gymnasium.vector.VectorEnv, given the keyword num_envs."
    )
    step_timeout_seconds: Seconds = Field(
        default=60.0, description="A step or reset that takes longer is a fault."
    )
    max_set_size: int = Field(
        default=64, ge=1, le=65_536, description="Elements kept of a Sequence observation; more is a fault."
    )

    def faults(self) -> Iterator[Fault]:
        if self.kind == "external":
            if self.id is not None or self.entrypoint is not None:
                yield Fault((), "an external environment is not made here", "remove id and entrypoint")
        elif (self.id is None) == (self.entrypoint is None):
            found = (
                "neither id nor entrypoint is set" if self.id is None else "id and entrypoint are both set"
            )
            yield Fault(
                (), found, 'exactly one is needed, e.g. `id: CartPole-v1` or `entrypoint: "my_module:make"`'
            )
        elif self.kind.startswith("pettingzoo") and self.id is not None:
            hint = 'use entrypoint, e.g. "pettingzoo.butterfly.pistonball_v6:parallel_env"'
            yield Fault(("id",), f"{self.id!r} is looked up in Gymnasium, and kind is {self.kind}", hint)
        if self.vectorized and self.kind != "gymnasium":
            yield Fault(
                ("vectorized",),
                f"is true, and kind is {self.kind}",
                "only kind gymnasium has vector environments",
            )

    @property
    def name(self) -> str:
        """What messages call the environment."""
        return self.id or self.entrypoint or self.kind
