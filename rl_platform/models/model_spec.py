"""What a network is built from: the part of a manifest's ``model`` group that matters here.

`rl_platform.spec` has the class; a protocol keeps the networks usable with anything of the same shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class RecurrentSpec(Protocol):
    @property
    def kind(self) -> str:
        """none or lstm."""

    @property
    def size(self) -> int:
        """Units of the recurrent layer."""

    @property
    def sequence_length(self) -> int:
        """Steps that gradients flow back."""


class ModelSpec(Protocol):
    @property
    def hidden(self) -> tuple[int, ...]:
        """Sizes of the dense layers behind the encoder; empty: heads sit on the encoder."""

    @property
    def activation(self) -> str:
        """Of dense layers: tanh, relu, silu or gelu."""

    @property
    def encoder(self) -> str:
        """auto, flat, conv or set."""

    @property
    def recurrent(self) -> RecurrentSpec: ...

    @property
    def share_trunk(self) -> str:
        """auto, shared or separate."""

    @property
    def observation_filter(self) -> str:
        """none or meanStd."""

    @property
    def return_filter(self) -> str:
        """none or meanStd."""

    @property
    def entrypoint(self) -> str | None:
        """``module:callable`` that builds the network instead: callable(spaces, heads, **kwargs) -> Net."""

    @property
    def kwargs(self) -> Mapping[str, Any]: ...
