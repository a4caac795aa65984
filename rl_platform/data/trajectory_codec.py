"""A trajectory as one JSON document and one tree, for checkpoints and for the wire."""

from __future__ import annotations

from typing import Any

from rl_platform.data.trajectory import Final, Trajectory
from rl_platform.data.tree import Tree

TREES = ("obs", "action", "extra", "state")
FINAL_TREES = ("obs", "extra", "state")
ARRAYS = ("reward", "flags", "back", "length", "env", "agent", "tick", "episode")
SCALARS = ("state_every", "policy", "version", "source", "sequence", "look_back", "full")


def encode_trajectory(trajectory: Trajectory) -> tuple[dict[str, Any], Tree]:
    """Everything but ``info``. Arrays are not copied."""
    arrays: Tree = {name: getattr(trajectory, name) for name in ARRAYS}
    for name in TREES:
        arrays |= {f"{name}:{path}": leaf for path, leaf in getattr(trajectory, name).items()}
    final = trajectory.final
    arrays |= {"final.row": final.row, "final.lane": final.lane}
    for name in FINAL_TREES:
        arrays |= {f"final.{name}:{path}": leaf for path, leaf in getattr(final, name).items()}
    return {name: getattr(trajectory, name) for name in SCALARS}, arrays


def decode_trajectory(document: dict[str, Any], arrays: Tree) -> Trajectory:
    """The inverse of `encode_trajectory`."""

    def tree(name: str) -> Tree:
        prefix = f"{name}:"
        return {path.removeprefix(prefix): leaf for path, leaf in arrays.items() if path.startswith(prefix)}

    values: dict[str, Any] = {name: arrays[name] for name in ARRAYS}
    values |= {name: tree(name) for name in TREES}
    values |= {name: document[name] for name in SCALARS}
    trees = [tree(f"final.{name}") for name in FINAL_TREES]
    final = Final(arrays["final.row"], arrays["final.lane"], *trees)
    return Trajectory(**values, final=final)
