"""Fragments on their way from rollout workers into a plan."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from rl_platform.data.tree import Tree
from rl_platform.execution.counters import Counters
from rl_platform.execution.item import Item, Kind
from rl_platform.execution.run import Run
from rl_platform.workers.fragment import Fragment
from rl_platform.workers.fragment_codec import decode_fragment, encode_fragment

UNFINISHED = "cut off by a restart of the environments"


@dataclass(slots=True)
class HeldFragments:
    """Fragments that were finished when a checkpoint was made and that the plan has not taken yet."""

    fragments: deque[Fragment] = field(default_factory=deque)

    @property
    def depth(self) -> int:
        return len(self.fragments)

    def snapshot(self) -> tuple[dict[str, Any], Tree]:
        documents, arrays = [], Tree()
        for position, fragment in enumerate(self.fragments):
            document, leaves = encode_fragment(fragment)
            documents.append(document)
            arrays |= {f"{position}.{name}": leaf for name, leaf in leaves.items()}
        return {"fragments": documents}, arrays

    def restore(self, state: dict[str, Any], arrays: Tree) -> None:
        self.fragments.clear()
        for position, document in enumerate(state["fragments"]):
            prefix = f"{position}."
            leaves = {n.removeprefix(prefix): leaf for n, leaf in arrays.items() if n.startswith(prefix)}
            self.fragments.append(decode_fragment(document, leaves))


def taken(run: Run, counters: Counters, fragment: Fragment, born: float) -> Item:
    """Count a fragment and make it an item of the plan. ``born``: monotonic seconds."""
    counters.env_steps += fragment.env_steps
    counters.add_agent_steps(fragment.agent_steps)
    counters.episodes += len(fragment.episodes)
    counters.abandoned += fragment.abandoned.steps
    if fragment.abandoned.unfinished:
        counters.drop(UNFINISHED, fragment.abandoned.unfinished)
    run.episodes.add(fragment.episodes)
    trajectories = tuple(fragment.trajectories.values())
    return Item(
        Kind.ROLLOUT,
        trajectories,
        fragment.env_steps,
        fragment.agent_steps,
        room=fragment.ticks * run.workers.num_envs,
        source=trajectories[0].source,
        sequence=trajectories[0].sequence,
        version=sampled_with(run, fragment),
        born=born,
        info={"moments": fragment.moments},
    )


def sampled_with(run: Run, fragment: Fragment) -> int:
    """The oldest version of a trained policy in it; those that are not trained keep theirs for ever."""
    versions = {policy: each.version for policy, each in fragment.trajectories.items()}
    return min([versions[policy] for policy in run.trained if policy in versions] or versions.values())
