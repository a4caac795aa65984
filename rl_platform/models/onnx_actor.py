"""The actor that runs a policy's exported graph in onnxruntime, as serving does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_platform.data.tree import ACTION, ACTION_MASK, STATE
from rl_platform.models.actors import Definition
from rl_platform.models.onnx_export import NOISE, export_onnx
from rl_platform.models.policy import Act, Policy, refuse_rows_without_action


class OnnxActor(Definition):
    """Runs a portable policy in onnxruntime on one thread; every `load` exports it anew."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._session: Any = None
        self._outputs: list[str] = []

    def load(self, flat: np.ndarray, knobs: Mapping[str, Any], version: int) -> None:
        """See `Actor.load`."""
        import onnxruntime  # type: ignore[import-untyped]  # it ships no annotations

        self._check(flat)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = export_onnx(self.policy, flat, knobs, everything=True)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.version = version

    def act(
        self,
        obs: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
        first: np.ndarray | None,
        noise: np.ndarray | None,
    ) -> Act:
        """See `Actor.act`."""
        if self._masked:
            refuse_rows_without_action(obs[ACTION_MASK], self.spaces.action)
        feed = dict(obs)
        for path, leaf in state.items():
            new = None if first is None else first.reshape(-1, *[1] * (leaf.ndim - 1))
            feed[f"{STATE}/{path}"] = leaf if new is None else np.where(new, np.float32(0), leaf)
        if self.noise_width:
            rows = len(next(iter(obs.values())))
            feed[NOISE] = np.zeros((rows, self.noise_width), np.float32) if noise is None else noise
        answer = dict(zip(self._outputs, self._session.run(None, feed), strict=True))
        return Act(
            answer[f"{ACTION}/stored"],
            answer[ACTION],
            {path: answer[f"{STATE}/{path}/next"] for path in state},
            {name: answer[f"extra/{name}"] for name in self.extras},
        )
