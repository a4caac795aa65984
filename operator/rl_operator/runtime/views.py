"""What is made of cached objects, kept for the last few of them: a job is passed over many times between two
changes of its objects, and reading them anew would be a third of a pass.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

from rl_operator.runtime.cache import Cache, Object

View = TypeVar("View")
KEPT = 128  # 5 MiB of jobs


class Views(Generic[View]):
    """Thread-safe. ``make`` is a function of the object alone, and nobody changes what it gives."""

    def __init__(self, cache: Cache, make: Callable[[Object], View]) -> None:
        self._cache = cache
        self._view: Callable[[bytes], View] = lru_cache(KEPT)(lambda packed: make(cache.read(packed)))

    def get(self, namespace: str, name: str) -> View | None:
        packed = self._cache.packed(namespace, name)
        return self._view(packed) if packed is not None else None

    def of(self, key: tuple[str, str]) -> list[View]:
        """Of the objects that belong to ``key``, by name."""
        return [self._view(packed) for packed in self._cache.packed_of(key)]
