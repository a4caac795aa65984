"""What an earlier run of these tests has left, because it was cut off: removed before the next one begins.

Only what carries the names that these tests give: nothing else of the cluster is touched.
"""

from __future__ import annotations

import re
from contextlib import suppress

from rl_operator.runtime.api import Api, KindMissing
from rl_operator.runtime.resources import TRAINING_JOBS
from tests.cluster.live_cluster import NAMESPACES, VOLUMES, LiveCluster
from tests.helm.chart import helm

OURS = re.compile(r"rlp-(e2e|jobs)-[0-9a-f]{8}")


def remove_leftovers(cluster: LiveCluster, release: str) -> None:
    """Releases, TrainingJobs, namespaces with all that is in them, and volumes; waits until they are gone."""
    api = cluster.api
    left = ours(api)
    for namespace in left:
        helm("uninstall", release, f"--namespace={namespace}", "--ignore-not-found", "--wait", timeout=600)
        with suppress(KindMissing):
            for job in api.list(TRAINING_JOBS, namespace).items:
                metadata = job["metadata"]
                api.delete(TRAINING_JOBS, namespace, metadata["name"], uid=metadata["uid"])
        found = api.get(NAMESPACES, None, namespace)
        if found is not None and "deletionTimestamp" not in found["metadata"]:
            api.delete(NAMESPACES, None, namespace, uid=found["metadata"]["uid"])
    cluster.wait_for(f"{', '.join(left)} of an earlier run are gone", lambda: not ours(api))
    for volume in api.list(VOLUMES).items:
        metadata = volume["metadata"]
        if OURS.match(metadata["name"]):
            api.delete(VOLUMES, None, metadata["name"], uid=metadata["uid"])


def ours(api: Api) -> list[str]:
    """Namespaces."""
    names = [it["metadata"]["name"] for it in api.list(NAMESPACES).items]
    return sorted(name for name in names if OURS.fullmatch(name))
