"""The pages of the health server, over HTTP."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from rl_operator.health import HealthServer


class Served:
    """A server whose checks say what ``faults`` holds."""

    def __init__(self) -> None:
        self.faults = {"live": "", "ready": ""}
        registry = CollectorRegistry()
        Counter("things", "Counted.", registry=registry).inc(3)
        self.lines = 0
        self.server = HealthServer(
            "127.0.0.1",
            0,
            live=[lambda: "", lambda: self.faults["live"]],
            ready=[lambda: self.faults["ready"]],
            registry=registry,
            job_series=self._series,
        )
        self.server.start()

    def _series(self) -> Iterator[str]:
        yield "# HELP of_jobs Of jobs.\n# TYPE of_jobs gauge\n"
        for number in range(self.lines):
            yield f'of_jobs{{name="{number}"}} {number}\n'

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}{path}", timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()


@pytest.fixture
def served() -> Iterator[Served]:
    it = Served()
    yield it
    it.server.close()


def test_healthy_and_ready_until_a_check_says_otherwise(served: Served) -> None:
    assert served.get("/healthz") == (200, "ok\n") == served.get("/readyz?verbose")
    served.faults["live"] = "watch pods: no turn for 400 s"
    assert served.get("/healthz") == (503, "watch pods: no turn for 400 s\n")
    assert served.get("/readyz")[0] == 200
    served.faults = {"live": "", "ready": "pods: being listed"}
    assert served.get("/healthz")[0] == 200
    assert served.get("/readyz") == (503, "pods: being listed\n")


def test_metrics_of_the_registry_and_of_every_job_are_one_page(served: Served) -> None:
    served.lines = 1234
    status, text = served.get("/metrics")
    families = {it.name: it for it in text_string_to_metric_families(text)}
    assert status == 200
    assert families["things"].samples[0].value == 3
    assert [it.value for it in families["of_jobs"].samples] == list(range(1234))


def test_other_pages_and_methods_are_refused(served: Served) -> None:
    assert served.get("/")[0] == 404
    with pytest.raises(urllib.error.HTTPError, match="501"):
        urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{served.server.port}/metrics", method="POST"),
            timeout=10,
        )


def test_a_port_that_is_taken_is_an_error(served: Served) -> None:
    with pytest.raises(OSError, match="in use"):
        HealthServer(
            "127.0.0.1",
            served.server.port,
            live=[],
            ready=[],
            registry=CollectorRegistry(),
            job_series=lambda: iter(()),
        )
