"""Many faults over one scenario, and what a test says of them."""

from __future__ import annotations

import gc
import logging
import zlib
from collections.abc import Callable, Sequence

import pytest

from tests.simulation.runs import explained, judged, reference
from tests.simulation.schedules import Fault

Record = Callable[[str, object], None]
SHOWN = 3
COLLECTED = 100  # runs between two collections


def hold(name: str, faults: Sequence[Fault], record: Record) -> None:
    """Fails with the first few cases that violate an oracle; records how much was tried."""
    logging.disable(logging.CRITICAL)
    gc.disable()  # a fifth faster; a world is about a megabyte
    try:
        reference(name)
        gc.collect()
        gc.freeze()  # what is there by now stays, and need not be searched at each collection
        states = {zlib.crc32(state.encode()) for state in reference(name).states}
        said = []
        for number, fault in enumerate(faults, 1):
            if number % COLLECTED == 0:
                gc.collect()
            outcome = judged(name, fault)
            states |= {zlib.crc32(state.encode()) for state in outcome.states}
            if outcome.violations:
                said.append(explained(name, fault, outcome, 25 if not said else 0))
    finally:
        gc.collect()
        gc.enable()
        logging.disable(logging.NOTSET)
    record("crash_points", len({(fault.counted, fault.at) for fault in faults}))
    record("crash_runs", len(faults))
    record("crash_states", sorted(states))
    if said:
        pytest.fail(f"{len(said)} of {len(faults)} runs:\n" + "\n\n".join(said[:SHOWN]), pytrace=False)
