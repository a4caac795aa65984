"""A port of the cluster on this machine, by kubectl."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.kubectl import binary


@contextmanager
def forwarded(namespace: str, target: str, port: int) -> Iterator[str]:
    """``target``: as kubectl names it, such as svc/mlflow. Gives http://127.0.0.1:PORT."""
    command = [binary(), "-n", namespace, "port-forward", "--address=127.0.0.1", target, f":{port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", said)
        assert found, f"kubectl port-forward said {said!r}"
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        process.terminate()
        process.wait(60)
