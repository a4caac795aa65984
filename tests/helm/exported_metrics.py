"""Names of every metric that operator and driver can export, read from the modules that make them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from rl_platform.tracking.prometheus import _COUNTERS
from tests.contracts.source_files import ROOT

MODULES = (
    "operator/rl_operator/metrics.py",
    "operator/rl_operator/live_metrics.py",
    "operator/rl_operator/job_series.py",
    "rl_platform/tracking/prometheus.py",
)
PREFIXES = (
    "controller_runtime_",
    "leader_election_",
    "rest_client_",
    "rl_operator_",
    "rlp_",
    "trainingjob",
    "workqueue_",
)
SUFFIXES = ("", "_total", "_bucket", "_sum", "_count")


def exported() -> set[str]:
    """Every name with every suffix that its kind may give it."""
    named = {name for module in MODULES for name in _literals(ROOT / module)}
    named |= {f"rlp_{name}" for name in _COUNTERS}
    return {name + suffix for name in named for suffix in SUFFIXES}


def _literals(module: Path) -> Iterator[str]:
    constants = (it for it in ast.walk(ast.parse(module.read_text())) if isinstance(it, ast.Constant))
    texts = (it.value for it in constants if isinstance(it.value, str))
    yield from (it for it in texts if it.startswith(PREFIXES) and " " not in it)
