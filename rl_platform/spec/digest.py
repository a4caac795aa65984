"""One word for everything in a spec that may not change, to see a change that got past the API server."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from rl_platform.spec.mutability import EVERY, MUTABLE
from rl_platform.spec.training_job import TrainingJobSpec


def spec_digest(spec: TrainingJobSpec) -> str:
    """``sha256:`` and 64 hexadecimal digits of the immutable part of a spec, free JSON included.

    What equals its default is left out: neither writing a default down nor a field that a newer version adds
    changes the digest. Numbers count by value: the API server writes 1.0 as 1.
    """
    document = spec.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    for section, mutable in MUTABLE.items():
        fields = document.pop(section, {})
        kept = {} if mutable == EVERY else {key: it for key, it in fields.items() if key not in mutable}
        if kept:
            document[section] = kept
    if spec.rollouts.replicas:
        document.setdefault("rollouts", {})["replicas"] = "some"  # how many may change, but not to none
    text = json.dumps(_by_value(document), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _by_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _by_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_by_value(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
