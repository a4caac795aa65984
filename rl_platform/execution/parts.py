"""What a plan is made of: sources, operators, what operators remember, what is counted of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from rl_platform.data.tree import Tree
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind, Ref


class PlanError(ValueError):
    """The plan is wired wrongly; the message names the operators."""


class State(Protocol):
    """What an operator remembers between items. Goes to JSON and named trees, and comes back."""

    @property
    def depth(self) -> int:
        """Items that it holds."""

    def snapshot(self) -> tuple[dict[str, Any], Tree]: ...
    def restore(self, state: dict[str, Any], arrays: Tree) -> None: ...


@dataclass(frozen=True, slots=True)
class Op:
    """An operator: from one item to none (still accumulating) or some."""

    name: str
    takes: frozenset[Kind]
    gives: Kind
    fn: Callable[[Item, Counters], Sequence[Item]]
    site: str = "driver"  # where the work runs: driver, learner, replay, rollouts
    detail: str = ""  # for describe()
    state: State | None = None
    publishes: bool = False  # the learner's weights, to who samples

    def named(self, name: str) -> Op:
        return replace(self, name=name)


class Source(Protocol):
    """Where items come from. A source in this process waits for nothing and computes in `take`."""

    @property
    def name(self) -> str: ...

    @property
    def gives(self) -> Kind: ...

    @property
    def site(self) -> str: ...

    @property
    def detail(self) -> str: ...

    @property
    def state(self) -> State | None:
        """What it holds back from before a checkpoint; see `settle`."""

    @property
    def depth(self) -> int:
        """Items that wait in it, or are on their way."""

    @property
    def empty(self) -> bool:
        """Whether `take` could give nothing, whenever it was called."""

    def issue(self) -> None:
        """Start work elsewhere, as far as the source's credit allows."""

    def waits(self) -> list[Ref]:
        """References outstanding elsewhere, of which `take` can use any; empty where it needs none."""

    def take(self, counters: Counters, ready: Ref | None = None) -> Item | None:
        """The next finished item, of reference ``ready`` where `waits` gave some; only now do the counters
        grow. None where nothing came of it.
        """

    def settle(self, counters: Counters) -> None:
        """Await what is outstanding elsewhere, and hold it for the next calls of `take`."""


@dataclass(slots=True)
class Edge:
    """What passed one operator; the runner keeps one per name."""

    items: int = 0
    env_steps: int = 0
    seconds: float = 0.0  # inside the operator
    age_seconds: float = 0.0  # of the last item, since its data was asked for
