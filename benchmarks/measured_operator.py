"""The operator as `python -m rl_operator` runs it, noting when each pass began: ``measured_operator FILE [FLAGS]``.

At the end FILE holds a list of [monotonic seconds, name of the job, its resource version].
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from rl_operator import __main__ as operator
from rl_operator.driver_contact import Key
from rl_operator.reconcile import Reconciler

began: list[tuple[float, str, str | None]] = []
reconcile = Reconciler.reconcile


def noted(self: Reconciler, key: Key) -> float | None:
    began.append((time.monotonic(), key[1], self._caches.jobs.newest(*key)))
    return reconcile(self, key)


if __name__ == "__main__":
    Reconciler.reconcile = noted  # type: ignore[method-assign]  # the rest of the operator stays as it is
    code = operator.main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(began))
    sys.exit(code)
