"""The next element is fetched while the present one is worked on: the API server works on it meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def one_ahead(source: Iterator[T]) -> Iterator[T]:
    """As ``source``, whose errors are raised in their place; one element more is in memory.

    Its threads are daemons: one that waits for an answer does not hold up the end of the process.
    """
    coming = _begin(source)
    while (found := coming.result()) is not None:
        coming = _begin(source)
        yield found[0]


def _begin(source: Iterator[T]) -> Future[tuple[T] | None]:
    future: Future[tuple[T] | None] = Future()
    threading.Thread(target=_step, args=(source, future), name="one ahead", daemon=True).start()
    return future


def _step(source: Iterator[T], future: Future[tuple[T] | None]) -> None:
    """None: there is no more."""
    try:
        future.set_result(next(((it,) for it in source), None))
    except Exception as error:  # noqa: BLE001 - raised again where the element is asked for
        future.set_exception(error)
