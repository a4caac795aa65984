"""Every manifest that we ship validates."""

from __future__ import annotations

from pathlib import Path

import pytest

from rl_platform.spec.manifest import load_manifest
from tests.contracts.source_files import ROOT

MANIFESTS = sorted((ROOT / "helm" / "examples").rglob("*.yaml"))


def test_there_are_examples() -> None:
    assert ROOT / "helm/examples/cartpole-ppo.yaml" in MANIFESTS


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(ROOT / "helm/examples")))
def test_the_example_validates_and_says_what_it_is_for(path: Path) -> None:
    job = load_manifest(path)
    assert job.metadata.name
    assert path.read_text().startswith("#"), "a line says what the example is for"
