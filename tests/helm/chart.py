"""The chart as Helm renders it. The binary is HELM, or the helm on the PATH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contracts.source_files import ROOT

CHART = ROOT / "helm" / "rl-platform"
VALUES = Path(__file__).parent / "values"
RELEASE, NAMESPACE = "trial", "rl-system"

Document = dict[str, Any]


class HelmFailed(Exception):
    """What Helm said."""


def binary() -> str:
    """Skips the test where there is none."""
    found = os.environ.get("HELM") or shutil.which("helm")
    if not found:
        pytest.skip("there is no helm: set HELM, or put it on the PATH")
    return found


def helm(*arguments: str, environment: Mapping[str, str] | None = None, timeout: float = 120.0) -> str:
    """Its output. Raises HelmFailed."""
    ran = subprocess.run(
        [binary(), *arguments],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    if ran.returncode != 0:
        raise HelmFailed(ran.stderr + ran.stdout)
    return ran.stdout


@cache
def render(
    values: str = "", *, release: str = RELEASE, namespace: str = NAMESPACE, sets: tuple[str, ...] = ()
) -> tuple[Document, ...]:
    """Every document. ``values``: a file of tests/helm/values, or JSON; ``sets``: as ``--set`` takes them."""
    given: list[str] = []
    if values.startswith("{"):
        given = [f"--set-json={key}={json.dumps(value)}" for key, value in json.loads(values).items()]
    elif values:
        given = ["--values", str(VALUES / f"{values}.yaml")]
    given += [f"--set={each}" for each in sets]
    return documents(helm("template", release, str(CHART), "--namespace", namespace, *given))


def documents(text: str) -> tuple[Document, ...]:
    return tuple(it for it in yaml.load_all(text, Loader=yaml.CSafeLoader) if it)


def value_files() -> list[str]:
    return sorted(it.stem for it in VALUES.glob("*.yaml"))


def only(found: Iterable[Document], kind: str, name: str | None = None) -> Document:
    """The one document of this kind and name."""
    (document,) = [it for it in found if it["kind"] == kind and name in (None, it["metadata"]["name"])]
    return document


def pod_templates(found: Iterable[Document]) -> list[tuple[str, Document]]:
    """Name, and metadata and spec, of every pod that the documents bring."""
    pods = []
    for document in found:
        if document["kind"] == "Pod":
            pods.append((document["metadata"]["name"], document))
        elif document["kind"] == "Deployment":
            pods.append((document["metadata"]["name"], document["spec"]["template"]))
    return pods
