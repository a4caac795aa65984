"""Scenarios by name, without a fault and with some: ``python -m tests.simulation.probe NAME...``.

The first one is crashed at every write and loses every event, the others at a few. Ends with 1 at the first
violation. What planted bugs are tried with.
"""

from __future__ import annotations

import logging
import sys

from tests.simulation.runs import all_faults, explained, judged, reference, some_faults
from tests.simulation.schedules import CRASHES, Fault

EACH = 4
OTHERS = ("late-leader-1", "old-snapshot", "ray-lost", "event-lost")
LAGS = [Fault(kind, behind) for kind in ("lag", "lag-jobs", "lag-clusters", "lag-pods") for behind in (1, 3)]


def main(names: list[str]) -> int:
    logging.disable(logging.CRITICAL)
    for name in names:
        reference(name)
    for name in names:
        crashes = all_faults(name, CRASHES) if name == names[0] else some_faults(name, CRASHES, EACH, 1)
        lost = all_faults(name, ("event-lost",)) if name == names[0] else []
        for fault in [*LAGS, *lost, *some_faults(name, OTHERS, 2 * EACH, 1), *crashes]:
            outcome = judged(name, fault)
            if outcome.violations:
                sys.stdout.write(explained(name, fault, outcome))
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
