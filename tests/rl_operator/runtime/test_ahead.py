"""Fetching one element ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rl_operator.runtime.ahead import one_ahead

WAIT_SECONDS = 20.0


def test_gives_what_the_source_gives_falsy_elements_too() -> None:
    assert list(one_ahead(iter([3, 0, None, 1]))) == [3, 0, None, 1]
    assert list(one_ahead(iter([]))) == []


def test_the_next_one_is_fetched_before_it_is_asked_for_and_no_more_than_that() -> None:
    begun = [threading.Event() for _ in range(4)]

    def source() -> Iterator[int]:
        for number, event in enumerate(begun):
            event.set()
            yield number

    ahead = one_ahead(source())
    assert next(ahead) == 0
    assert begun[1].wait(WAIT_SECONDS)
    assert not begun[2].wait(0.1)


def test_an_error_comes_after_what_came_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ConnectionError("lost")

    ahead = one_ahead(source())
    assert next(ahead) == 1
    with pytest.raises(ConnectionError, match="lost"):
        next(ahead)
