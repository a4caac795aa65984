"""Doing what was decided, one write after the other; each may be repeated after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rl_operator.caches import Caches
from rl_operator.decision import Create, Delete, KeepLog, Patch, Write
from rl_operator.observed import Job, Refusal, belongs_to_another
from rl_operator.rbac import Rule
from rl_operator.runtime.api import (
    AlreadyExists,
    Api,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    KindMissing,
    NotFound,
)
from rl_operator.runtime.resources import (
    CONFIG_MAPS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    RAY_CLUSTERS,
    SECRETS,
    TRAINING_JOBS,
)

RULES = (
    Rule(CONFIG_MAPS, ("create", "patch")),
    Rule(SECRETS, ("create",)),
    Rule(NETWORK_POLICIES, ("create",)),
    Rule(DISRUPTION_BUDGETS, ("create",)),
    Rule(RAY_CLUSTERS, ("create", "patch", "delete")),
    Rule(TRAINING_JOBS, ("delete",)),
)
BAD_REQUEST = 400
KEPT_LOGS = 5


def act(api: Api, caches: Caches, job: Job, writes: Sequence[Write]) -> Refusal | None:
    """What the server refuses for good is returned. Raises ApiError for what another pass may mend."""
    for write in writes:
        try:
            _perform(api, caches, job, write)
        except ApiError as error:
            refused = isinstance(error, Forbidden | KindMissing | Invalid | AlreadyExists)
            if not refused and error.status != BAD_REQUEST:
                raise
            if not isinstance(write, KeepLog):  # a log that finds no room must not hold up the rest
                return _refusal(write, error)
    return None


def _perform(api: Api, caches: Caches, job: Job, write: Write) -> None:
    match write:
        case Create():
            _create(api, caches, job, write)
        case Delete():
            _delete(api, caches, write)
        case Patch():
            _patch(api, caches, job, write)
        case KeepLog():
            _keep_log(api, write)


def _create(api: Api, caches: Caches, job: Job, write: Create) -> None:
    body = dict(write.body)
    try:
        if write.resource == RAY_CLUSTERS:
            api.create(write.resource, write.namespace, body, dry_run=True)  # strict: no typo is dropped
        made = api.create(write.resource, write.namespace, body)
    except AlreadyExists:
        if write.resource == RAY_CLUSTERS:
            found = api.get(write.resource, write.namespace, job.child)
            if found is not None and belongs_to_another(found, job.uid):
                raise
        return  # by an earlier pass: the name holds the job's uid
    if write.resource == RAY_CLUSTERS:
        caches.clusters.wrote(job.key, made["metadata"]["resourceVersion"])


def _delete(api: Api, caches: Caches, write: Delete) -> None:
    place = (write.resource, write.namespace, write.name)
    found = api.delete(*place, uid=write.uid)
    if not found and write.resource == RAY_CLUSTERS and api.get(*place) is None:
        caches.clusters.forget(write.namespace, write.name, write.uid)  # or it is deleted again and again


def _patch(api: Api, caches: Caches, job: Job, write: Patch) -> None:
    operations = [dict(it) for it in write.operations]
    try:
        changed = api.json_patch(write.resource, write.namespace, write.name, operations)
    except (Invalid, NotFound) as error:
        raise Conflict(error.status, error.reason, error.message) from error  # a test failed: it has changed
    caches.clusters.wrote(job.key, changed["metadata"]["resourceVersion"])


def _keep_log(api: Api, write: KeepLog) -> None:
    """Into the ConfigMap that holds the last few; one that is there is changed only where it must."""
    text = write.body["data"][write.key]
    try:
        api.create(CONFIG_MAPS, write.namespace, dict(write.body))
    except AlreadyExists:
        number = int(write.key.removeprefix("attempt-").removesuffix(".log"))
        data: dict[str, Any] = {write.key: text}
        if number > KEPT_LOGS:
            data[f"attempt-{number - KEPT_LOGS}.log"] = None
        api.merge_patch(CONFIG_MAPS, write.namespace, write.name, {"data": data})


def _refusal(write: Create | Delete | Patch, error: ApiError) -> Refusal:
    text = f"{write.resource.kind}: {error.message}"
    if isinstance(error, KindMissing):
        return Refusal("KubeRayMissing", text, permanent=False)
    if isinstance(error, AlreadyExists):
        return Refusal("NameTaken", f"{text}, and somebody else controls it; delete it", permanent=False)
    if isinstance(error, Forbidden):
        quota = "exceeded quota" in error.message
        return Refusal("QuotaExceeded" if quota else "Forbidden", text, permanent=False)
    return Refusal("Refused", text, permanent=isinstance(write, Create))
