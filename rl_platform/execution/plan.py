"""A plan is a value: sources, operators, and the one loop that runs them.

    rollouts(run, ...).then(prepare(...), train_one_step(...), publish_weights(run), report(run)).as_plan("x")

`describe` prints it, `validate` refuses a wrong one before anything starts, iterating runs it. Items are
pushed depth first through plain calls, so the traceback of a failing operator is the plan's own. Nothing is
polled: where a source works elsewhere, the runner blocks until the first outstanding reference is ready, and
says after `IDLE_SECONDS` without one that it is idle, so that the driver can look at what it was asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rl_platform.data.tree import Tree
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind, Ref
from rl_platform.execution.parts import Edge, Op, PlanError, Source, State
from rl_platform.execution.publication import refuse_unpublished

Waiter = Callable[[list[Ref], float], Ref | None]
"""The first of the references that is ready, or None after so many seconds."""
IDLE_SECONDS = 1.0
IDLE = "idle"
"""Marks a result that says only that there was none for a while: the driver may look at the clock."""
HEARTBEAT_ENV_STEPS = 2048
"""A plan whose output is silent (a replay buffer filling up) still hands the driver a result this often."""


class Pace(Protocol):
    """Which flow is due, or which are, whatever comes first: by the counters and by what is on its way."""

    def due(self, flows: Mapping[str, Flow], counters: Counters) -> tuple[str, ...]: ...
    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Flow:
    """A source and the operators behind it."""

    source: Source
    ops: tuple[Op, ...] = ()

    @property
    def gives(self) -> Kind:
        return self.ops[-1].gives if self.ops else self.source.gives

    def then(self, *ops: Op) -> Flow:
        """Append operators. Raises PlanError where one does not take what the one before gives."""
        flow = self
        for op in ops:
            before = flow.ops[-1].name if flow.ops else flow.source.name
            if flow.gives not in op.takes:
                takes = " or ".join(sorted(op.takes))
                raise PlanError(f"{op.name} takes {takes}, but {before} gives {flow.gives}")
            flow = Flow(flow.source, (*flow.ops, op))
        return flow

    def as_plan(self, name: str) -> Plan:
        """This flow alone."""
        return Plan({name: self}, output=name)


@dataclass
class Plan:
    """Flows, which of them the driver sees, and how they alternate."""

    flows: dict[str, Flow]
    output: str
    pace: Pace | None = None
    wait: Waiter | None = None
    counters: Counters = field(default_factory=Counters)
    edges: dict[str, Edge] = field(default_factory=dict)
    reported: int = 0  # env steps at the last result

    def names(self) -> list[str]:
        """``flow/operator`` for every source and operator: the labels of metrics, errors and snapshots."""
        return [f"{flow}/{part}" for flow, f in self.flows.items() for part in _parts(f)]

    def validate(self) -> Plan:
        """Raise PlanError on two parts of one name, no output, pace or publication. Returns itself."""
        names = self.names()
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PlanError(f"the plan has two parts named {twice[0]}: give one another name with .named()")
        if self.output not in self.flows:
            raise PlanError(f"output is {self.output!r}, but the flows are {sorted(self.flows)}")
        if self.flows[self.output].gives is not Kind.RESULT:
            raise PlanError(
                f"the output {self.output} must end in report(), it gives {self.flows[self.output].gives}"
            )
        if len(self.flows) > 1 and self.pace is None:
            raise PlanError(f"{len(self.flows)} flows run side by side: say in which ratio with pace=")
        flows = self.flows.values()
        refuse_unpublished([flow.source for flow in flows], [it for flow in flows for it in flow.ops])
        return self

    def describe(self) -> str:
        """The plan as text, one line per part: where it runs, what it takes and gives."""
        lines = []
        for name, flow in self.flows.items():
            mark = " (output)" if name == self.output and len(self.flows) > 1 else ""
            lines.append(f"{name}{mark}")
            parts: list[Source | Op] = [flow.source, *flow.ops]
            width = max(len(_call(part)) for part in parts)
            for i, part in enumerate(parts):
                arrow = "└─" if i == len(parts) - 1 else "├─"
                lines.append(f"  {arrow} {_call(part):<{width}}  → {part.gives:<9} on {part.site}")
        if self.pace is not None:
            lines.append(f"pace: {self.pace}")
        return "\n".join(lines)

    def __iter__(self) -> Iterator[Item]:
        """Run for ever; each item is a Result. Stop by leaving the loop."""
        self.validate()
        self.edges = {name: self.edges.get(name, Edge()) for name in self.names()}
        heard = time.monotonic()
        while True:
            name, item = self._next_item()
            results = [] if item is None else self._push(name, self.flows[name].ops, item)
            if name != self.output:
                silent = self.counters.env_steps - self.reported >= HEARTBEAT_ENV_STEPS
                results = [Item(Kind.RESULT)] if silent else []
            yield from self._reported(results)
            if results:
                heard = time.monotonic()
            elif item is None or time.monotonic() - heard >= IDLE_SECONDS:
                yield Item(Kind.RESULT, info={IDLE: True})
                heard = time.monotonic()

    def depths(self) -> dict[str, int]:
        """What waits now at each source and operator: for an answer, or for the rest of its batch."""
        found: dict[str, int] = {}
        for name, flow in self.flows.items():
            found[f"{name}/{flow.source.name}"] = flow.source.depth
            found |= {f"{name}/{op.name}": op.state.depth if op.state else 0 for op in flow.ops}
        return found

    def snapshot(self) -> tuple[dict[str, Any], Tree]:
        """Counters and the state of every part that has one; what sources have in flight is awaited."""
        self.settle()
        operators: dict[str, Any] = {}
        arrays: Tree = {}
        for name, part in self._states().items():
            operators[name], leaves = part.snapshot()
            arrays |= {f"{name}|{leaf}": array for leaf, array in leaves.items()}
        state = {"counters": self.counters.snapshot(), "operators": operators, "reported": self.reported}
        return state, arrays

    def settle(self) -> None:
        """Await what sources have in flight; they hold it."""
        for flow in self.flows.values():
            flow.source.settle(self.counters)

    def restore(self, state: dict[str, Any], arrays: Tree) -> None:
        """Put a snapshot back. Raises PlanError where it belongs to another plan."""
        own = self._states()
        if set(own) != set(state["operators"]):
            raise PlanError(
                f"the checkpoint was written by a plan with the stateful parts {sorted(state['operators'])}, "
                f"this plan has {sorted(own)}: restore it with the algorithm and version that wrote it"
            )
        self.counters.restore(state["counters"])
        self.reported = state["reported"]
        for name, part in own.items():
            prefix = f"{name}|"
            leaves = {p.removeprefix(prefix): leaf for p, leaf in arrays.items() if p.startswith(prefix)}
            part.restore(state["operators"][name], leaves)

    def _states(self) -> dict[str, State]:
        states: dict[str, State] = {}
        for name, flow in self.flows.items():
            parts: list[Source | Op] = [flow.source, *flow.ops]
            states |= {f"{name}/{part.name}": part.state for part in parts if part.state is not None}
        return states

    def _next_item(self) -> tuple[str, Item | None]:
        """The flow that is due, and what its source gives; None where nothing came in time.

        Sources of the other flows are asked to issue too: their work goes on meanwhile.
        """
        for flow in self.flows.values():
            flow.source.issue()
        names = (self.output,) if self.pace is None else self.pace.due(self.flows, self.counters)
        owners: dict[Ref, str] = {}
        began = time.perf_counter()
        for name in names:
            refs = self.flows[name].source.waits()
            if not refs:
                return name, self._taken(name, None, began)
            owners |= dict.fromkeys(refs, name)
        if self.wait is None:
            source = f"{names[0]}/{self.flows[names[0]].source.name}"
            raise PlanError(f"{source} works outside this process: the plan needs a waiter")
        ready = self.wait(list(owners), IDLE_SECONDS)
        if ready is None:
            return names[0], None
        return owners[ready], self._taken(owners[ready], ready, began)

    def _taken(self, name: str, ready: Ref | None, began: float) -> Item | None:
        source = self.flows[name].source
        item = source.take(self.counters, ready)
        if item is not None:
            self._account(f"{name}/{source.name}", item, began)
        return item

    def _push(self, flow: str, ops: tuple[Op, ...], item: Item) -> list[Item]:
        items = [item]
        for position, op in enumerate(ops):
            if len(items) != 1:
                return [out for one in items for out in self._push(flow, ops[position:], one)]
            began = time.perf_counter()
            items = list(op.fn(items[0], self.counters))
            self._account(f"{flow}/{op.name}", item, began)
        return items

    def _reported(self, results: list[Item]) -> Iterator[Item]:
        for result in results:
            self.counters.iterations += 1
            self.reported = self.counters.env_steps
            yield result

    def _account(self, name: str, item: Item, began: float) -> None:
        edge, now = self.edges[name], time.perf_counter()
        edge.items += 1
        edge.env_steps += item.env_steps
        edge.seconds += now - began
        edge.age_seconds = time.monotonic() - item.born if item.born else 0.0


def _parts(flow: Flow) -> list[str]:
    return [flow.source.name, *(op.name for op in flow.ops)]


def _call(part: Source | Op) -> str:
    return f"{part.name}({part.detail})"
