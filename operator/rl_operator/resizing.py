"""Changing the size of a running cluster's rollouts, and nothing else of it. Pure."""

from __future__ import annotations

from rl_operator.decision import Patch
from rl_operator.drift import drifted
from rl_operator.names import ROLLOUTS
from rl_operator.observed import Observed
from rl_operator.pod_template import group_sizes
from rl_operator.runtime.resources import RAY_CLUSTERS
from rl_platform.spec.training_job import TrainingJobSpec


def resize(seen: Observed, spec: TrainingJobSpec) -> tuple[Patch, ...]:
    """Change the size of the rollouts group and nothing else, of exactly the cluster that was seen.

    Where a queue admits the job, its size stays as it was admitted; a spec that drifted changes no size.
    """
    cluster, job, wanted = seen.cluster, seen.job, spec.rollouts
    if cluster is None or spec.scheduling.queue is not None or drifted(job):
        return ()
    for index, group in enumerate(cluster.groups):
        if group.get("groupName") != ROLLOUTS:
            continue
        sizes = group_sizes(wanted)
        changed = {field: size for field, size in sizes.items() if group.get(field) != size}
        if not changed:
            return ()
        place = f"/spec/workerGroupSpecs/{index}"
        return (
            Patch(
                RAY_CLUSTERS,
                job.namespace,
                job.child,
                (
                    {"op": "test", "path": "/metadata/uid", "value": cluster.uid},
                    {"op": "test", "path": f"{place}/groupName", "value": ROLLOUTS},
                    *(
                        {"op": "add", "path": f"{place}/{field}", "value": size}
                        for field, size in changed.items()
                    ),
                ),
            ),
        )
    return ()
