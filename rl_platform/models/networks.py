"""The networks of a `model` specification, and the choice among them.

Shape legend: B rows, F features, H units, S networks of equal shape side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rl_platform.data.entrypoint import EntrypointError, load_entrypoint
from rl_platform.data.spaces import Spaces
from rl_platform.models.dense import DenseLayers, dense_heads
from rl_platform.models.encoders import SQRT2
from rl_platform.models.model_spec import ModelSpec
from rl_platform.models.net import Net, Param
from rl_platform.models.observation_encoder import ObservationEncoder
from rl_platform.models.ops import Array, Ops
from rl_platform.models.towers import Tower, TowerNet, dense_params


class NetworkNotFoundError(ValueError, ImportError):
    """``model.entrypoint`` names a module or a callable that is not there."""


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
            params += dense_params(f"head/{name}", hidden[-1], size, gains.get(name, 1.0))
        self.params: tuple[Param, ...] = tuple(params)
        self.state: dict[str, tuple[int, ...]] = {}
        self.paths = {name: (f"head/{name}/w", f"head/{name}/b") for name in heads}
        self.layer_paths = tuple((f"{name}/w", f"{name}/b") for name in self.layers)
        self.dense = DenseLayers(
            encoder,
            activation,
            count,
            (("dense0/w", "dense0/b"), *self.layer_paths),
            dense_heads(self.heads, trunk_of_each=True),
        )

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


def _from_entrypoint(
    entrypoint: str, spaces: Spaces, heads: Mapping[str, int], kwargs: Mapping[str, Any]
) -> Net:
    try:
        build = load_entrypoint(entrypoint, "model.entrypoint")
    except EntrypointError as error:
        raise NetworkNotFoundError(str(error)) from error
    try:
        net: Net = build(spaces, heads, **kwargs)
    except Exception as error:
        raise ValueError(
            f"model.entrypoint {entrypoint!r}, called with spaces, heads and model.kwargs, raised "
            f"{type(error).__name__}: {error}"
        ) from error
    missing = [part for part in ("portable", "params", "state", "forward") if not hasattr(net, part)]
    if missing:
        raise ValueError(
            f"model.entrypoint {entrypoint!r} returned {type(net).__name__} without {', '.join(missing)}; "
            "a network has portable, params, state and forward (rl_platform.models.net.Net)"
        )
    return net
