"""Actors over what was saved: the graph of a bundle in onnxruntime, or saved weights in numpy or torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rl_platform.data.spaces import in_dtype
from rl_platform.data.tree import ACTION, STATE, Tree
from rl_platform.models.actors import Actor, make_actor
from rl_platform.models.deferred import DeferredAssessment
from rl_platform.models.policy import Act
from rl_platform.serving.bundle import Bundle, open_bundle, rebuild
from rl_platform.serving.pyfunc_model import OnnxPolicy, draw_noise


class GraphActor:
    """`Actor` of a bundle's graph. Weights are inside it, so there is nothing to load, and no extras."""

    extras: tuple[str, ...] = ()
    deferred: DeferredAssessment | None = None

    def __init__(self, bundle: Bundle) -> None:
        self._policy = OnnxPolicy(bundle.folder)
        self._state = bundle.state
        self.spaces = bundle.spaces
        self.noise_width = sum(width for _, width in self._policy.noise)
        self.version = 0

    def draw_noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """float32 [*shape, noise_width]."""
        rows = int(np.prod(shape, dtype=np.int64))
        return draw_noise(self._policy.noise, rng, rows).reshape(*shape, self.noise_width)

    def initial_state(self, lanes: int) -> Tree:
        """Zeros [lanes, ...] by path below ``state/``."""
        return {path: np.zeros((lanes, *shape), np.float32) for path, shape in self._state.items()}

    def load(self, flat: np.ndarray, knobs: Mapping[str, Any], version: int) -> None:
        """Raises TypeError: the weights of a graph are part of it."""
        raise TypeError("the weights of a bundle's graph cannot be replaced: use an actor from models.actors")

    def act(
        self,
        obs: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        first: np.ndarray | None,
        noise: np.ndarray | None,
    ) -> Act:
        """See `Actor.act`; ``action`` is the environment's, because the graph gives no other."""
        tensors = {path: obs[path] for path in self.spaces.obs}
        for path, leaf in state.items():
            new = None if first is None else np.reshape(first, (-1, *[1] * (leaf.ndim - 1)))
            tensors[f"{STATE}/{path}"] = leaf if new is None else np.where(new, np.float32(0), leaf)
        said = self._policy.run(tensors, noise)
        return Act(said[ACTION], said[ACTION], {path: said[f"{STATE}/{path}"] for path in state}, {})


def saved_actor(description: Mapping[str, Any], flat: np.ndarray, knobs: Mapping[str, Any]) -> Actor:
    """The actor of a policy that is described as in bundles and checkpoints, with these weights."""
    actor = make_actor(rebuild(description))
    actor.load(flat, knobs, 0)
    return actor


def bundle_actor(bundle: Bundle) -> Actor:
    """The graph where there is one, else the weights in torch."""
    return GraphActor(bundle) if bundle.portable else saved_actor(bundle.description, *bundle.weights())


class WeightsPolicy:
    """Has what `OnnxPolicy` has, for a bundle without a graph: the MLflow model's way out, in torch."""

    def __init__(self, folder: Path) -> None:
        bundle = open_bundle(folder)
        self._actor = saved_actor(bundle.description, *bundle.weights())
        self.noise: list[tuple[str, int]] = [(kind, width) for kind, width in bundle.description["noise"]]

    def run(self, tensors: Mapping[str, Any], noise: np.ndarray | None) -> dict[str, np.ndarray]:
        """See `OnnxPolicy.run`."""
        spaces = self._actor.spaces
        obs = {path: np.asarray(tensors[path], leaf.dtype) for path, leaf in spaces.obs.items()}
        state = {
            path: np.asarray(tensors[f"{STATE}/{path}"], np.float32) for path in self._actor.initial_state(1)
        }
        act = self._actor.act(obs, state, None, noise)
        action = in_dtype(act.env_action, spaces.action.env_dtype)
        return {ACTION: action} | {f"{STATE}/{path}": leaf for path, leaf in act.state.items()}
