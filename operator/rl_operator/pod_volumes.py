"""What a job's author has mounted, beside what the operator mounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from rl_operator.pod_overrides import Refused
from rl_platform.spec.runtime import Volume

JOB_MOUNT, TOKEN_MOUNT = "/etc/rlp/job", "/etc/rlp/token"
OWN_FOLDER = PurePosixPath("/etc/rlp")
TAKEN = frozenset({"/", "/etc", "/tmp", "/tmp/ray", "/dev/shm"})  # /tmp/ray: KubeRay's, for Ray's logs


def author_volumes(volumes: Sequence[Volume]) -> Iterator[dict[str, Any]]:
    """As a pod has them. Raises Refused for one in the operator's place: the pod could not be made."""
    for index, volume in enumerate(volumes):
        field = f"spec.runtime.volumes[{index}]"
        if volume.name.startswith("rlp-"):
            raise Refused(f"{field}.name: {volume.name} is set by the operator; choose another name")
        path = PurePosixPath(volume.mount_path)
        if str(path) in TAKEN or path.is_relative_to(OWN_FOLDER):
            raise Refused(f"{field}.mountPath: {path} is the operator's; choose another, such as /data")
        yield {"name": volume.name, **_source(volume)}


def _source(volume: Volume) -> dict[str, Any]:
    if volume.claim is not None:
        return {"persistentVolumeClaim": {"claimName": volume.claim}}
    if volume.config_map is not None:
        return {"configMap": {"name": volume.config_map}}
    return {"secret": {"secretName": volume.secret}}
