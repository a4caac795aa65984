"""Policies of every kind that serving must answer for, and observations recorded from their spaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rl_platform.data.spaces import ActionSpace, Spaces, in_dtype
from rl_platform.data.tree import Tree
from rl_platform.models.actors import Actor, make_actor
from rl_platform.models.build import PolicyKind, build_policy, initial_knobs
from rl_platform.models.policy import Policy
from rl_platform.serving.bundle import Bundle, write_bundle
from rl_platform.spec.model import ModelSpec
from tests.models import policies as p

ROWS, STEPS = 20, 50


@dataclass(frozen=True)
class Case:
    """A policy with weights and knobs, as training would leave it."""

    policy: Policy
    flat: np.ndarray
    knobs: Tree
    recipe: dict[str, Any]

    def bundle(self, folder: Path) -> Bundle:
        return write_bundle(folder, self.policy, self.flat, self.knobs, self.recipe, {})

    def actor(self) -> Actor:
        """The executor that a rollout worker has."""
        actor = make_actor(self.policy)
        actor.load(self.flat, self.knobs, 1)
        return actor

    def description(self) -> dict[str, Any]:
        """As checkpoints hold it."""
        return {"spaces": self.policy.spaces.to_json(), **self.recipe}


def case(spaces: Spaces, kind: PolicyKind = "actor_critic", seed: int = 0, **model: Any) -> Case:
    spec = ModelSpec.model_validate({"hidden": (16, 8), **model})
    policy = build_policy(spaces, spec, kind)
    rng = np.random.default_rng(seed)
    knobs = initial_knobs(policy)
    for name, knob in knobs.items():
        if name.startswith("filter/"):
            knobs[name] = (np.abs(rng.standard_normal(knob.shape)) + 0.5).astype(np.float32)
    if kind == "q":
        knobs["epsilon"] = np.array(0.3, np.float32)
    recipe = {"kind": kind, "model": spec.model_dump(mode="json", by_alias=True)}
    return Case(policy, p.random_weights(policy.layout.size, seed), knobs, recipe)


LSTM = {"recurrent": {"kind": "lstm", "size": 12}}
BOX_ACTION = ActionSpace("box", (2,), low=(-1.0, 2.0), high=(1.0, 10.0))
WHOLE_BOX = ActionSpace("box", (2,), low=(0.0, -9.0), high=(9.0, 0.0), box_dtype="int16")
COUNTED = p.DICT | {
    "obs/mode": replace(p.DICT["obs/mode"], start=(-2,)),
    "obs/gears": replace(p.DICT["obs/gears"], start=(1, -1)),
}
"""Categories that do not begin at 0."""


def cases() -> dict[str, Case]:
    return {
        "mlp": case(Spaces(p.BOX, p.DISCRETE)),
        "lstm": case(Spaces(p.BOX, p.DISCRETE), **LSTM),
        "dict": case(Spaces(p.DICT, p.MULTI), observationFilter="meanStd"),
        "mask": case(p.masked(p.DICT, p.DISCRETE)),
        "masked-components": case(p.masked(p.BOX, p.MULTI)),
        "box-action": case(Spaces(p.BOX, BOX_ACTION), observationFilter="meanStd"),
        "whole-box-action": case(Spaces(p.BOX, WHOLE_BOX)),
        "dict-lstm": case(p.masked(p.DICT, p.MULTI), **LSTM),
        "set": case(Spaces(p.SET_AND_BOX, p.DISCRETE)),
        "image": case(Spaces(p.TINY_IMAGE, p.DISCRETE)),
        "counted": case(Spaces(COUNTED, p.DISCRETE)),
        "q": case(Spaces(p.BOX, p.DISCRETE), "q"),
    }


def recording(case: Case, seed: int = 5) -> tuple[Tree, np.ndarray]:
    """1,000 observations [STEPS, ROWS, ...] by path, as an environment gives them, and what the policy's own
    actor does [STEPS, ROWS, ...].

    The recurrent state is carried over the steps.
    """
    spaces = case.policy.spaces
    observations = p.observations(spaces, (STEPS, ROWS), np.random.default_rng(seed))
    actor = case.actor()
    state: Mapping[str, np.ndarray] = actor.initial_state(ROWS)
    actions = []
    for step in range(STEPS):
        act = actor.act({path: leaf[step] for path, leaf in observations.items()}, state, None, None)
        state = act.state
        actions.append(in_dtype(act.env_action, spaces.action.env_dtype))
    for path, leaf in spaces.obs.items():
        if leaf.start:
            observations[path] = observations[path] + np.reshape(leaf.start, leaf.shape)
    return observations, np.stack(actions)
