"""What a full object store of Ray means to a person. What does not fit is on disk, so that is full too."""

from __future__ import annotations

FULL = frozenset({"ObjectStoreFullError", "OutOfDiskError"})
"""Names of Ray's exceptions: Ray itself need not be there."""


def is_full(error: BaseException) -> bool:
    return any(kind.__name__ in FULL for kind in type(error).__mro__)


def what_to_do(error: BaseException) -> str:
    first = str(error).strip().partition("\n")[0]
    return (
        f"Ray's object-store memory is full, and so is the disk that it writes to instead: {first}; raise "
        "resources.memory of spec.rollouts, spec.learner and spec.driver, of which the object store is a "
        "part, or their resources.ephemeralStorage; on one machine free some disk where TMPDIR is, or sample "
        "less at a time (fragmentLength, envsPerWorker, batchSize)"
    )
