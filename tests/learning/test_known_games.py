"""The example environments are what they say: their best returns are known, found here by trying all."""

from __future__ import annotations

from itertools import product

import gymnasium.utils.env_checker
import numpy as np
import pytest
from pettingzoo.test import parallel_api_test

from rl_platform.envs.examples.lookup import Lookup
from rl_platform.envs.examples.meeting import BEST_RETURN, PLAYERS, Meeting, fewest_ticks


def _won(cells: int, places: tuple[int, int]) -> bool:
    return places[0] == places[1] and places[0] in (0, cells - 1)


def _ticks_by_search(cells: int, start: tuple[int, int]) -> int:
    """Breadth first over all joint moves."""
    front, ticks = {start}, 0
    while not any(_won(cells, places) for places in front):
        moved = {
            tuple(min(max(place + move, 0), cells - 1) for place, move in zip(places, moves, strict=True))
            for places in front
            for moves in product((-1, 0, 1), repeat=2)
        }
        front, ticks = {(places[0], places[1]) for places in moved}, ticks + 1
    return ticks


@pytest.mark.parametrize("cells", [3, 4, 6, 7])
def test_the_shortest_way_to_a_meeting_is_what_a_search_finds(cells: int) -> None:
    for start in product(range(cells), repeat=2):
        assert fewest_ticks(cells, *start) == _ticks_by_search(cells, start)


def test_the_shortest_way_pays_the_best_return_and_a_wasted_tick_costs_both_players() -> None:
    for seed, wasted in product(range(30), (0, 1)):
        game = Meeting()
        game.reset(seed=seed)
        near_left = max(game.places) <= game.cells - 1 - min(game.places)
        total = 0.0
        if wasted:
            total += sum(game.step(dict.fromkeys(PLAYERS, 1))[1].values())
        while game.agents:
            total += sum(game.step(dict.fromkeys(PLAYERS, 0 if near_left else 2))[1].values())
        assert total == pytest.approx(BEST_RETURN - 0.5 * wasted)


def test_the_game_keeps_to_the_interface_and_to_its_limit() -> None:
    parallel_api_test(Meeting(), 300)
    game = Meeting(limit=4)
    game.reset(seed=1)
    for _ in range(4):
        _, _, over, late, _ = game.step(dict.fromkeys(PLAYERS, 1))
    assert (set(over.values()), set(late.values()), game.agents) == ({False}, {True}, [])


def test_the_answer_to_a_question_is_in_the_set_and_in_any_place() -> None:
    env = Lookup()
    gymnasium.utils.env_checker.check_env(env, skip_render_check=True)
    seen, _ = env.reset(seed=3)
    places, sizes, total = set(), set(), 0.0
    for _ in range(400):
        keys, answers = seen["pairs"][:, : env.keys].argmax(1), seen["pairs"][:, env.keys :].argmax(1)
        (place,) = np.flatnonzero(keys == seen["asked"])
        places.add(int(place))
        sizes.add(len(keys))
        seen, reward, over, _, _ = env.step(int(answers[place]))
        total += reward
        if over:
            assert total == env.questions
            total, (seen, _) = 0.0, env.reset()
    assert places == set(range(8))
    assert sizes == set(range(2, 9))
