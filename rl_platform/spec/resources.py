"""Groups of pods: who samples, who learns, who drives, how large, on which nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from rl_platform.spec.fields import (
    Fault,
    LabelKey,
    Labels,
    ListOf,
    Quantity,
    SpecModel,
    without_nulls,
)
from rl_platform.spec.free_json import JsonMap

Replicas = Annotated[int, Field(ge=0, le=10_000)]
Extended = Annotated[dict[LabelKey, Quantity], Field(max_length=16), BeforeValidator(without_nulls)]
PartOfPod = Annotated[JsonMap, Field(description="As in a pod template.")]
PodOverrides = Annotated[
    dict[Literal["metadata", "spec"], PartOfPod], Field(max_length=2), BeforeValidator(without_nulls)
]


class ResourceSpec(SpecModel):
    """Of one pod; requests and limits are equal."""

    cpu: Quantity | None = Field(default=None, description="CPUs, such as 2 or 500m.")
    memory: Quantity | None = Field(default=None, description="Bytes, such as 8Gi.")
    ephemeral_storage: Quantity | None = Field(
        default=None, description="Bytes of scratch space, such as 10Gi."
    )
    extended: Extended = Field(
        default_factory=dict, description="Other resources by name, such as example.com/fpga."
    )


class Toleration(SpecModel):
    """As in a pod."""

    key: LabelKey | None = Field(
        default=None, description="Taint key; absent with operator Exists: every taint."
    )
    operator: Literal["Exists", "Equal"] = Field(default="Equal", description="How the value is compared.")
    value: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="Taint value.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Taint effect; absent: all effects."
    )
    toleration_seconds: int | None = Field(
        default=None, ge=0, le=10**9, description="For NoExecute: how long."
    )

    def faults(self) -> Iterator[Fault]:
        if self.operator == "Exists" and self.value is not None:
            yield Fault(("value",), "is set, and operator is Exists", "remove value, or use operator Equal")
        if self.operator == "Equal" and self.key is None:
            yield Fault(
                ("key",), "is not set, and operator is Equal", "name the taint, or use operator Exists"
            )


class PodGroup(SpecModel):
    """What every group of pods has."""

    resources: ResourceSpec = Field(default_factory=ResourceSpec, description="Of one pod.")
    node_selector: Labels = Field(default_factory=dict, description="Labels that a node must have.")
    tolerations: Annotated[ListOf[Toleration], Field(max_length=32)] = Field(
        default=(), description="Taints that the pods tolerate."
    )
    pod_overrides: PodOverrides = Field(
        default_factory=dict,
        description="Merged over metadata and spec of the pod template last, for what has no field here.",
    )


class RolloutsSpec(PodGroup):
    """Who samples. ``replicas: 0``: the driver's own process, also on a cluster."""

    replicas: Replicas = Field(
        default=0,
        description="Pods of rollout workers; 0: sample in the driver. No job goes from 0 to more or back.",
    )
    min_replicas: Replicas | None = Field(default=None, description="Never fewer pods; absent: replicas.")
    max_replicas: Replicas | None = Field(default=None, description="Never more pods; absent: replicas.")
    workers_per_pod: int = Field(default=1, ge=1, le=1024, description="Rollout workers in one pod.")
    envs_per_worker: int = Field(
        default=8, ge=1, le=100_000, description="Environments of one rollout worker."
    )
    spot: bool = Field(default=False, description="The pods may run on nodes that can be taken away.")

    def faults(self) -> Iterator[Fault]:
        low, high = self.min_replicas, self.max_replicas
        if low is not None and high is not None and low > high:
            yield Fault(
                ("minReplicas",), f"{low} is more than maxReplicas, which is {high}", "swap or equal them"
            )
        elif low is not None and self.replicas < low:
            yield Fault(
                ("replicas",), f"{self.replicas} is less than minReplicas, which is {low}", f"{low} or more"
            )
        elif high is not None and self.replicas > high:
            yield Fault(
                ("replicas",), f"{self.replicas} is more than maxReplicas, which is {high}", f"at most {high}"
            )

    @property
    def workers(self) -> int:
        """Rollout workers in all; one where the driver samples itself."""
        return max(1, self.replicas * self.workers_per_pod)

    @property
    def num_envs(self) -> int:
        """Environments in all."""
        return self.workers * self.envs_per_worker


class LearnerSpec(PodGroup):
    """Who learns. ``replicas: 0``: the driver's own process."""

    replicas: int = Field(
        default=0, ge=0, le=1024, description="Pods of the learner; 0: learn in the driver."
    )
    gpus_per_replica: int = Field(default=0, ge=0, le=64, description="GPUs of one pod.")
    precision: Literal["float32", "bfloat16"] = Field(default="float32", description="Of matrix products.")


class DriverSpec(PodGroup):
    """The process that runs the plan."""

    port: int | None = Field(
        default=None, ge=0, le=65_535, description="Of /metrics and /progress; 0: any free one; absent: off."
    )


class ReplaySpec(SpecModel):
    """Where replay buffers live."""

    placement: Literal["driver", "rollouts"] = Field(default="driver", description="In whose memory.")
    shards: int = Field(default=1, ge=1, le=256, description="Into how many parts.")

    def faults(self) -> Iterator[Fault]:
        if self.placement == "driver" and self.shards > 1:
            yield Fault(
                ("shards",), f"{self.shards} shards in one process gain nothing", "1, or placement rollouts"
            )
