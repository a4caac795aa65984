"""How seldom Python's collector of cyclic garbage looks through the operator's objects.

Parsed objects hold no cycles: they are freed at once. With the usual thresholds the collector looks through a
page of a list many times while it is parsed, which takes twice as long as the parsing; and a look through
everything beside 10,000 jobs holds up all threads.
"""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 50_000
"""As many new containers as a few hundred parsed objects have."""


def collect_seldom() -> None:
    """For the whole process, once its modules are there."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


def leave_out_what_stays() -> None:
    """What is there now is not looked through again; without cycles, it is still freed when it goes."""
    gc.freeze()
