"""What the API server alone takes, for comparison: ``bare_watch KUBECONFIG FILE`` lists and watches TrainingJobs.

It asks as the operator does, and throws away what comes. It prints in how many seconds the list came; at SIGTERM
FILE holds a list of [monotonic seconds, name of a job, its resource version], one for each change.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

from rl_operator.runtime.cluster_transport import ClusterTransport, connect
from rl_operator.runtime.informer import PAGE
from rl_operator.runtime.resources import TRAINING_JOBS
from rl_operator.runtime.transport import Request

FOLLOWING = re.compile(rb'"continue":"([^"]+)"')
VERSION = re.compile(rb'"resourceVersion":"(\d+)"}}\s*$')
CHANGED = re.compile(rb'"name":"(job-\d+)".*?"resourceVersion":"(\d+)"')
METADATA_BYTES = 1000
"""A list of custom resources has its own metadata, no longer than this, at its end."""

came: list[tuple[float, str, str]] = []


def listed(transport: ClusterTransport) -> str:
    """Page by page; the version to watch from."""
    following = ""
    while True:
        query = (("limit", str(PAGE)), *((("continue", following),) if following else ()))
        end = transport.send(Request("GET", TRAINING_JOBS.path(), query)).body[-METADATA_BYTES:]
        found = FOLLOWING.search(end)
        if found is None:
            version = VERSION.search(end)
            assert version is not None, end
            return version[1].decode()
        following = found[1].decode()


def watch(kubeconfig: Path) -> None:
    """Until the server is gone, and then nothing is left of this process."""
    try:
        follow(kubeconfig)
    finally:
        os._exit(1)


def follow(kubeconfig: Path) -> None:
    transport = connect(kubeconfig)
    started = time.monotonic()
    version = listed(transport)
    print(time.monotonic() - started, flush=True)
    query = (("watch", "1"), ("resourceVersion", version))
    for line in transport.stream(Request("GET", TRAINING_JOBS.path(), query, timeout_seconds=600)):
        found = CHANGED.search(line)
        if found is not None:
            came.append((time.monotonic(), found[1].decode(), found[2].decode()))


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=watch, args=(Path(sys.argv[1]),), daemon=True).start()
    signal.sigwait([signal.SIGTERM])
    Path(sys.argv[2]).write_text(json.dumps(came))
