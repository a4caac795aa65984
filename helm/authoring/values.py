"""The chart's values: every field, type, default and what it is for.

``make chart`` writes values.yaml, values.schema.json and the table in the chart's README from these models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field, create_model

from helm.authoring.fields import (
    DnsLabel,
    Image,
    ImageReference,
    KubernetesObject,
    Name,
    Port,
    Resources,
    Texts,
    ValuesModel,
)
from helm.authoring.observability import MetricsValues
from rl_operator.settings import Settings

SET_BY_THE_CHART = frozenset(
    {
        "token_key",
        "kubeconfig",
        "context",
        "namespaces",
        "operator_namespace",
        "identity",
        "leader_election",
        "lease_name",
        "reach",
        "image",
        "key_file",
        "host",
        "port",
    }
)
"""Fields of the operator's settings that a pod's surroundings decide, or that another value sets."""


def _tunable() -> dict[str, Any]:
    fields = Settings.model_fields
    return {
        name: (field.rebuild_annotation(), Field(default=field.default, description=field.description))
        for name, field in fields.items()
        if name not in SET_BY_THE_CHART
    }


if TYPE_CHECKING:
    OperatorSettings = ValuesModel
else:
    OperatorSettings = create_model("OperatorSettings", __base__=ValuesModel, **_tunable())


class Global(ValuesModel):
    """Shared with other charts where this one is a dependency, so it may hold what they need too."""

    model_config = ConfigDict(extra="ignore")

    image_registry: str = Field(default="", description="Host put before every image that names none.")
    image_pull_secrets: list[str] = Field(default_factory=list, description="Names of Secrets, for all pods.")


class Crds(ValuesModel):
    """The CustomResourceDefinition of TrainingJob."""

    enabled: bool = Field(default=True, description="Install and upgrade it with the chart.")
    keep: bool = Field(default=True, description="Leave it, and so every job, when the chart is uninstalled.")


class TokenKey(ValuesModel):
    """What the tokens of the jobs' Ray clusters are made with. Running jobs need the one they began with."""

    existing_secret: Name = Field(
        default="", description="A Secret with the key token-key; empty: one is made once and kept."
    )
    keep: bool = Field(default=True, description="Leave the Secret when the chart is uninstalled.")


class ServiceAccount(ValuesModel):
    """The operator's identity."""

    create: bool = Field(default=True, description="Make it.")
    name: Name = Field(default="", description="Empty: the release's full name.")
    annotations: Texts = Field(default_factory=dict, description="Such as those of a cloud's identities.")


class Rbac(ValuesModel):
    """What the operator and people may do."""

    create: bool = Field(default=True, description="Roles and bindings of the operator.")
    aggregate: bool = Field(
        default=True, description="Add TrainingJobs to the cluster's roles view, edit and admin."
    )


class Probe(ValuesModel):
    """Timing of a probe."""

    period_seconds: int = Field(default=10, ge=1, description="Between two.")
    timeout_seconds: int = Field(default=5, ge=1, description="Of one.")
    failure_threshold: int = Field(default=3, ge=1, description="Failures in a row that count.")


class Probes(ValuesModel):
    """Of the operator."""

    liveness: Probe = Field(default_factory=lambda: Probe(failure_threshold=6), description="/healthz.")
    readiness: Probe = Field(default_factory=Probe, description="/readyz.")


class DisruptionBudget(ValuesModel):
    """How many operator pods may be evicted at once."""

    enabled: bool = Field(default=True, description="Make it, with more than one replica.")
    max_unavailable: int = Field(default=1, ge=1, description="Never 0: it would hold up a node's drain.")


class NetworkPolicy(ValuesModel):
    """Of the operator's pods, and of the trial MLflow server: nothing else goes in or out."""

    enabled: bool = Field(default=True, description="Make them.")
    api_server_ports: list[Port] = Field(
        default_factory=lambda: [443, 6443],
        min_length=1,  # a rule without ports would allow all of them
        description="Ports of the API server that the operator may call.",
    )
    api_server_cidrs: list[str] = Field(
        default_factory=list, description="Its addresses, such as 10.0.0.1/32; empty: any."
    )
    metrics_from: list[KubernetesObject] = Field(
        default_factory=list, description="NetworkPolicyPeers that may scrape; empty: anybody."
    )


class Persistence(ValuesModel):
    """Of the trial server's database and files."""

    enabled: bool = Field(default=False, description="A claim instead of a folder that goes with the pod.")
    existing_claim: Name = Field(default="", description="Empty: one is made.")
    storage_class: Name = Field(default="", description="Empty: the cluster's default.")
    size: str = Field(default="5Gi", description="Of the claim that is made.")


class MlflowTrial(ValuesModel):
    """One MLflow server for trying out: sqlite and local files, no users, no copies."""

    enabled: bool = Field(default=False, description="Run it.")
    allowed_hosts: list[str] = Field(
        default_factory=list, description="Besides the Service's names, such as an ingress's host."
    )
    persistence: Persistence = Field(default_factory=Persistence, description="Where its data are.")
    resources: Resources = Field(
        default_factory=lambda: Resources(
            requests={"cpu": "100m", "memory": "768Mi"}, limits={"memory": "1536Mi"}
        ),
        description="Of its container.",
    )
    node_selector: Texts = Field(default_factory=dict, description="Labels that its node must have.")
    tolerations: list[KubernetesObject] = Field(default_factory=list, description="Taints it tolerates.")


class Mlflow(ValuesModel):
    """Jobs name their server in spec.tracking.mlflowUri."""

    trial: MlflowTrial = Field(default_factory=MlflowTrial, description="For trying out.")


class Values(ValuesModel):
    """All values, in the order of values.yaml."""

    enabled: bool = Field(default=True, description="A parent chart's condition; not read here.")
    global_: Global = Field(default_factory=Global, alias="global", description="Shared with other charts.")
    name_override: str = Field(default="", max_length=40, description="Instead of the chart's name.")
    fullname_override: str = Field(default="", max_length=40, description="Instead of release and name.")
    common_labels: Texts = Field(default_factory=dict, description="On every object.")
    crds: Crds = Field(default_factory=Crds, description="The kind TrainingJob.")
    namespaces: list[DnsLabel] = Field(
        default_factory=list, description="Where jobs may be, with a Role in each; empty: everywhere."
    )
    image: Image = Field(
        default_factory=lambda: Image(repository="rl-platform/operator"), description="Of the operator."
    )
    training_image: ImageReference = Field(
        default_factory=lambda: ImageReference(repository="rl-platform/training"),
        description="Of jobs that name none in spec.runtime.image, and of the trial MLflow server.",
    )
    replicas: int = Field(default=2, ge=1, le=10, description="Operators; one leads, the others wait.")
    settings: OperatorSettings = Field(default_factory=OperatorSettings, description="Of the operator.")
    extra_env: list[KubernetesObject] = Field(
        default_factory=list, description="Environment variables of the operator."
    )
    token_key: TokenKey = Field(default_factory=TokenKey, description="Of the jobs' tokens.")
    service_account: ServiceAccount = Field(default_factory=ServiceAccount, description="Of the operator.")
    rbac: Rbac = Field(default_factory=Rbac, description="Rights.")
    resources: Resources = Field(
        default_factory=lambda: Resources(
            requests={"cpu": "100m", "memory": "128Mi"}, limits={"memory": "384Mi"}
        ),
        description="Of the operator's container.",
    )
    probes: Probes = Field(default_factory=Probes, description="Of the operator.")
    pod_annotations: Texts = Field(default_factory=dict, description="On the operator's pods.")
    pod_labels: Texts = Field(default_factory=dict, description="On the operator's pods.")
    node_selector: Texts = Field(default_factory=dict, description="Labels that its nodes must have.")
    tolerations: list[KubernetesObject] = Field(default_factory=list, description="Taints it tolerates.")
    affinity: KubernetesObject = Field(default_factory=dict, description="Of the operator's pods.")
    topology_spread_constraints: list[KubernetesObject] = Field(
        default_factory=list, description="Empty: over nodes and zones where possible."
    )
    priority_class_name: Name = Field(default="", description="Of the operator's pods.")
    termination_grace_period_seconds: int = Field(
        default=30, ge=1, description="For a leader to finish its writes and give back the Lease."
    )
    pod_disruption_budget: DisruptionBudget = Field(
        default_factory=DisruptionBudget, description="Of the operator."
    )
    network_policy: NetworkPolicy = Field(default_factory=NetworkPolicy, description="Who talks to whom.")
    metrics: MetricsValues = Field(default_factory=MetricsValues, description="Prometheus and Grafana.")
    mlflow: Mlflow = Field(default_factory=Mlflow, description="Experiment tracking.")
    extra_objects: list[KubernetesObject | str] = Field(
        default_factory=list, description="Made with the chart; strings and maps may hold templates."
    )
