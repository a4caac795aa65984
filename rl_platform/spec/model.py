"""``spec.model`` and ``spec.policies``: the network, and who acts with which policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from rl_platform.spec.fields import DnsLabel, Entrypoint, Fault, ListOf, SpecModel, Text, Uri
from rl_platform.spec.free_json import JsonMap

Units = Annotated[int, Field(ge=1, le=65_536)]
Filter = Literal["none", "meanStd"]


class RecurrentSpec(SpecModel):
    """Memory between the trunk and the heads."""

    kind: Literal["none", "lstm"] = Field(default="none", description="Which recurrent layer.")
    size: Units = Field(default=64, description="Units of the recurrent layer.")
    sequence_length: int = Field(default=16, ge=1, le=10_000, description="Steps that gradients flow back.")


class ModelSpec(SpecModel):
    """The network of every policy."""

    encoder: Literal["auto", "flat", "conv", "set"] = Field(
        default="auto", description="How observations become features; auto chooses by the space."
    )
    hidden: Annotated[ListOf[Units], Field(max_length=32)] = Field(
        default=(64, 64), description="Sizes of the dense layers behind the encoder."
    )
    activation: Literal["tanh", "relu", "silu", "gelu"] = Field(
        default="tanh", description="Of dense layers."
    )
    recurrent: RecurrentSpec = Field(default_factory=RecurrentSpec, description="Memory of the policy.")
    share_trunk: Literal["auto", "shared", "separate"] = Field(
        default="auto", description="Whether actor and critic share layers; auto chooses by the encoder."
    )
    observation_filter: Filter = Field(
        default="none", description="Standardise observations by running statistics."
    )
    return_filter: Filter = Field(
        default="none", description="Scale rewards by the running deviation of returns."
    )
    entrypoint: Entrypoint | None = Field(
        default=None, description="`module:callable` that builds the network instead."
    )
    kwargs: JsonMap = Field(default_factory=dict, description="Keyword arguments of entrypoint.")

    def faults(self) -> Iterator[Fault]:
        if self.kwargs and self.entrypoint is None:
            yield Fault(
                ("kwargs",), "there is no entrypoint to hand them to", "set model.entrypoint or remove kwargs"
            )


class PolicySpec(SpecModel):
    """A named policy. An agent belongs to the first policy with a pattern that its name matches."""

    name: DnsLabel = Field(description="Unique; lower-case letters, digits and dashes.")
    agents: Annotated[ListOf[Text], Field(min_length=1, max_length=256)] = Field(
        default=("*",), description="Names of agents, or patterns such as `team_a_*`."
    )
    trained: bool = Field(default=True, description="False: the policy acts and stays as it is.")
    restore_from: Uri | None = Field(
        default=None, description="A checkpoint or models:/NAME@ALIAS of the same model to begin with."
    )


DEFAULT_POLICY = "default"
