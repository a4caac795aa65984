"""Random trajectories: lanes cut from streams that are generated once, so an uncut reference exists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rl_platform.data.trajectory import ENDED, FIRST, TERMINATED, TRUNCATED, Final, Trajectory


@dataclass
class Stream:
    """One lane, uncut. obs[t] is a unique number; final[t] the last observation where t ends an episode."""

    obs: np.ndarray  # [N+1]
    reward: np.ndarray
    flags: np.ndarray
    value: np.ndarray  # [N+1]
    final: dict[int, float]
    final_value: dict[int, float]


def stream(rng: np.random.Generator, steps: int, end: float = 0.25) -> Stream:
    flags = np.zeros(steps, np.uint8)
    flags[0] |= FIRST
    final: dict[int, float] = {}
    for t in range(steps):
        if rng.random() < end:
            flags[t] |= TERMINATED if rng.random() < 0.5 else TRUNCATED
            final[t] = 1000.0 + t
            if t + 1 < steps:
                flags[t + 1] |= FIRST
    return Stream(
        np.arange(steps + 1, dtype=np.float32),
        rng.normal(size=steps).astype(np.float32),
        flags,
        rng.normal(size=steps + 1).astype(np.float32),
        final,
        {t: float(rng.normal()) for t in final},
    )


def fragments(streams: list[Stream], cuts: list[list[int]], rows: int, look_back: int) -> list[Trajectory]:
    """``cuts[lane]`` lists the lengths of that lane's rows in each fragment (at most ``rows``)."""
    position = [0] * len(streams)
    result = []
    for index in range(len(cuts[0])):
        lengths = [cut[index] for cut in cuts]
        result.append(_fragment(streams, position, lengths, rows, look_back, index))
        position = [p + n for p, n in zip(position, lengths, strict=True)]
    return result


def _fragment(
    streams: list[Stream], position: list[int], lengths: list[int], rows: int, look_back: int, sequence: int
) -> Trajectory:
    k, lanes = look_back, len(streams)
    obs = np.full((k + rows + 1, lanes), np.nan, np.float32)
    value = np.full((k + rows + 1, lanes), np.nan, np.float32)
    reward = np.full((k + rows, lanes), np.nan, np.float32)
    flags = np.full((k + rows, lanes), ENDED, np.uint8)  # rows beyond a lane's length hold nonsense
    back = np.zeros(lanes, np.int32)
    ends: list[tuple[int, int, float, float]] = []
    for lane, (source, start, length) in enumerate(zip(streams, position, lengths, strict=True)):
        back[lane] = min(k, start)
        first = start - back[lane]
        into = slice(k - back[lane], k + length)
        obs[k - back[lane] : k + length + 1, lane] = source.obs[first : start + length + 1]
        value[k - back[lane] : k + length + 1, lane] = source.value[first : start + length + 1]
        reward[into, lane] = source.reward[first : start + length]
        flags[into, lane] = source.flags[first : start + length]
        for t in range(start, start + length):
            if t in source.final:
                ends.append((k + t - start, lane, source.final[t], source.final_value[t]))
    final = Final(
        np.array([e[0] for e in ends], np.int32),
        np.array([e[1] for e in ends], np.int32),
        {"obs": np.array([e[2] for e in ends], np.float32)},
        {"value": np.array([e[3] for e in ends], np.float32)},
    )
    zeros = np.zeros((k + rows, lanes), np.int32)
    return Trajectory(
        obs={"obs": obs},
        action={"action": np.zeros((k + rows, lanes), np.int64)},
        reward=reward,
        flags=flags,
        extra={"value": value},
        back=back,
        length=np.array(lengths, np.int32),
        final=final,
        state={},
        state_every=rows,
        env=np.arange(lanes, dtype=np.int32),
        agent=np.zeros(lanes, np.int32),
        tick=zeros,
        episode=zeros.astype(np.int64),
        policy="default",
        version=0,
        source=0,
        sequence=sequence,
        look_back=k,
        full=all(length == rows for length in lengths),
    )
