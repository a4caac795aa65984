"""Volume claims for tests: of the cluster's default class, or of folders of the node."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.live_cluster import CLAIMS, VOLUMES, LiveCluster

NODE_FOLDER = "RLP_TEST_NODE_FOLDER"


@contextmanager
def volume_claim(cluster: LiveCluster, name: str, folder: str | None = None) -> Iterator[None]:
    """A claim of this name in the cluster's namespace. ``folder``: of the node, instead of a new one."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    within = os.environ.get(NODE_FOLDER)
    volume = None
    if folder is None and within:
        place = Path(within) / f"{cluster.namespace}-{name}"
        place.mkdir(parents=True)
        place.chmod(0o777)
        folder = str(place)
    if folder is not None:
        of_volume = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
        of_volume |= {"hostPath": {"path": folder}, "persistentVolumeReclaimPolicy": "Retain"}
        body = {"metadata": {"name": f"{cluster.namespace}-{name}"}}
        body |= {"spec": of_volume | {"storageClassName": ""}}
        volume = cluster.create(VOLUMES, body, namespaced=False)
        spec |= {"storageClassName": "", "volumeName": volume["metadata"]["name"]}
    cluster.create(CLAIMS, {"metadata": {"name": name}, "spec": spec})
    yield
    if volume is not None:
        cluster.api.delete(VOLUMES, None, volume["metadata"]["name"], uid=volume["metadata"]["uid"])
