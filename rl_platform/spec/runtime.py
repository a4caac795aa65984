"""What only a cluster looks at: the image and its surroundings, retries and deadlines, queues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from rl_platform.spec import patterns
from rl_platform.spec.fields import DnsLabel, Fault, ListOf, ObjectName, Seconds, SpecModel, Text


class SecretKey(SpecModel):
    """One value of a Secret in the job's namespace."""

    name: ObjectName = Field(description="Name of the Secret.")
    key: Text = Field(description="Key in it.")


class EnvVar(SpecModel):
    """An environment variable of every pod, from a value or a Secret."""

    name: Annotated[str, Field(max_length=256, pattern=patterns.VARIABLE)] = Field(description="Its name.")
    value: Annotated[str, Field(max_length=4096)] | None = Field(default=None, description="Its value.")
    secret: SecretKey | None = Field(default=None, description="Where its value is kept.")

    def faults(self) -> Iterator[Fault]:
        if (self.value is None) == (self.secret is None):
            found = (
                "neither value nor secret is set" if self.value is None else "value and secret are both set"
            )
            yield Fault((), found, "exactly one is needed")


class Volume(SpecModel):
    """Something mounted in every pod: a claim, a config map or a secret."""

    name: DnsLabel = Field(description="Unique among the volumes.")
    mount_path: Annotated[str, Field(max_length=1024, pattern=patterns.MOUNT_PATH)] = Field(
        description="Where, absolute."
    )
    read_only: bool = Field(default=False, description="Refuse writing.")
    claim: ObjectName | None = Field(default=None, description="Name of a PersistentVolumeClaim.")
    config_map: ObjectName | None = Field(default=None, description="Name of a ConfigMap.")
    secret: ObjectName | None = Field(default=None, description="Name of a Secret.")

    def faults(self) -> Iterator[Fault]:
        given = {"claim": self.claim, "configMap": self.config_map, "secret": self.secret}
        names = [name for name, value in given.items() if value is not None]
        if len(names) != 1:
            found = f"{' and '.join(names)} are set" if names else "there is nothing to mount"
            yield Fault((), found, "exactly one of claim, configMap, secret is needed")


class RuntimeSpec(SpecModel):
    """What the pods run."""

    image: Annotated[str, Field(min_length=1, max_length=512, pattern=patterns.NO_SPACE)] | None = Field(
        default=None, description="Container image; absent: the operator's default."
    )
    ray_version: Annotated[str, Field(max_length=32, pattern=patterns.VERSION)] = Field(
        default="2.60.0", description="The Ray that is in the image."
    )
    env: Annotated[ListOf[EnvVar], Field(max_length=128)] = Field(
        default=(), description="Environment variables."
    )
    volumes: Annotated[ListOf[Volume], Field(max_length=32)] = Field(default=(), description="Mounts.")
    working_dir: Annotated[str, Field(max_length=1024, pattern=patterns.ABSOLUTE_PATH)] | None = Field(
        default=None, description="Absolute; absent: the image's."
    )
    service_account_name: ObjectName | None = Field(
        default=None, description="Must carry the label rlplatform.io/training; absent: one without rights."
    )
    image_pull_secrets: Annotated[ListOf[ObjectName], Field(max_length=16)] = Field(
        default=(), description="Names of Secrets."
    )

    def faults(self) -> Iterator[Fault]:
        lists = {"env": [it.name for it in self.env], "volumes": [it.name for it in self.volumes]}
        for field, names in lists.items():
            for index, name in enumerate(names):
                if name in names[:index]:
                    yield Fault((field, index, "name"), f"{name!r} is given twice", "every name once")


class RunPolicy(SpecModel):
    """When to wait, to try again, to give up. Times are summed over attempts, without time suspended."""

    suspend: bool = Field(default=False, description="Checkpoint, stop and give the resources back.")
    backoff_limit: int = Field(default=3, ge=0, le=1000, description="Retries after the job's own failures.")
    infrastructure_retries: int = Field(
        default=20, ge=0, le=10_000, description="Retries after lost nodes and pods."
    )
    active_deadline_seconds: Seconds | None = Field(
        default=None, description="Fail the job after this much running."
    )
    ttl_seconds_after_finished: int | None = Field(
        default=None, ge=0, le=10**9, description="Delete the finished job after this."
    )
    managed_by: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None, description="Which controller acts on the job; absent: this operator."
    )


class Scheduling(SpecModel):
    """How pods get their turn."""

    queue: ObjectName | None = Field(default=None, description="Kueue's LocalQueue.")
    priority_class: ObjectName | None = Field(
        default=None, description="Of the pods, and of the workload in Kueue."
    )
