"""``podOverrides``: which places of a pod template a job's author may reach, and how they are merged in.

An allow-list, because a pod template can do almost anything: another identity, the node's files and network,
other commands. Whatever is not named here is refused with its path.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

POD_FIELDS = frozenset(
    {"affinity", "dnsConfig", "hostAliases", "runtimeClassName", "schedulerName", "topologySpreadConstraints"}
)
METADATA_FIELDS = frozenset({"annotations", "labels"})
RESERVED = ("rlplatform.io/", "ray.io/", "kueue.x-k8s.io/", "app.kubernetes.io/managed-by")


class Refused(Exception):
    """The job asks for what it may not have; the message names the field and what would be right."""


def with_overrides(
    pod: dict[str, Any], overrides: Mapping[Any, Mapping[str, Any]], role: str
) -> dict[str, Any]:
    """``pod`` with the overrides of spec.<role>.podOverrides. Raises Refused."""
    if not overrides:
        return pod
    where = f"spec.{role}.podOverrides"
    merged = deepcopy(pod)
    for part, fields in overrides.items():
        allowed = {"metadata": METADATA_FIELDS, "spec": POD_FIELDS}.get(part)
        if allowed is None:
            raise Refused(f"{where}.{part} is not allowed; only metadata and spec can be given")
        if not isinstance(fields, Mapping):
            raise Refused(f"{where}.{part} must be a map")
        for field, value in fields.items():
            if field not in allowed:
                names = ", ".join(sorted(allowed))
                raise Refused(f"{where}.{part}.{field} is not allowed; these are: {names}")
            if part == "metadata":
                merged[part].setdefault(field, {}).update(_free(value, f"{where}.{part}.{field}"))
            else:
                merged[part][field] = value
    return merged


def _free(value: Any, where: str) -> Mapping[str, str]:
    """Labels or annotations that belong to nobody's machinery."""
    if not isinstance(value, Mapping):
        raise Refused(f"{where} must be a map of text")
    for key, text in value.items():
        if not isinstance(text, str):
            raise Refused(f"{where}.{key} must be text; put it in quotes")
        if (
            key.startswith(RESERVED)
            or ".kubernetes.io/" in key
            or key.split("/")[0].endswith("kubernetes.io")
        ):
            raise Refused(f"{where}.{key} is not allowed; the prefix is reserved")
    return value
