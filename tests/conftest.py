"""One thread per process, as measurements and reproducibility assume; examples have no deadline.

A real API server is started for the tests that ask for it.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.apiserver.control_plane import ControlPlane

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

# A busy machine is no bug. With CI set, hypothesis loads a profile of its own that knows this.
if "CI" not in os.environ:
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server, one for each test process; skipped where its programs are not at hand."""
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    if not assets:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver: make control-plane")
    from tests.apiserver.control_plane import ControlPlane

    server = ControlPlane(Path(assets), tmp_path_factory.mktemp("control-plane"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def namespace(api_server: ControlPlane) -> str:
    """A new one on the real API server."""
    name = f"test-{uuid4().hex[:12]}"
    api_server.create_namespace(name)
    return name


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever uses Ray is a test of Ray."""
    for item in items:
        if "ray_here" in getattr(item, "fixturenames", ()):
            item.add_marker("ray")


def pytest_collection_finish() -> None:
    """Some thousand tests and all they import stay to the end: no collection need search them."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the crash tests have tried."""
    from tests.simulation.summary import summary

    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    said = summary(each for report in reports for each in report.user_properties)
    if said:
        terminalreporter.write_line(said)
