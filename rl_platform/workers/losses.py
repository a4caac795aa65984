"""What a learner in other processes may lose."""

from __future__ import annotations


class LearnerLost(Exception):
    """A process of the learner is gone; what was learned since the last checkpoint went with it."""


class DataLost(Exception):
    """What was to be learned from is gone, with the node where it lay."""
