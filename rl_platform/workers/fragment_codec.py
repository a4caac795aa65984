"""A fragment as one JSON document and one tree, for checkpoints."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from rl_platform.data.trajectory import Trajectory
from rl_platform.data.trajectory_codec import decode_trajectory, encode_trajectory
from rl_platform.data.tree import Tree
from rl_platform.workers.abandoned import Abandoned
from rl_platform.workers.episode import Episode
from rl_platform.workers.fragment import Fragment, RemoteTrajectory, fetched
from rl_platform.workers.moments_codec import decode_moments, encode_moments
from rl_platform.workers.worker_gradients import WorkerGradient


def encode_fragment(fragment: Fragment) -> tuple[dict[str, Any], Tree]:
    """Arrays are not copied."""
    arrays: Tree = {}
    trajectories: dict[str, Any] = {}
    for policy, trajectory in fragment.trajectories.items():
        trajectories[policy], leaves = _encode(fetched(trajectory))
        arrays |= {f"{policy}|{name}": leaf for name, leaf in leaves.items()}
    moments, counted = encode_moments(fragment.moments)
    arrays |= counted
    document = {
        "trajectories": trajectories,
        "env_steps": fragment.env_steps,
        "agent_steps": dict(fragment.agent_steps),
        "episodes": [[it.episode_return, it.length, it.agent_returns] for it in fragment.episodes],
        "abandoned": list(fragment.abandoned),
        "moments": moments,
        "ticks": fragment.ticks,
    }
    return document, arrays


def decode_fragment(document: dict[str, Any], arrays: Tree) -> Fragment:
    """The inverse of `encode_fragment`."""
    trajectories: dict[str, Trajectory | RemoteTrajectory] = {}
    for policy, each in document["trajectories"].items():
        prefix = f"{policy}|"
        leaves = {name.removeprefix(prefix): leaf for name, leaf in arrays.items() if name.startswith(prefix)}
        trajectories[policy] = _decode(each, leaves)
    return Fragment(
        trajectories,
        document["env_steps"],
        document["agent_steps"],
        [Episode(*each) for each in document["episodes"]],
        Abandoned(*document["abandoned"]),
        decode_moments(document["moments"], arrays),
        ticks=document.get("ticks", 0),
    )


def _encode(part: Any) -> tuple[dict[str, Any], Tree]:
    """A trajectory, or the gradient that a worker made of it."""
    if not isinstance(part, WorkerGradient):
        return encode_trajectory(part)
    document = {each.name: getattr(part, each.name) for each in fields(part) if each.name != "flat"}
    return document, {"gradient": part.flat}


def _decode(document: dict[str, Any], arrays: Tree) -> Any:
    if "gradient" not in arrays:
        return decode_trajectory(document, arrays)
    return WorkerGradient(**document, flat=arrays["gradient"])
