"""The operator as `python -m rl_operator` runs it, noting what it hears and does: ``measured_operator FILE [FLAGS]``.

At the end FILE holds two lists of [monotonic seconds, name of a job, its resource version]: ``heard``, when an event
was read from the connection, and ``began``, when a pass over the job began.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bare_watch import CHANGED
from rl_operator import __main__ as operator
from rl_operator.driver_contact import Key
from rl_operator.reconcile import Reconciler
from rl_operator.runtime.cluster_transport import ClusterTransport
from rl_operator.runtime.resources import TRAINING_JOBS
from rl_operator.runtime.transport import Request

heard: list[tuple[float, str, str]] = []
began: list[tuple[float, str, str | None]] = []
stream, reconcile = ClusterTransport.stream, Reconciler.reconcile


def listened(self: ClusterTransport, request: Request) -> Iterator[bytes]:
    for line in stream(self, request):
        found = CHANGED.search(line) if request.path == TRAINING_JOBS.path() else None
        if found is not None:
            heard.append((time.monotonic(), found[1].decode(), found[2].decode()))
        yield line


def noted(self: Reconciler, key: Key) -> float | None:
    began.append((time.monotonic(), key[1], self._caches.jobs.newest(*key)))
    return reconcile(self, key)


if __name__ == "__main__":
    ClusterTransport.stream = listened  # type: ignore[method-assign]  # the rest of the operator stays as it is
    Reconciler.reconcile = noted  # type: ignore[method-assign]  # likewise
    code = operator.main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps({"heard": heard, "began": began}))
    sys.exit(code)
