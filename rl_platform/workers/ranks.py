"""Learners that learn as one: what they have to tell each other."""

from __future__ import annotations

from typing import Any, Protocol


class Ranks(Protocol):
    """One of ``count`` learners, by its number ``rank``."""

    rank: int
    count: int

    def sum(self, array: Any) -> None:
        """Put the sum over all ranks in place of a numpy array or a tensor, the same bits at each of them."""


class OneRank:
    """A learner by itself."""

    rank, count = 0, 1

    def sum(self, array: Any) -> None:
        """It is its own sum."""


ONE_RANK = OneRank()
