"""Finished episodes in few bytes: what is told of a fragment stays little, however short they are."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

MISSING = -1.0
"""Stands for the number of lives of a policy that took no part in an episode."""

Packed = list[Any]
"""Number of episodes, names of policies, columns."""


class Episode(NamedTuple):
    """One finished episode of one environment. With many lanes thousands end in a second."""

    episode_return: float  # sum over agents
    length: int  # env steps
    agent_returns: dict[str, list[float]]  # by policy, one for each life of an agent


def packed(episodes: Sequence[Episode]) -> Packed:
    """Column by column, and of these byte by byte: like lies by like."""
    policies = list(dict.fromkeys(policy for it in episodes for policy in it.agent_returns))
    numbers = [it.episode_return for it in episodes] + [float(it.length) for it in episodes]
    for policy in policies:
        lives = [it.agent_returns.get(policy) for it in episodes]
        numbers += [MISSING if each is None else float(len(each)) for each in lives]
        numbers += [value for each in lives for value in each or ()]
    columns = np.array(numbers, np.float64).view(np.uint8).reshape(-1, 8)
    return [len(episodes), policies, zlib.compress(columns.T.tobytes())]


def unpacked(told: Packed) -> list[Episode]:
    """The inverse of `packed`."""
    count, policies, columns = told
    octets = np.frombuffer(zlib.decompress(columns), np.uint8).reshape(8, -1)
    numbers = iter(np.ascontiguousarray(octets.T).view(np.float64).ravel().tolist())
    returns, lengths = _next(numbers, count), _next(numbers, count)
    episodes = [Episode(value, int(length), {}) for value, length in zip(returns, lengths, strict=True)]
    for policy in policies:
        for episode, lives in zip(episodes, _next(numbers, count), strict=True):
            if lives != MISSING:
                episode.agent_returns[policy] = [0.0] * int(lives)
        for episode in episodes:
            if policy in episode.agent_returns:
                episode.agent_returns[policy] = _next(numbers, len(episode.agent_returns[policy]))
    return episodes


def _next(numbers: Iterator[float], count: int) -> list[float]:
    return [next(numbers) for _ in range(count)]
