"""KubeRay 1.6.2, scheduler and kubelet for the API model, as far as they can be noticed from outside.

As in reconcilePods of KubeRay: pods are found by the cluster's label, a failed pod is deleted first and made
again in a later turn, a terminating head is still the head. Times are hostile where ``Hostility`` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rl_operator import times
from rl_operator.names import HEAD, RAY_CLUSTER_LABEL, ROLE_LABEL
from rl_operator.runtime.resources import PODS, RAY_CLUSTERS
from tests.simulation.api_model import ApiModel
from tests.simulation.store import Name, Stored

Json = dict[str, Any]
TURN_SECONDS = 0.2  # from a change to the controller's next turn
RETRY_SECONDS = 5.0
WORKER_START_SECONDS = 1.5
QUOTA = 'pods "head" is forbidden: exceeded quota: small'


@dataclass(slots=True)
class Hostility:
    """What goes wrong in the cluster; scenarios set it and take it back."""

    absent: bool = False  # no KubeRay runs; its kind may still be served
    quota: bool = False  # no pod may be made
    no_image: bool = False
    no_node: bool = False
    same_names: bool = False  # ENABLE_DETERMINISTIC_HEAD_POD_NAME, and addresses are used again
    start_seconds: float = 1.0
    heads_lost: int = 0  # so many heads fail as soon as they are ready


@dataclass
class FakeKubeRay:
    """`step` does what is due. ``ending`` asks what runs in a pod whether it may be taken away now."""

    model: ApiModel
    hostility: Hostility = field(default_factory=Hostility)
    ending: Callable[[str, float], bool] = lambda uid, now: True
    _seen: int = 0
    _turn_at: float | None = None
    _starts: dict[str, float] = field(default_factory=dict)  # uid of a pod → when it is ready
    _serial: int = 0

    def due(self) -> float | None:
        now = self.model.now()
        waits = [*self._starts.values(), *self._deadlines()]
        if self._turn_at is not None:
            waits.append(self._turn_at)
        elif self._changed():
            waits.append(now + TURN_SECONDS)
        return min(waits, default=None)

    def step(self) -> None:
        now = self.model.now()
        if self._turn_at is None and self._changed():
            self._turn_at = now + TURN_SECONDS
        self._start_pods(now)
        self._end_pods(now)
        if self._turn_at is not None and self._turn_at <= now:
            self._seen, self._turn_at = self.model.store.version, None
            if not self.hostility.absent and RAY_CLUSTERS in self.model.kinds:
                self._turn(now)

    def wake(self) -> None:
        """Something about the cluster has changed that is no object."""
        self._turn_at = self.model.now()

    def _changed(self) -> bool:
        return any(self.model.store.since(self._seen, it) for it in (RAY_CLUSTERS, PODS))

    def _turn(self, now: float) -> None:
        for name, stored in list(self.model.store.of(RAY_CLUSTERS).items()):
            if "deletionTimestamp" not in stored.document["metadata"]:
                self._cluster(name, stored.document, now)

    def _cluster(self, name: Name, cluster: Json, now: float) -> None:
        pods = self.pods_of(name)
        if cluster["spec"].get("suspend"):
            for pod in pods:
                self.delete_pod(pod.document)
            if not pods:
                self._condition(name, "RayClusterSuspended", "True", now)
            return
        for pod in pods:
            if pod.document.get("status", {}).get("phase") in ("Failed", "Succeeded"):
                self.delete_pod(pod.document)
                self._turn_at = now + TURN_SECONDS
                return  # made again in a later turn
        if not any(_role(pod.document) == HEAD for pod in pods):
            self._make_pod(name, cluster, cluster["spec"]["headGroupSpec"], now)
        for group in cluster["spec"].get("workerGroupSpecs") or ():
            self._group(name, cluster, group, [it for it in pods if _role(it.document) == group["groupName"]])

    def _group(self, name: Name, cluster: Json, group: Json, pods: list[Stored]) -> None:
        """Those that are named go whatever the number; then it deletes or makes as many as it takes."""
        named = group.get("scaleStrategy", {}).get("workersToDelete", ())
        going = [pod for pod in pods if pod.document["metadata"]["name"] in named]
        rest = [pod for pod in pods if pod not in going]
        for _ in range(len(rest), group.get("replicas", 0)):
            self._make_pod(name, cluster, group, self.model.now())
        for pod in [*going, *rest[group.get("replicas", 0) :]]:
            self.delete_pod(pod.document)

    def pods_of(self, cluster: Name) -> list[Stored]:
        """By label, as KubeRay finds them: also those of an earlier cluster of that name."""
        return [
            pod
            for (namespace, _), pod in sorted(self.model.store.of(PODS).items())
            if namespace == cluster[0]
            and pod.document["metadata"]["labels"].get(RAY_CLUSTER_LABEL) == cluster[1]
        ]

    def delete_pod(self, pod: Json, grace: int | None = None) -> None:
        """As anybody deletes a pod: with its grace period, or the one given."""
        metadata = pod["metadata"]
        name = (metadata["namespace"], metadata["name"])
        stored = self.model.store.get(PODS, name)
        if stored is None or (grace is None and "deletionTimestamp" in stored.document["metadata"]):
            return
        options = {} if grace is None else {"gracePeriodSeconds": grace}
        self.model.end(self.model.kinds[PODS], name, stored, options)

    def set_status(self, name: Name, **status: Any) -> None:
        pod = self.model.store.get(PODS, name)
        if pod is not None:
            merged = {**pod.document.get("status", {}), **status}
            self.model.store.put(PODS, name, {**pod.document, "status": merged})

    def _make_pod(self, cluster: Name, owner: Json, group: Json, now: float) -> None:
        if self.hostility.quota:
            self._condition(
                cluster, "ReplicaFailure", "True", now, reason="FailedCreateHeadPod", message=QUOTA
            )
            self._turn_at = now + RETRY_SECONDS
            return
        self._condition(cluster, "ReplicaFailure", "False", now)
        template = group["template"]
        role = template["metadata"]["labels"][ROLE_LABEL]
        self._serial += 1
        serial = "" if role == HEAD and self.hostility.same_names else f"-{self._serial}"
        name = (cluster[0], f"{cluster[1]}-{role}{serial}")
        controller = {
            "apiVersion": RAY_CLUSTERS.api_version,
            "kind": RAY_CLUSTERS.kind,
            "name": cluster[1],
            "uid": owner["metadata"]["uid"],
            "controller": True,
        }
        uid = self.model.store.new_uid(PODS, name)
        metadata = {
            "name": name[1],
            "namespace": name[0],
            "uid": uid,
            "creationTimestamp": times.written(now),
            "labels": {**template["metadata"]["labels"], RAY_CLUSTER_LABEL: cluster[1]},
            "ownerReferences": [controller],
        }
        kept = ("restartPolicy", "terminationGracePeriodSeconds")
        spec = {key: template["spec"][key] for key in kept if key in template["spec"]}
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self.model.store.put(PODS, name, {**document, "status": {"phase": "Pending"}})
        self._starts[uid] = now + (self.hostility.start_seconds if role == HEAD else WORKER_START_SECONDS)

    def _condition(self, name: Name, type_: str, status: str, now: float, **more: str) -> None:
        """Written where it says something new; a condition that is absent is as good as False."""
        cluster = self.model.store.of(RAY_CLUSTERS)[name].document
        known = {it["type"]: it for it in cluster.get("status", {}).get("conditions", ())}
        if known.get(type_, {"status": "False"})["status"] == status:
            return
        new = {"type": type_, "status": status, "lastTransitionTime": times.written(now), **more}
        conditions = [*(it for key, it in known.items() if key != type_), new]
        self.model.store.put(RAY_CLUSTERS, name, {**cluster, "status": {"conditions": conditions}})

    def _start_pods(self, now: float) -> None:
        if not self._starts:
            return
        for name, pod in list(self.model.store.of(PODS).items()):
            uid = pod.document["metadata"]["uid"]
            if uid not in self._starts or self._starts[uid] > now:
                continue
            if self.hostility.no_node:
                said = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
                self._hold(name, uid, now, conditions=[said])
            elif self.hostility.no_image:
                waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
                self._hold(name, uid, now, containerStatuses=[{"name": "ray", "state": waiting}])
            elif "deletionTimestamp" not in pod.document["metadata"]:
                self._run(name, uid)
        alive = {pod.document["metadata"]["uid"] for pod in self.model.store.of(PODS).values()}
        self._starts = {uid: at for uid, at in self._starts.items() if uid in alive}

    def _hold(self, name: Name, uid: str, now: float, **status: Any) -> None:
        self._starts[uid] = now + RETRY_SECONDS
        pod = self.model.store.get(PODS, name)
        if pod is not None and any(pod.document["status"].get(key) != it for key, it in status.items()):
            self.set_status(name, **status)

    def _run(self, name: Name, uid: str) -> None:
        self._starts.pop(uid, None)
        pod = self.model.store.of(PODS)[name].document
        self.model.store.put(PODS, name, {**pod, "spec": {**pod["spec"], "nodeName": "node-1"}})
        last = "1" if self.hostility.same_names else str(self._serial % 250 + 1)
        ready = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True"}]
        self.set_status(name, phase="Running", podIP=f"10.0.0.{last}", conditions=ready, containerStatuses=[])
        if _role(pod) == HEAD and self.hostility.heads_lost > 0:
            self.hostility.heads_lost -= 1
            self.set_status(name, phase="Failed", reason="Evicted")

    def _deadlines(self) -> list[float]:
        now = self.model.now()
        return [
            max(now + 0.5, 0.0) if self.ending(it.document["metadata"]["uid"], now) else now + 1.0
            for it in self.model.store.of(PODS).values()
            if "deletionTimestamp" in it.document["metadata"]
        ]

    def _end_pods(self, now: float) -> None:
        """The kubelet: preStop first, and no longer than the grace period."""
        for name, pod in list(self.model.store.of(PODS).items()):
            metadata = pod.document["metadata"]
            if "deletionTimestamp" not in metadata:
                continue
            over = times.read(metadata["deletionTimestamp"]) <= now
            if over or self.ending(metadata["uid"], now):
                self.model.store.remove(PODS, name)


def _role(pod: Json) -> str:
    return str(pod["metadata"]["labels"].get(ROLE_LABEL, ""))
