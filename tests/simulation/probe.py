"""Scenarios by name, without a fault and with a few of each: ``python -m tests.simulation.probe NAME...``.

Ends with 1 at the first violation. What planted bugs are tried with.
"""

from __future__ import annotations

import logging
import sys

from tests.simulation.runs import explained, judged, reference, some_faults
from tests.simulation.schedules import CRASHES

EACH = 4
OTHERS = ("late-leader-1", "lag", "ray-lost", "event-lost")


def main(names: list[str]) -> int:
    logging.disable(logging.CRITICAL)
    for name in names:
        reference(name)
    for name in names:
        faults = [*some_faults(name, CRASHES, EACH, 1), *some_faults(name, OTHERS, EACH, 1)]
        for fault in faults:
            outcome = judged(name, fault)
            if outcome.violations:
                sys.stdout.write(explained(name, fault, outcome))
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
