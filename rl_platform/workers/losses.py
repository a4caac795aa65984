"""What a learner in other processes may lose."""

from __future__ import annotations


class LearnerLost(Exception):
    """A process of the learner is gone; what was learned since the last checkpoint went with it."""


def is_of_ray(error: BaseException) -> bool:
    """Ray itself is gone, or fails: not what a task of ours has raised. Ray need not be there."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("ray.")]
    return "RayError" in kinds and "RayTaskError" not in kinds


class DataLost(Exception):
    """What was to be learned from is gone, with the node where it lay."""
