"""What the API server does to a document before it is stored: metadata, generation, status, schema, rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rl_operator.runtime.resources import Resource
from tests.simulation import structural
from tests.simulation.answers import CHANGED, Cause, bad_request, conflict, invalid
from tests.simulation.model_kinds import Kind, no_rule

Json = dict[str, Any]
KEPT_BY_SERVER = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "resourceVersion",
    "namespace",
    "name",
)
DNS = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
QUALIFIED = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
BLOCKING = {
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
    "FieldValueNotSupported",
}  # rules are not run beside such a fault
STANDARD_FINALIZERS = ("foregroundDeletion", "orphan", "kubernetes")


def shaped(kind: Kind, document: Json, old: Json | None = None) -> Json:
    """Pruned and with defaults, where the kind has a schema. What is the old version's very own stays."""
    if kind.schema is None:
        return {**(kind.fresh or {}), **document}
    known = kind.sections
    new = {key: document[key] for key in ("apiVersion", "kind", "metadata") if key in document}
    for key, value in document.items():
        if key in known and key not in new:
            unchanged = old is not None and old.get(key) is value
            new[key] = value if unchanged else known[key].shaped(value)
    for key, section in known.items():
        if key not in new and "default" in section.schema:
            new[key] = structural.fill(section.schema, section.schema["default"])
    return new


def check_kind(resource: Resource, document: Mapping[str, Any]) -> None:
    """Raises Refused: the body is of another kind or of none."""
    given = (document.get("apiVersion"), document.get("kind"))
    if given != (resource.api_version, resource.kind):
        raise bad_request(f"the object provided is of kind {given}, not {resource.kind}")


def check(kind: Kind, new: Json, old: Json | None) -> None:
    """Raises Refused (422) with every cause."""
    causes = [*_name_faults(new["metadata"]), *_owner_faults(new["metadata"])]
    causes += _finalizer_faults(kind, new["metadata"], old["metadata"] if old else None)
    if kind.schema is not None:
        causes += _schema_faults(kind, kind.schema, new, old or {})
    if not any(cause.reason in BLOCKING for cause in causes):
        causes += kind.rule(new, old)
    elif kind.rule is not no_rule:
        causes.append(Cause("FieldValueInvalid", "<nil>", "some validation rules were not checked"))
    if causes:
        raise invalid(kind.resource, new["metadata"].get("name", ""), causes)


def _schema_faults(kind: Kind, schema: Mapping[str, Any], new: Json, old: Json) -> Iterator[Cause]:
    for name in schema.get("required", ()):
        if name not in new:
            yield Cause("FieldValueRequired", name, "Required value")
    for key, section in kind.sections.items():
        if key in new and key not in ("metadata", "apiVersion", "kind") and new[key] is not old.get(key):
            yield from section.faults(new[key], key)


def _name_faults(metadata: Json) -> Iterator[Cause]:
    name = metadata.get("name", "")
    if not name:
        yield Cause("FieldValueRequired", "metadata.name", "name or generateName is required")
    elif not DNS.match(name) or len(name) > 253:
        yield Cause("FieldValueInvalid", "metadata.name", "a lowercase RFC 1123 subdomain")
    for key, value in (metadata.get("labels") or {}).items():
        if not QUALIFIED.match(key) or len(value) > 63:
            yield Cause("FieldValueInvalid", "metadata.labels", "an invalid label")


def _owner_faults(metadata: Json) -> Iterator[Cause]:
    owners = metadata.get("ownerReferences") or ()
    for index, owner in enumerate(owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield Cause(
                    "FieldValueInvalid", f"metadata.ownerReferences[{index}].{field}", "must not be empty"
                )
    if sum(1 for owner in owners if owner.get("controller")) > 1:
        yield Cause("FieldValueInvalid", "metadata.ownerReferences", "only one may be the controller")


def _finalizer_faults(kind: Kind, metadata: Json, old: Json | None) -> Iterator[Cause]:
    for finalizer in metadata.get("finalizers") or ():
        if not kind.custom and "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
            yield Cause("FieldValueInvalid", "metadata.finalizers", "name is neither a standard finalizer")
    if old is not None and "deletionTimestamp" in old:
        added = set(metadata.get("finalizers") or ()) - set(old.get("finalizers") or ())
        if added:
            yield Cause("FieldValueForbidden", "metadata.finalizers", "no new finalizers when deleting")


def created(kind: Kind, document: Json, namespace: str, uid: str, time: str) -> Json:
    """The first version of an object."""
    given = document.get("metadata") or {}
    dropped = {
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
        "managedFields",
        "selfLink",
    }
    metadata = {key: value for key, value in given.items() if key not in dropped and value is not None}
    metadata |= {"namespace": namespace, "uid": uid, "creationTimestamp": time}
    if kind.has_generation:
        metadata["generation"] = 1
    new = {key: value for key, value in document.items() if not (kind.status_subresource and key == "status")}
    new["metadata"] = metadata
    if kind.fresh_status is not None:
        new["status"] = dict(kind.fresh_status)
    return shaped(kind, new)


def updated(kind: Kind, old: Json, body: Json, subresource: str) -> Json:
    """What an update makes of the old version; whether it may be is not checked here."""
    if subresource == "status":
        status = {"status": body["status"]} if "status" in body else {}
        kept = {key: value for key, value in old.items() if key != "status"}
        return shaped(kind, kept | status, old)
    given = body.get("metadata") or {}
    metadata = {key: value for key, value in given.items() if key not in KEPT_BY_SERVER and value is not None}
    metadata.pop("managedFields", None)
    metadata |= {key: old["metadata"][key] for key in KEPT_BY_SERVER if key in old["metadata"]}
    new = {**body, "metadata": metadata}
    if kind.status_subresource:
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
    new = shaped(kind, new, old)
    if kind.has_generation and _content(kind, new) != _content(kind, old):
        metadata["generation"] = old["metadata"].get("generation", 0) + 1
    return new


def _content(kind: Kind, document: Json) -> Json:
    """What counts for the generation."""
    left_out = {"metadata", "status"} if kind.status_subresource else {"metadata"}
    return {key: value for key, value in document.items() if key not in left_out}


def check_version(kind: Kind, old: Json, body: Mapping[str, Any], *, patch: bool) -> None:
    """Raises Refused: another version (409), another object (409), no version where one is needed."""
    given = body.get("metadata") or {}
    name = old["metadata"]["name"]
    version, uid = given.get("resourceVersion"), given.get("uid")
    present = old["metadata"]["uid"]
    if uid and uid != present and patch:
        raise invalid(kind.resource, name, [Cause("FieldValueInvalid", "metadata.uid", "field is immutable")])
    if uid and uid != present:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {present}"
        raise conflict(kind.resource, name, why)
    if not version and not kind.unconditional_update and not patch:
        cause = Cause("FieldValueInvalid", "metadata.resourceVersion", "must be specified for an update")
        raise invalid(kind.resource, name, [cause], shown=kind.resource.plural)
    if version and version != old["metadata"]["resourceVersion"]:
        raise conflict(kind.resource, name, CHANGED)
