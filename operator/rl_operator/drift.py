"""A spec whose immutable part was changed past the server's rules: by an older schema, or a loose comparison.

What runs goes on as it began, with the file that its driver has read; nothing new is made from such a spec.
"""

from __future__ import annotations

from rl_operator.observed import Job
from rl_platform.spec.digest import spec_digest


def drifted(job: Job) -> bool:
    """Looked at once for each generation, and from then on told by its condition."""
    status = job.status
    if status.observed_generation == job.generation:
        return any(it.reason == "SpecDrift" for it in status.conditions)
    return job.spec is not None and status.spec_digest not in (None, spec_digest(job.spec))
