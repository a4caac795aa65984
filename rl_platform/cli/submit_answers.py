"""What the API server's answers to a submitted manifest mean, and what a person can do about them."""

from __future__ import annotations

from rl_platform.cli.api_requests import Cluster
from rl_platform.cli.changes import change_text, changes
from rl_platform.cli.cluster_errors import ApiRefusal
from rl_platform.cli.seen_job import SeenJob
from rl_platform.spec.mutability import EVERY, MUTABLE
from rl_platform.spec.problems import Path, path_text

OBJECT = '"object": '  # what the API server calls the value of a rule at an object


def outcome(cluster: Cluster, before: SeenJob | None, now: SeenJob) -> str:
    """Of an accepted manifest. ``before``: the job as it was, or None where there was none."""
    name, namespace = now.name, now.namespace
    if before is None:
        watch = cluster.hint("watch", name, namespace)
        return f"{name} is submitted to namespace {namespace}; {watch} shows how it goes"
    found = list(changes(before.at("spec"), now.at("spec"), ("spec",)))
    for part in ("labels", "annotations"):
        old, new = before.at("metadata", part) or {}, now.at("metadata", part) or {}
        found += changes(old, new, ("metadata", part))
    if found:
        lines = [f"{name} is changed:", *(f"  {change_text(each)}" for each in found)]
        held = [path_text(path) for path, _, _ in found if path[0] == "spec" and not _may_change(path)]
        if held:
            lines.append(f"The operator takes no change of {', '.join(held)} and will say so in a condition.")
        return "\n".join(lines)
    text = f"{name} is there already, just like this ({before.state}): nothing changed"
    if before.finished:
        text += f". To train again, give it another name, or {cluster.hint('delete', name, namespace)} first"
    return text


def owners(error: ApiRefusal) -> str:
    """Which fields somebody else has set, and the two ways out."""
    fields = [f"{field.lstrip('.')} ({message})" for field, message in error.causes]
    if not fields:
        return str(error)
    return (
        f"somebody else has set {', '.join(fields)}: leave these fields out of the manifest, or take them "
        "over with `rlp submit --force`"
    )


def causes(error: ApiRefusal) -> str:
    """Field and sentence of each, without the server's dump of the value."""
    lines = [
        f"\n  {field}: {message.removeprefix('Invalid value: ').removeprefix(OBJECT)}"
        for field, message in error.causes
    ]
    return "".join(lines) or f" {error}"


def again(cluster: Cluster, name: str, namespace: str) -> str:
    """The ways on where a job that exists cannot become what the manifest says."""
    mutable = [
        section if names == EVERY else f"{section}.{field}"
        for section, names in MUTABLE.items()
        for field in sorted(names)
    ]
    delete = cluster.hint("delete", name, namespace)
    return (
        f"Give the new job another name (--set metadata.name=NAME), or {delete} first: "
        f"checkpoints at its checkpoint.uri stay. What can change: {', '.join(mutable)}."
    )


def _may_change(path: Path) -> bool:
    """Of a changed field, from the root. The API server looks into a free map only loosely."""
    names = MUTABLE.get(str(path[1]), frozenset()) if len(path) > 1 else frozenset()
    return names == EVERY or (len(path) > 2 and path[2] in names)
