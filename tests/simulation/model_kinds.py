"""The kinds that the API model serves, and in what their rules differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rl_operator.runtime.resources import (
    CONFIG_MAPS,
    CORE_EVENTS,
    DISRUPTION_BUDGETS,
    EVENTS,
    LEASES,
    NETWORK_POLICIES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from tests.simulation.answers import Cause
from tests.simulation.structural import Section

Json = dict[str, Any]
Rule = Callable[[Json, Json | None], Sequence[Cause]]
"""New and old object (None: it is being created) → what is refused. Stands in for CEL and for quotas."""


def no_rule(new: Json, old: Json | None) -> Sequence[Cause]:
    return ()


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind is stored. ``schema``: of a custom resource, with spec and status."""

    resource: Resource
    custom: bool = False
    status_subresource: bool = False
    has_generation: bool = False
    unconditional_update: bool = True  # PUT without a resourceVersion
    created_by_update: bool = False  # PUT of what is not there
    graceful: bool = False  # deleting takes terminationGracePeriodSeconds once it is scheduled
    returned_when_deleted: bool = False
    fresh: Mapping[str, Any] | None = None  # what is added where a new object lacks it
    fresh_status: Mapping[str, Any] | None = None
    schema: Mapping[str, Any] | None = None
    rule: Rule = no_rule
    sections: Mapping[str, Section] = field(init=False)

    def __post_init__(self) -> None:
        known = (self.schema or {}).get("properties", {})
        object.__setattr__(self, "sections", {name: Section(below) for name, below in known.items()})


POD_STATUS = {"phase": "Pending", "qosClass": "BestEffort"}

BUILT_IN = (
    Kind(
        PODS,
        status_subresource=True,
        has_generation=True,
        graceful=True,
        returned_when_deleted=True,
        fresh_status=POD_STATUS,
    ),
    Kind(CONFIG_MAPS),
    Kind(SECRETS, fresh={"type": "Opaque"}),
    Kind(SERVICE_ACCOUNTS, returned_when_deleted=True),
    Kind(NETWORK_POLICIES, has_generation=True),
    Kind(DISRUPTION_BUDGETS, status_subresource=True, has_generation=True, unconditional_update=False),
    Kind(EVENTS),
    Kind(CORE_EVENTS),
    Kind(LEASES, unconditional_update=False, created_by_update=True),
)


def custom_kind(resource: Resource, definition: Mapping[str, Any], rule: Rule = no_rule) -> Kind:
    """From a CustomResourceDefinition's document."""
    version = next(it for it in definition["spec"]["versions"] if it["name"] == resource.version)
    return Kind(
        resource,
        custom=True,
        status_subresource="status" in version.get("subresources", {}),
        has_generation=True,
        unconditional_update=False,
        schema=version["schema"]["openAPIV3Schema"],
        rule=rule,
    )
