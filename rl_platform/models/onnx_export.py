"""A policy with its weights as one ONNX file, which onnxruntime runs without this library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_platform.data.spaces import Leaf
from rl_platform.data.tree import ACTION, ACTION_MASK, STATE
from rl_platform.models.policy import Policy

NOISE = "noise"
EXAMPLE_ROWS = 3


def export_onnx(
    policy: Policy, flat: np.ndarray, knobs: Mapping[str, Any], everything: bool = False
) -> bytes:
    """The serialised model; weights and knobs are inside it, the batch dimension is free.

    Inputs: the observation paths [batch, ...], ``state/<path>`` [batch, ...] (zeros at the start of an
    episode) and, where the policy draws, ``noise`` [batch, noise width] (zeros are the mode). Outputs:
    ``action`` [batch, ...] in the environment's scale and ``state/<path>/next``; with ``everything`` also
    ``action/stored`` and ``extra/<name>``. Raises ValueError for a network that is not portable.
    """
    from rl_platform.models.onnx_graph import Graph
    from rl_platform.models.onnx_ops import OnnxOps

    if not policy.net.portable:
        raise ValueError(
            f"{type(policy.net).__name__} is not portable: only networks written in `Ops` export"
        )
    graph = Graph()
    params = {
        path: graph.constant(view, f"param/{path}")
        for path, view in policy.layout.views(np.array(flat, np.float32)).items()
    }
    frozen = {name: np.array(knob, np.float32) for name, knob in knobs.items()}
    obs = {path: graph.input(path, _example(path, leaf)) for path, leaf in policy.spaces.obs.items()}
    state = {
        path: graph.input(f"{STATE}/{path}", np.zeros((EXAMPLE_ROWS, *shape), np.float32))
        for path, shape in policy.net.state.items()
    }
    width = policy.noise_width
    noise = graph.input(NOISE, np.zeros((EXAMPLE_ROWS, width), np.float32)) if width else None
    act = policy.act(OnnxOps(graph), params, obs, state, None, noise, frozen)
    outputs = {ACTION: act.env_action} | {f"{STATE}/{path}/next": leaf for path, leaf in act.state.items()}
    if everything:
        outputs[f"{ACTION}/stored"] = act.action
        outputs |= {f"extra/{name}": leaf for name, leaf in act.extra.items()}
    serialised: bytes = graph.model(outputs, "policy").SerializeToString(deterministic=True)
    return serialised


def _example(path: str, leaf: Leaf) -> np.ndarray:
    fill = 1 if path == ACTION_MASK else 0
    return np.full((EXAMPLE_ROWS, *leaf.shape), fill, leaf.dtype)
