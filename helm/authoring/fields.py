"""What every model of the chart's values is built from."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class ValuesModel(BaseModel):
    """One map of values.yaml: camelCase there, snake_case here; a name that is not known is refused."""

    model_config = ConfigDict(
        extra="forbid", alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True
    )


DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DURATION = r"^([0-9]+(ms|s|m|h))+$"

DnsLabel = Annotated[str, Field(max_length=63, pattern=DNS_LABEL)]
Name = Annotated[str, Field(max_length=253, pattern=r"^([a-z0-9]([-.a-z0-9]*[a-z0-9])?)?$")]
"""Of an object; empty: none."""
Duration = Annotated[str, Field(pattern=DURATION)]
Digest = Annotated[str, Field(pattern=r"^(sha256:[a-f0-9]{64})?$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Quantity = Annotated[str | int | float, Field(union_mode="left_to_right")]
Texts = dict[str, str]
"""Labels, annotations, node selectors: YAML must quote what would read as a number."""
KubernetesObject = dict[str, Any]
"""As Kubernetes has it; the API server checks it."""


class Resources(ValuesModel):
    """Of a container."""

    requests: dict[str, Quantity] = Field(default_factory=dict, description="What is kept free for it.")
    limits: dict[str, Quantity] = Field(default_factory=dict, description="What it may not exceed.")


class ImageReference(ValuesModel):
    """Where an image is."""

    registry: str = Field(default="", description="Host of the registry; empty: global.imageRegistry.")
    repository: str = Field(default="", min_length=1, description="Path in the registry.")
    tag: str = Field(default="", description="Empty: the chart's appVersion.")
    digest: Digest = Field(default="", description="sha256:..., instead of the tag.")


class Image(ImageReference):
    """And when it is pulled."""

    pull_policy: Annotated[str, Field(pattern="^(Always|IfNotPresent|Never)$")] = Field(
        default="IfNotPresent", description="Always, IfNotPresent or Never."
    )
