"""``metadata`` of a TrainingJob: what a user writes of it, and what an API server adds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rl_platform.spec import patterns
from rl_platform.spec.fields import LabelKey, Labels, ListOf, SpecModel
from rl_platform.spec.free_json import JsonMap

Annotations = Annotated[dict[LabelKey, Annotated[str, Field(max_length=262_144)]], Field(max_length=256)]
ServerText = Annotated[str, Field(max_length=1024)]


class Metadata(SpecModel):
    """Name and labels; below them what an API server adds, so that its documents can be read too."""

    # Children are named after the job and need room for their suffixes within 63 characters.
    name: Annotated[str, Field(min_length=1, max_length=50, pattern=patterns.DNS_LABEL)] = Field(
        description="Lower-case letters, digits and dashes; also the default name of run folder and model."
    )
    namespace: Annotated[str, Field(min_length=1, max_length=63, pattern=patterns.DNS_LABEL)] | None = Field(
        default=None, description="Absent: the namespace of kubectl's context."
    )
    labels: Labels = Field(default_factory=dict, description="For selecting.")
    annotations: Annotations = Field(default_factory=dict, description="For remembering.")

    generate_name: ServerText | None = Field(default=None, description="What the API server made name from.")
    uid: ServerText | None = Field(default=None, description="Set by the API server.")
    resource_version: ServerText | None = Field(default=None, description="Set by the API server.")
    generation: int | None = Field(default=None, ge=0, le=2**53, description="Set by the API server.")
    creation_timestamp: ServerText | None = Field(default=None, description="Set by the API server.")
    deletion_timestamp: ServerText | None = Field(default=None, description="Set by the API server.")
    deletion_grace_period_seconds: int | None = Field(
        default=None, ge=0, le=2**53, description="Set by the API server."
    )
    finalizers: Annotated[ListOf[ServerText], Field(max_length=64)] = Field(
        default=(), description="Holders."
    )
    owner_references: Annotated[ListOf[JsonMap], Field(max_length=64)] = Field(
        default=(), description="Owners."
    )
    managed_fields: Annotated[ListOf[JsonMap], Field(max_length=256)] = Field(
        default=(), description="Set by the API server."
    )
