"""Towers: encoder, dense layers, perhaps an LSTM, heads; a network is one tower, or one for each head.

Shape legend: B rows, T steps of a sequence, F features, H units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rl_platform.models.dense import DenseLayers, dense_heads
from rl_platform.models.encoders import SQRT2
from rl_platform.models.net import Param
from rl_platform.models.observation_encoder import ObservationEncoder
from rl_platform.models.ops import Array, Ops


def dense_params(path: str, inputs: int, outputs: int, gain: float) -> list[Param]:
    """Weights [inputs, outputs], orthogonal with ``gain``, and zero biases."""
    return [Param(f"{path}/w", (inputs, outputs), "orthogonal", gain), Param(f"{path}/b", (outputs,))]


class Tower:
    """Encoder → dense layers → LSTM (if ``lstm`` > 0) → heads, all parameters below ``prefix``."""

    def __init__(
        self,
        encoder: ObservationEncoder,
        hidden: Sequence[int],
        activation: str,
        lstm: int,
        heads: Mapping[str, int],
        gains: Mapping[str, float],
        prefix: str = "",
    ) -> None:
        self.encoder, self.activation, self.lstm, self.prefix = encoder, activation, lstm, prefix
        self.layers = [f"{prefix}dense{i}" for i in range(len(hidden))]
        self.heads = tuple(heads)
        params = list(encoder.params)
        size = encoder.size
        for name, units in zip(self.layers, hidden, strict=True):
            params += dense_params(name, size, units, SQRT2)
            size = units
        if lstm:
            params.append(Param(f"{prefix}lstm/w", (size, 4 * lstm), "orthogonal", 1.0, blocks=4))
            params.append(Param(f"{prefix}lstm/u", (lstm, 4 * lstm), "orthogonal", 1.0, blocks=4))
            params.append(Param(f"{prefix}lstm/b", (4 * lstm,), "lstm_bias"))
            size = lstm
        for name, units in heads.items():
            params += dense_params(f"{prefix}head/{name}", size, units, gains.get(name, 1.0))
        self.params = tuple(params)
        self.state = {f"{prefix}lstm/h": (lstm,), f"{prefix}lstm/c": (lstm,)} if lstm else {}

    @property
    def dense(self) -> DenseLayers | None:
        """This tower as dense layers, if it is nothing else."""
        if self.lstm or not self.encoder.dense:
            return None
        layers = tuple((f"{name}/w", f"{name}/b") for name in self.layers)
        heads = dense_heads(self.heads, trunk_of_each=False, prefix=self.prefix)
        return DenseLayers(self.encoder, self.activation, 1, layers, heads)

    def features(self, ops: Ops, params: Mapping[str, Array], obs: Mapping[str, Array]) -> Array:
        """[B, F] in front of the LSTM or the heads."""
        x = self.encoder.encode(ops, params, obs)
        for name in self.layers:
            x = ops.activation(self.activation, ops.linear(x, params[f"{name}/w"], params[f"{name}/b"]))
        return x

    def remember(
        self,
        ops: Ops,
        params: Mapping[str, Array],
        gates: Array,
        state: Mapping[str, Array],
        first: Array | None,
    ) -> tuple[Array, dict[str, Array]]:
        """One step of the LSTM: gates' input part [B, 4H], first [B] → output [B, H] and the next state."""
        h, c = (state[path] for path in self.state)
        if first is not None:
            new = first[..., None]
            h, c = ops.where(new, 0.0, h), ops.where(new, 0.0, c)
        h, c = ops.lstm_cell(gates, h, c, params[f"{self.prefix}lstm/u"])
        return h, dict(zip(self.state, (h, c), strict=True))

    def gates(self, ops: Ops, params: Mapping[str, Array], x: Array) -> Array:
        """The input's part of the LSTM's gates [B, 4H]."""
        return ops.linear(x, params[f"{self.prefix}lstm/w"], params[f"{self.prefix}lstm/b"])

    def read(self, ops: Ops, params: Mapping[str, Array], x: Array) -> dict[str, Array]:
        """Heads [B, size] by name."""
        paths = {name: f"{self.prefix}head/{name}" for name in self.heads}
        return {name: ops.linear(x, params[f"{at}/w"], params[f"{at}/b"]) for name, at in paths.items()}


class TowerNet:
    """One tower with all heads (a shared trunk), or one tower for each head (separate trunks)."""

    portable = True

    def __init__(self, towers: Sequence[Tower]) -> None:
        self.towers = tuple(towers)
        self.params: tuple[Param, ...] = tuple(param for tower in towers for param in tower.params)
        self.state = {path: shape for tower in towers for path, shape in tower.state.items()}
        self.dense = towers[0].dense if len(towers) == 1 else None

    def forward(
        self,
        ops: Ops,
        params: Mapping[str, Array],
        obs: Mapping[str, Array],
        state: Mapping[str, Array],
        first: Array | None,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """See `Net.forward`."""
        if self.state and first is not None and first.ndim == 2:
            return self._forward_sequence(ops, params, obs, state, first)
        heads: dict[str, Array] = {}
        state_next: dict[str, Array] = {}
        for tower in self.towers:
            x = tower.features(ops, params, obs)
            if tower.lstm:
                x, moved = tower.remember(ops, params, tower.gates(ops, params, x), state, first)
                state_next |= moved
            heads |= tower.read(ops, params, x)
        return heads, state_next

    def _forward_sequence(
        self,
        ops: Ops,
        params: Mapping[str, Array],
        obs: Mapping[str, Array],
        state: Mapping[str, Array],
        first: Array,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Everything but the recurrence runs once over all T·B rows."""
        steps, rows = first.shape
        flat = {path: ops.reshape(leaf, (-1, *leaf.shape[2:])) for path, leaf in obs.items()}
        heads: dict[str, Array] = {}
        state_next: dict[str, Array] = {}
        for tower in self.towers:
            gates = tower.gates(ops, params, tower.features(ops, params, flat))
            gates = ops.reshape(gates, (steps, rows, 4 * tower.lstm))
            moved: Mapping[str, Array] = state
            outputs = []
            for t in range(steps):
                h, moved = tower.remember(ops, params, gates[t], moved, first[t])
                outputs.append(h)
            read = tower.read(ops, params, ops.concat(outputs, 0))
            heads |= {name: ops.reshape(head, (steps, rows, head.shape[-1])) for name, head in read.items()}
            state_next |= moved
        return heads, state_next
