"""The pods of a RayCluster: one template for head, learner and rollouts, and what differs between them.

They hold no API token, run as no root, and take from the manifest what its typed fields say, plus the few
places that ``podOverrides`` may reach.
"""

from __future__ import annotations

from typing import Any

from rl_operator import names
from rl_operator.observed import Job
from rl_operator.pod_overrides import Refused, with_overrides
from rl_operator.pod_volumes import JOB_MOUNT, TOKEN_MOUNT, author_volumes
from rl_operator.quantities import whole, whole_bytes
from rl_operator.settings import Settings
from rl_platform.spec.digest import spec_digest
from rl_platform.spec.driver_protocol import (
    HOST_ENV,
    JOB_FILE_ENV,
    JOB_UID_ENV,
    OUTPUT_ENV,
    POD_UID_ENV,
    PORT_ENV,
    SPEC_DIGEST_ENV,
    TOKEN_FILE_ENV,
)
from rl_platform.spec.resources import LearnerSpec, PodGroup, ResourceSpec, RolloutsSpec
from rl_platform.spec.training_job import TrainingJobSpec

BUILDER_VERSION = "4"
"""Grows with every change of what is built here; a running cluster keeps what it was built with."""

OBJECT_STORE_SHARE = 0.3
DRAIN_COMMAND = ("python", "-m", "rl_platform.driver.drain_request", "--seconds")
HEAD_PORTS = (  # where a head names any port, KubeRay adds none of its own but metrics
    ("gcs", names.GCS_PORT),
    ("client", names.CLIENT_PORT),
    ("dashboard", names.DASHBOARD_PORT),
    ("metrics", names.RAY_METRICS_PORT),
    ("driver", names.DRIVER_PORT),
)
OUTPUT = "/tmp/rlp/run"
GPU = "nvidia.com/gpu"
DEFAULTS = {
    names.HEAD: ResourceSpec(cpu="1", memory="4Gi"),
    names.LEARNER: ResourceSpec(cpu="2", memory="8Gi"),
    names.ROLLOUTS: ResourceSpec(memory="2Gi"),
}
SPOT_TAINTS = (  # of the managed clusters that taint such nodes
    ("cloud.google.com/gke-spot", "true"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
    ("rlplatform.io/spot", "true"),
)


def head_group(job: Job, spec: TrainingJobSpec, settings: Settings) -> dict[str, Any]:
    """Only the driver runs on the head: Ray schedules nothing else there."""
    asked = _asked(spec.driver, names.HEAD)
    if not spec.learner.replicas:
        asked = _with_gpus(asked, spec.learner)
    params = {"num-cpus": "0", "num-gpus": "0", "dashboard-host": "0.0.0.0", **_memory_params(asked)}
    pod = _pod(job, spec, spec.driver, names.HEAD, asked, settings)
    container = pod["spec"]["containers"][0]
    container["env"] += [
        {"name": JOB_FILE_ENV, "value": f"{JOB_MOUNT}/{names.JOB_FILE}"},
        {"name": TOKEN_FILE_ENV, "value": f"{TOKEN_MOUNT}/{names.TOKEN_KEY}"},
        {"name": JOB_UID_ENV, "value": job.uid},
        {"name": SPEC_DIGEST_ENV, "value": spec_digest(spec)},
        {"name": POD_UID_ENV, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        {"name": PORT_ENV, "value": str(names.DRIVER_PORT)},
        {"name": HOST_ENV, "value": "0.0.0.0"},
        {"name": OUTPUT_ENV, "value": OUTPUT},
        {"name": "RAY_JOB_STOP_WAIT_TIME_S", "value": f"{settings.drain_grace_seconds:.0f}"},
    ]
    container["ports"] = [{"name": name, "containerPort": port} for name, port in HEAD_PORTS]
    drain = [*DRAIN_COMMAND, f"{settings.drain_grace_seconds:.0f}"]
    container["lifecycle"] = {"preStop": {"exec": {"command": drain}}}
    container["volumeMounts"] += [
        {"name": "rlp-job", "mountPath": JOB_MOUNT, "readOnly": True},
        {"name": "rlp-token", "mountPath": TOKEN_MOUNT, "readOnly": True},
    ]
    pod["spec"]["volumes"] += [
        {"name": "rlp-job", "configMap": {"name": job.child}},
        {"name": "rlp-token", "secret": {"secretName": job.child, "defaultMode": 0o440}},
    ]
    pod["spec"]["terminationGracePeriodSeconds"] = int(settings.drain_grace_seconds) + 30
    return {"rayStartParams": params, "template": with_overrides(pod, spec.driver.pod_overrides, "driver")}


def learner_group(job: Job, spec: TrainingJobSpec, settings: Settings) -> dict[str, Any]:
    """Pods of the learner, pinned by a resource of Ray's own."""
    learner = spec.learner
    asked = _with_gpus(_asked(learner, names.LEARNER), learner)
    sizes = {"replicas": learner.replicas, "minReplicas": 0, "maxReplicas": learner.replicas}
    return _worker_group(job, spec, learner, names.LEARNER, asked, sizes, 1, settings)


def rollouts_group(job: Job, spec: TrainingJobSpec, settings: Settings) -> dict[str, Any]:
    """Pods of rollout workers; only they may be on nodes that can be taken away."""
    rollouts, asked = spec.rollouts, _asked(spec.rollouts, names.ROLLOUTS)
    if asked.cpu is None:
        asked = asked.model_copy(update={"cpu": str(rollouts.workers_per_pod)})
    sizes, workers = group_sizes(rollouts), rollouts.workers_per_pod
    group = _worker_group(job, spec, rollouts, names.ROLLOUTS, asked, sizes, workers, settings)
    if spec.replay.placement == "rollouts":  # any of the pods has room for any of the shards
        group["resources"]["rlp_replay"] = str(spec.replay.shards)
    return group


def group_sizes(rollouts: RolloutsSpec) -> dict[str, int]:
    """Without an autoscaler KubeRay clamps replicas to its bounds in silence, so they never bind."""
    replicas = rollouts.replicas
    return {
        "replicas": replicas,
        "minReplicas": 0,
        "maxReplicas": max(replicas, rollouts.max_replicas or replicas),
    }


def _worker_group(
    job: Job,
    spec: TrainingJobSpec,
    group: PodGroup,
    role: str,
    asked: ResourceSpec,
    sizes: dict[str, int],
    actors: int,
    settings: Settings,
) -> dict[str, Any]:
    pod = _pod(job, spec, group, role, asked, settings)
    resources = {"CPU": str(max(1, whole(asked.cpu or "1"))), f"rlp_{role}": str(actors)}
    if GPU in asked.extended:
        resources["GPU"] = str(whole(asked.extended[GPU]))
    store = _memory_params(asked)
    resources["memory"] = store.pop("memory")
    return {
        "groupName": role,
        **sizes,
        "rayStartParams": store,
        "resources": resources,
        "template": with_overrides(pod, group.pod_overrides, role),
    }


def _pod(
    job: Job, spec: TrainingJobSpec, group: PodGroup, role: str, asked: ResourceSpec, settings: Settings
) -> dict[str, Any]:
    runtime = spec.runtime
    spot = isinstance(group, RolloutsSpec) and group.spot
    pod: dict[str, Any] = {
        "restartPolicy": "Never",  # a head that restarts in place has forgotten everything under the same uid
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": 1000,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(spec, role, asked, settings)],
        "volumes": [*_scratch(asked), *author_volumes(runtime.volumes)],
        "tolerations": _tolerations(group, spot),
    }
    if (spec.scheduling.priority_class or "").startswith("system-"):
        text = (
            f"spec.scheduling.priorityClass: {spec.scheduling.priority_class} is for the cluster's own pods"
        )
        raise Refused(f"{text}; choose another class")
    optional = {
        "nodeSelector": dict(group.node_selector),
        "serviceAccountName": runtime.service_account_name,
        "imagePullSecrets": [{"name": name} for name in runtime.image_pull_secrets],
        "priorityClassName": None if spec.scheduling.queue else spec.scheduling.priority_class,
    }
    pod |= {field: value for field, value in optional.items() if value}
    annotations = {} if spot else {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    labels = {
        names.JOB_LABEL: job.name,
        names.JOB_UID_LABEL: job.uid,
        names.ROLE_LABEL: role,
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
    }
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}


def _container(spec: TrainingJobSpec, role: str, asked: ResourceSpec, settings: Settings) -> dict[str, Any]:
    runtime = spec.runtime
    container: dict[str, Any] = {
        "name": f"ray-{role}",
        "image": runtime.image or settings.image,
        "resources": _resources(asked),
        # Ray would wait for its jobs once more after preStop has drained the driver.
        "env": [
            {"name": "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S", "value": "0"},
            *(_env(spec, index) for index in range(len(runtime.env))),
        ],
        "volumeMounts": [
            {"name": "rlp-tmp", "mountPath": "/tmp"},
            {"name": "rlp-shm", "mountPath": "/dev/shm"},
            *(
                {"name": it.name, "mountPath": it.mount_path, "readOnly": it.read_only}
                for it in runtime.volumes
            ),
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    if runtime.working_dir is not None:
        container["workingDir"] = runtime.working_dir
    return container


def _env(spec: TrainingJobSpec, index: int) -> dict[str, Any]:
    variable = spec.runtime.env[index]
    if variable.name.startswith(("RLP_", "RAY_AUTH")) or variable.name in (
        "RAY_ADDRESS",
        "RAY_JOB_STOP_WAIT_TIME_S",
    ):
        raise Refused(
            f"spec.runtime.env[{index}].name: {variable.name} is set by the operator; choose another name"
        )
    if variable.secret is not None:
        key = {"name": variable.secret.name, "key": variable.secret.key}
        return {"name": variable.name, "valueFrom": {"secretKeyRef": key}}
    return {"name": variable.name, "value": variable.value}


def _scratch(asked: ResourceSpec) -> list[dict[str, Any]]:
    """Ray's session folder and the run, and shared memory of the object store's size."""
    tmp = {"sizeLimit": asked.ephemeral_storage} if asked.ephemeral_storage else {}
    shm = {"medium": "Memory", "sizeLimit": _memory_params(asked)["object-store-memory"]}
    return [{"name": "rlp-tmp", "emptyDir": tmp}, {"name": "rlp-shm", "emptyDir": shm}]


def _tolerations(group: PodGroup, spot: bool) -> list[dict[str, Any]]:
    given = [it.model_dump(mode="json", by_alias=True, exclude_none=True) for it in group.tolerations]
    if spot:
        given += [
            {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
            for key, value in SPOT_TAINTS
        ]
    return given


def _asked(group: PodGroup, role: str) -> ResourceSpec:
    """What the manifest says, and a default for each that it leaves out."""
    given, default = group.resources, DEFAULTS[role]
    return given.model_copy(
        update={"cpu": given.cpu or default.cpu, "memory": given.memory or default.memory}
    )


def _with_gpus(asked: ResourceSpec, learner: LearnerSpec) -> ResourceSpec:
    """For the pods that learn: those of the learner, or the head where it has none."""
    if not learner.gpus_per_replica:
        return asked
    return asked.model_copy(update={"extended": {GPU: str(learner.gpus_per_replica), **asked.extended}})


def _resources(asked: ResourceSpec) -> dict[str, Any]:
    """Memory and devices are limited to what is requested. CPU is requested only: a limit would throttle
    Ray's own processes at every start, and idle CPU would go to waste."""
    fixed = {"memory": asked.memory, "ephemeral-storage": asked.ephemeral_storage, **asked.extended}
    limits = {name: value for name, value in fixed.items() if value is not None}
    return {"requests": {"cpu": asked.cpu, **limits}, "limits": limits}


def _memory_params(asked: ResourceSpec) -> dict[str, str]:
    """For ``ray start``: the object store's share of the pod's memory, and what is left for processes."""
    total = whole_bytes(asked.memory or "0")
    store = max(int(total * OBJECT_STORE_SHARE), 80 * 2**20)  # Ray refuses less than 75 MiB
    return {"object-store-memory": str(store), "memory": str(max(0, total - store))}
