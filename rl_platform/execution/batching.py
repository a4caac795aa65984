"""Between sampling and learning: choose, prepare and gather experience. No array is touched here, only
references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rl_platform.data.recipe import DataFn
from rl_platform.data.trajectory_codec import decode_trajectory, encode_trajectory
from rl_platform.data.tree import Tree
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind
from rl_platform.execution.parts import Op
from rl_platform.workers.fragment import fetched
from rl_platform.workers.moments_codec import decode_moments, encode_moments


def select_experiences(policies: Sequence[str]) -> Op:
    """Keep the trajectories of these policies; steps of the others (frozen ones) are counted as dropped."""
    chosen = frozenset(policies)

    def select(item: Item, counters: Counters) -> list[Item]:
        for trajectory in item.data:
            if trajectory.policy not in chosen:
                counters.drop("frozen policy", trajectory.steps)
        item.data = tuple(trajectory for trajectory in item.data if trajectory.policy in chosen)
        return [item]

    return Op(
        "select_experiences",
        frozenset({Kind.ROLLOUT}),
        Kind.ROLLOUT,
        select,
        detail=", ".join(sorted(chosen)),
    )


def concat_batches(*, env_steps: int) -> Op:
    """Gather fragments until they hold ``env_steps`` env steps; emits one batch of all of them. Ticks that an
    environment spent on its reset count too: they are no reason to wait for another fragment.

    Fragments of one round stay together: where workers come and go a batch may be larger, but what was
    sampled in step is not left over for the next batch, by then of an older policy.
    """
    state = Gathered()

    def gather(item: Item, counters: Counters) -> list[Item]:
        del counters
        state.items.append(item)
        if item.more or sum(max(each.env_steps, each.room) for each in state.items) < env_steps:
            return []
        items, state.items = state.items, []
        return [_joined(items)]

    return Op(
        "concat_batches",
        frozenset({Kind.ROLLOUT}),
        Kind.BATCH,
        gather,
        "driver",
        f"{env_steps} env steps",
        state,
    )


def prepare(*recipe: DataFn) -> Op:
    """Attach the steps of a recipe, which whoever consumes the data runs.

    It takes batches, so that fragments which wait for their batch are plain data and can be saved.
    """

    def attach(item: Item, counters: Counters) -> list[Item]:
        del counters
        item.recipe = (*item.recipe, *recipe)
        return [item]

    names = ", ".join(step.__qualname__.split(".")[0] for step in recipe)
    return Op("prepare", frozenset({Kind.BATCH}), Kind.BATCH, attach, "learner", names)


def _joined(items: list[Item]) -> Item:
    agent_steps: dict[str, int] = {}
    for item in items:
        for policy, steps in item.agent_steps.items():
            agent_steps[policy] = agent_steps.get(policy, 0) + steps
    return Item(
        Kind.BATCH,
        tuple(trajectory for item in items for trajectory in item.data),
        sum(item.env_steps for item in items),
        agent_steps,
        source=items[-1].source,
        sequence=items[-1].sequence,
        version=min(item.version for item in items),
        born=min(item.born for item in items),
        info={"moments": [moments for item in items for moments in item.info.get("moments", ())]},
    )


@dataclass(slots=True)
class Gathered:
    """Fragments that wait for the rest of their batch."""

    items: list[Item] = field(default_factory=list)

    @property
    def depth(self) -> int:
        return len(self.items)

    def snapshot(self) -> tuple[dict[str, Any], Tree]:
        documents: list[dict[str, Any]] = []
        arrays: Tree = {}
        for position, item in enumerate(self.items):
            trajectories = []
            for index, trajectory in enumerate(item.data):
                document, leaves = encode_trajectory(fetched(trajectory))
                trajectories.append(document)
                arrays |= {f"{position}.{index}.{name}": leaf for name, leaf in leaves.items()}
            moments, leaves = encode_moments(item.info.get("moments", ()))
            arrays |= {f"{position}.{name}": leaf for name, leaf in leaves.items()}
            control = {"env_steps": item.env_steps, "room": item.room, "agent_steps": item.agent_steps}
            control |= {"version": item.version, "source": item.source, "sequence": item.sequence}
            documents.append({**control, "data": trajectories, "moments": moments})
        return {"items": documents}, arrays

    def restore(self, state: dict[str, Any], arrays: Tree) -> None:
        self.items = []
        for position, document in enumerate(state["items"]):
            control = dict(document)
            data = tuple(
                decode_trajectory(trajectory, _leaves(arrays, f"{position}.{index}."))
                for index, trajectory in enumerate(control.pop("data"))
            )
            # Checkpoints of earlier versions have no moments.
            moments = decode_moments(control.pop("moments", []), _leaves(arrays, f"{position}."))
            self.items.append(Item(Kind.ROLLOUT, data, **control, info={"moments": moments}))


def _leaves(arrays: Tree, prefix: str) -> Tree:
    return {name.removeprefix(prefix): leaf for name, leaf in arrays.items() if name.startswith(prefix)}
