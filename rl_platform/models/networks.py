"""The networks of a `model` specification: encoder, dense layers, perhaps an LSTM, heads.

Shape legend: B rows, T steps of a sequence, F features, H units, S networks of equal shape side by side.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from rl_platform.data.spaces import Spaces
from rl_platform.models.encoders import SQRT2
from rl_platform.models.model_spec import ModelSpec
from rl_platform.models.net import Net, Param
from rl_platform.models.observation_encoder import ObservationEncoder
from rl_platform.models.ops import Array, Ops


class NetworkNotFoundError(ValueError, ImportError):
    """``model.entrypoint`` names a module or a callable that is not there."""


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
            params += _dense(name, size, units, SQRT2)
            size = units
        if lstm:
            params.append(Param(f"{prefix}lstm/w", (size, 4 * lstm), "orthogonal", 1.0, blocks=4))
            params.append(Param(f"{prefix}lstm/u", (lstm, 4 * lstm), "orthogonal", 1.0, blocks=4))
            params.append(Param(f"{prefix}lstm/b", (4 * lstm,), "lstm_bias"))
            size = lstm
        for name, units in heads.items():
            params += _dense(f"{prefix}head/{name}", size, units, gains.get(name, 1.0))
        self.params = tuple(params)
        self.state = {f"{prefix}lstm/h": (lstm,), f"{prefix}lstm/c": (lstm,)} if lstm else {}

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


class StackedNet:
    """A separate trunk for each head, all of equal shape: one product per layer computes them all.

    The first layer is [F, S·H], later ones [S, H, H'], initialised as S networks of their own.
    """

    portable = True

    def __init__(
        self,
        encoder: ObservationEncoder,
        hidden: Sequence[int],
        activation: str,
        heads: Mapping[str, int],
        gains: Mapping[str, float],
    ) -> None:
        self.encoder, self.activation, self.heads = encoder, activation, tuple(heads)
        self.first, count = hidden[0], len(heads)
        params = list(encoder.params)
        params.append(
            Param("dense0/w", (encoder.size, count * self.first), "orthogonal", SQRT2, blocks=count)
        )
        params.append(Param("dense0/b", (count * self.first,)))
        self.layers = tuple(f"dense{i}" for i in range(1, len(hidden)))
        for name, inputs, units in zip(self.layers, hidden, hidden[1:], strict=False):
            params.append(Param(f"{name}/w", (count, inputs, units), "orthogonal", SQRT2, stacked=True))
            params.append(Param(f"{name}/b", (count, 1, units)))
        for name, size in heads.items():
            params += _dense(f"head/{name}", hidden[-1], size, gains.get(name, 1.0))
        self.params: tuple[Param, ...] = tuple(params)
        self.state: dict[str, tuple[int, ...]] = {}
        self.paths = {name: (f"head/{name}/w", f"head/{name}/b") for name in heads}
        self.layer_paths = tuple((f"{name}/w", f"{name}/b") for name in self.layers)

    def forward(
        self,
        ops: Ops,
        params: Mapping[str, Array],
        obs: Mapping[str, Array],
        state: Mapping[str, Array],
        first: Array | None,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """See `Net.forward`."""
        activation, kind = ops.activation, self.activation
        x = self.encoder.encode(ops, params, obs)
        x = activation(kind, ops.linear(x, params["dense0/w"], params["dense0/b"]))
        x = ops.transpose(ops.reshape(x, (-1, len(self.heads), self.first)), (1, 0, 2))
        for w, b in self.layer_paths:
            x = activation(kind, ops.stacked_linear(x, params[w], params[b]))
        paths = enumerate(self.paths.items())
        return {name: ops.linear(x[i], params[w], params[b]) for i, (name, (w, b)) in paths}, {}


def build_net(
    spaces: Spaces,
    model: ModelSpec,
    heads: Mapping[str, int],
    head_gains: Mapping[str, float],
    separate: bool | None,
) -> Net:
    """The network that ``model`` describes, with the given heads (name → size).

    Trunks: what ``model.share_trunk`` says; where that is auto, what ``separate`` says; where that is None,
    separate for two or more heads on flat observations without recurrence, and shared otherwise.
    Raises ValueError for an encoder that does not fit the observations, and
    NetworkNotFoundError for an entrypoint that is not there.
    """
    if model.entrypoint:
        return _from_entrypoint(model.entrypoint, spaces, heads, model.kwargs)
    lstm = model.recurrent.size if model.recurrent.kind == "lstm" else 0

    def encoder(prefix: str) -> ObservationEncoder:
        return ObservationEncoder(spaces, model.encoder, model.activation, prefix)

    dense = encoder("").dense and not lstm
    if model.share_trunk != "auto":
        separate = model.share_trunk == "separate"
    elif separate is None:
        separate = dense
    if not separate or len(heads) == 1:
        return TowerNet([Tower(encoder(""), model.hidden, model.activation, lstm, heads, head_gains)])
    if dense and model.hidden:
        return StackedNet(encoder(""), model.hidden, model.activation, heads, head_gains)
    return TowerNet(
        [
            Tower(
                encoder(f"{name}/"),
                model.hidden,
                model.activation,
                lstm,
                {name: size},
                head_gains,
                f"{name}/",
            )
            for name, size in heads.items()
        ]
    )


def _dense(path: str, inputs: int, outputs: int, gain: float) -> list[Param]:
    return [Param(f"{path}/w", (inputs, outputs), "orthogonal", gain), Param(f"{path}/b", (outputs,))]


def _from_entrypoint(
    entrypoint: str, spaces: Spaces, heads: Mapping[str, int], kwargs: Mapping[str, Any]
) -> Net:
    module, _, name = entrypoint.partition(":")
    try:
        build = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise NetworkNotFoundError(
            f"model.entrypoint {entrypoint!r} cannot be loaded ({error}); it must read module:callable, "
            "with the module's folder on PYTHONPATH"
        ) from error
    net: Net = build(spaces, heads, **kwargs)
    missing = [part for part in ("portable", "params", "state", "forward") if not hasattr(net, part)]
    if missing:
        raise ValueError(
            f"model.entrypoint {entrypoint!r} returned {type(net).__name__} without {', '.join(missing)}; "
            "a network has portable, params, state and forward (rl_platform.models.net.Net)"
        )
    return net
