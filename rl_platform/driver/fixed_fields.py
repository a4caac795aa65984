"""What a run that goes on from a checkpoint must have in common with the one that made it.

Without it the run would go on and be something else than its own record says: other environments, a network
that reads the same weights differently, a seed that nothing was drawn from. On a cluster the API server
refuses more (`spec.mutability`); here settings of the algorithm may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rl_platform.spec.training_job import TrainingJob

FREE = frozenset({"stepTimeoutSeconds"})
SHOWN = 3


def fixed_fields(job: TrainingJob) -> dict[str, Any]:
    """By path in the spec."""
    spec = job.spec.model_dump(mode="json", by_alias=True)
    fixed = {"seed": spec["seed"], "rollouts.envsPerWorker": spec["rollouts"]["envsPerWorker"]}
    for section in ("environment", "model"):
        fixed |= {f"{section}.{name}": it for name, it in spec[section].items() if name not in FREE}
    return fixed


def other_settings(then: TrainingJob, now: TrainingJob) -> str:
    """What a run goes on with otherwise than it began; empty where nothing differs."""
    return changed_fields(_by_path(then), _by_path(now))


def refuse_changed(then: Mapping[str, Any], job: TrainingJob) -> None:
    """Raises ValueError that names the fields."""
    changed = changed_fields(then, fixed_fields(job))
    if changed:
        raise ValueError(
            f"{changed}. Set them back, or start another run, whose checkpoint.restoreFrom may "
            "name this checkpoint"
        )


def changed_fields(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first fields of both that differ, with their values; empty where none do. By path in the spec."""
    changed = [path for path in now if path in then and then[path] != now[path]]
    told = [f"spec.{path} was {then[path]!r} and is {now[path]!r}" for path in changed[:SHOWN]]
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    return "; ".join(told) + more


def _by_path(job: TrainingJob) -> dict[str, Any]:
    fields: dict[str, Any] = {}

    def add(path: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, child in value.items():
                add(f"{path}.{name}" if path else name, child)
        else:
            fields[path] = value

    add("", job.spec.model_dump(mode="json", by_alias=True))
    return fields
