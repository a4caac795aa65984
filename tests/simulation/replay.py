"""Plays one case of the crash tests again and shows everything: ``python -m tests.simulation.replay CASE``.

CASE is a scenario, or a scenario and a fault: ``fails_once:crash-after@7``.
"""

from __future__ import annotations

import sys

from tests.simulation.runs import explained, judged, play
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.schedules import parsed


def main(case: str) -> int:
    name, _, fault = case.partition(":")
    outcome = judged(name, parsed(fault)) if fault else play(SCENARIOS[name], None)
    sys.stdout.write(explained(name, parsed(fault) if fault else None, outcome, lines=100_000) + "\n")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
