"""Objects of the test kind, and waiting for something to become so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.apiserver.sample_crd import SAMPLES


def sample(name: str, **free: Any) -> dict[str, Any]:
    """``free`` may change."""
    return {
        "apiVersion": SAMPLES.api_version,
        "kind": SAMPLES.kind,
        "metadata": {"name": name},
        "spec": {"fixed": "always", "free": free},
    }


def eventually(holds: Callable[[], object], seconds: float = 120.0) -> None:
    """Fails when it does not hold within that time: generous, because machines are busy."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to hold"
        time.sleep(0.02)
