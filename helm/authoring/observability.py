"""``metrics`` of the values: who scrapes what, alerts, the dashboard."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from helm.authoring.fields import Duration, Name, Texts, ValuesModel

AlertName = Literal[
    "TrainingJobStuck",
    "TrainingJobFailed",
    "TrainingJobThroughputDrop",
    "TrainingJobNotANumber",
    "TrainingJobCheckpointStale",
    "RlOperatorDown",
    "RlOperatorNoLeader",
    "RlOperatorReconcileErrors",
    "RlOperatorReconcileStuck",
    "RlOperatorWorkqueueDepth",
    "RlOperatorWatchStale",
    "RlOperatorApiErrors",
]


class Monitor(ValuesModel):
    """A ServiceMonitor or PodMonitor of the Prometheus operator."""

    enabled: bool = Field(default=False, description="Needs the Prometheus operator's CRDs.")
    namespace: Name = Field(default="", description="Where it is made; empty: the release's.")
    interval: Duration = Field(default="15s", description="Between two scrapes.")
    scrape_timeout: Duration = Field(default="10s", description="Of one scrape.")
    labels: Texts = Field(default_factory=dict, description="What your Prometheus selects by, e.g. release.")


class Rules(ValuesModel):
    """A PrometheusRule with the alerts of files/alerts.yaml."""

    enabled: bool = Field(default=False, description="Needs the Prometheus operator's CRDs.")
    namespace: Name = Field(default="", description="Where it is made; empty: the release's.")
    labels: Texts = Field(default_factory=dict, description="What your Prometheus selects by, e.g. release.")
    disabled: list[AlertName] = Field(default_factory=list, description="Alerts that are left out.")
    alert_labels: Texts = Field(default_factory=dict, description="Added to every alert.")
    runbook_url: str = Field(
        default="", description="Of docs/operations.md where you keep it; #ALERT is appended. Empty: no link."
    )


class Dashboard(ValuesModel):
    """A ConfigMap that Grafana's sidecar loads."""

    enabled: bool = Field(default=False, description="Make it.")
    namespace: Name = Field(default="", description="Where it is made; empty: the release's.")
    labels: Texts = Field(
        default_factory=lambda: {"grafana_dashboard": "1"}, description="What the sidecar selects by."
    )
    annotations: Texts = Field(default_factory=dict, description="Such as grafana_folder.")


class MetricsValues(ValuesModel):
    """Operator and drivers serve Prometheus' text format."""

    scrape_annotations: bool = Field(
        default=True, description="prometheus.io/scrape and its like on the operator's pods."
    )
    service_monitor: Monitor = Field(default_factory=Monitor, description="Of the operator.")
    pod_monitor: Monitor = Field(
        default_factory=Monitor, description="Of the jobs' pods, in every namespace the operator watches."
    )
    rules: Rules = Field(default_factory=Rules, description="Alerts.")
    dashboard: Dashboard = Field(default_factory=Dashboard, description="Grafana.")
