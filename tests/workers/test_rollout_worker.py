"""Rollout workers over chains: what was seen is stored once, as it was, however it is cut into fragments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_platform.data.trajectory import ENDED, EPISODE, FIRST, TERMINATED, TRUNCATED, Trajectory
from rl_platform.envs.adapter import Arrivals
from rl_platform.envs.gymnasium_adapter import GymnasiumAdapter
from rl_platform.objectives.n_step import n_step
from rl_platform.workers.rollout_worker import Fragment, RolloutWorker, environment_seeds
from tests.envs.chains import CUT, RESET, TERMINAL, ChainEnv, SavedChainEnv
from tests.workers.rows import lane_rows
from tests.workers.simple_actors import CountingActor, NoisyActor, SumActor, value_of

LANES = 3


class PacedAdapter(GymnasiumAdapter):
    """The same environments, reported the general way: lanes at their own pace."""

    lockstep = False

    def reset_into(self, arrivals: Mapping[str, Arrivals], seeds: Any) -> None:
        super().reset_into(arrivals, seeds)
        arrivals[self.policy].ready[:] = True

    def step_into(self, actions: Mapping[str, np.ndarray], arrivals: Mapping[str, Arrivals]) -> np.ndarray:
        over = super().step_into(actions, arrivals)
        arrivals[self.policy].ready[:] = True
        arrivals[self.policy].first[:] = over
        return over


def worker(
    actor: type[SumActor] = SumActor,
    env: type[ChainEnv] = ChainEnv,
    adapter: type[GymnasiumAdapter] = GymnasiumAdapter,
    lanes: int = LANES,
    **options: Any,
) -> RolloutWorker:
    environments = adapter(env, lanes, name="chain")
    return RolloutWorker(environments, {"default": actor(environments.lanes["default"].spaces)}, **options)


def fragments(made: RolloutWorker, cuts: list[int]) -> list[Fragment]:
    return [made.sample(ticks) for ticks in cuts]


def trajectories(made: list[Fragment]) -> list[Trajectory]:
    return [fragment.trajectories["default"] for fragment in made]


def played(seed: int, ticks: int) -> list[dict[str, Any]]:
    """The rows of one chain, by the plainest possible loop."""
    env = ChainEnv()
    obs, _ = env.reset(seed=seed)
    rows, first, tick, episode = [], True, 0, 1
    for _ in range(ticks):
        action = int(obs.sum()) % 3
        after, reward, terminated, truncated, _ = env.step(action)
        flags = int(FIRST) * first + int(TERMINATED) * terminated + int(TRUNCATED) * truncated
        row: dict[str, Any] = {
            "obs": obs.tolist(),
            "action": action,
            "reward": reward,
            "flags": flags,
            "tick": tick,
            "episode": episode * int(EPISODE),
            "value": float(value_of(obs[None])[0]),
        }
        which = "final" if terminated or truncated else "next"
        row[which] = {"obs": after.tolist()}
        row[f"{which} value"] = {"value": float(value_of(after[None])[0])}
        rows.append(row)
        obs, first, tick = after, False, tick + 1
        if which == "final":
            obs, first, tick, episode = env.reset()[0], True, 0, episode + 1
    return rows


@pytest.mark.parametrize("adapter", [GymnasiumAdapter, PacedAdapter])
def test_rows_are_those_of_a_plain_loop(adapter: type[GymnasiumAdapter]) -> None:
    made = worker(adapter=adapter)
    kept = trajectories(fragments(made, [40]))
    for lane, seed in enumerate(environment_seeds(0, 0, LANES, 0)):
        assert lane_rows(kept, lane) == played(seed, 40)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    look_back=st.integers(0, 3),
    adapter=st.sampled_from([GymnasiumAdapter, PacedAdapter]),
    actor=st.sampled_from([SumActor, CountingActor]),
)
def test_cuts_change_nothing(
    cuts: list[int], look_back: int, adapter: type[GymnasiumAdapter], actor: type[SumActor]
) -> None:
    cut = fragments(worker(actor, adapter=adapter, look_back=look_back), cuts)
    whole = fragments(worker(actor), [sum(cuts)])
    for lane in range(LANES):
        assert lane_rows(trajectories(cut), lane) == lane_rows(trajectories(whole), lane)
    assert [each for fragment in cut for each in fragment.episodes] == whole[0].episodes
    assert sum(fragment.env_steps for fragment in cut) == sum(cuts) * LANES
    assert sum(fragment.agent_steps["default"] for fragment in cut) == sum(cuts) * LANES


@pytest.mark.parametrize("adapter", [GymnasiumAdapter, PacedAdapter])
def test_no_stored_step_starts_where_an_episode_ended(adapter: type[GymnasiumAdapter]) -> None:
    (kept,) = trajectories(fragments(worker(adapter=adapter), [200]))
    markers = kept.obs["obs"][:-1, :, 3]
    assert not np.isin(markers, [TERMINAL, CUT]).any()
    assert np.array_equal(markers == RESET, (kept.flags & FIRST) != 0)
    assert set(kept.final.obs["obs"][:, 3]) == {TERMINAL, CUT}
    assert len(kept.final.row) == ((kept.flags & ENDED) != 0).sum()


@pytest.mark.parametrize("adapter", [GymnasiumAdapter, PacedAdapter])
def test_look_back_rows_are_the_rows_before(adapter: type[GymnasiumAdapter]) -> None:
    k = 4
    made = trajectories(fragments(worker(adapter=adapter, look_back=k), [3, 2, 6, 5]))
    whole = trajectories(fragments(worker(), [16]))[0]
    done = 0
    for kept in made:
        back = min(k, done)
        assert (kept.back == back).all()
        for name in ("reward", "flags", "tick", "episode"):
            before = getattr(whole, name)[done - back : done]
            assert np.array_equal(getattr(kept, name)[k - back : k], before), name
        assert np.array_equal(kept.obs["obs"][k - back : k], whole.obs["obs"][done - back : done])
        assert np.array_equal(kept.extra["value"][k - back : k], whole.extra["value"][done - back : done])
        done += int(kept.length[0])


@pytest.mark.parametrize("adapter", [GymnasiumAdapter, PacedAdapter])
def test_states_are_stored_as_they_were_before_their_rows(adapter: type[GymnasiumAdapter]) -> None:
    made = worker(CountingActor, adapter=adapter, state_every=3)
    fragments(made, [5])
    (kept,) = trajectories(fragments(made, [8]))
    assert kept.state["state/count"].shape == (3, LANES, 1)
    acted = np.where(kept.flags & FIRST, 0, (kept.extra["value"][:-1] // 1000))
    for chunk, row in enumerate((0, 3, 6)):
        inside = (kept.flags[row] & FIRST) == 0
        assert inside.any()
        assert np.array_equal(kept.state["state/count"][chunk, inside, 0], acted[row, inside])


def test_a_final_observation_is_valued_with_the_state_after_the_last_step() -> None:
    (kept,) = trajectories(fragments(worker(CountingActor), [60]))
    steps = kept.tick[kept.final.row, kept.final.lane] + 1
    assert np.array_equal(kept.final.extra["value"] // 1000, steps)


def test_noise_depends_on_seed_worker_and_fragment_and_not_on_what_was_sampled_before() -> None:
    def actions(seed: int, source: int, cuts: list[int]) -> np.ndarray:
        return trajectories(fragments(worker(NoisyActor, seed=seed, source=source), cuts))[-1].action[
            "action"
        ]

    assert np.array_equal(actions(1, 0, [9, 50]), actions(1, 0, [3, 50]))
    assert not np.array_equal(actions(1, 0, [50, 50]), actions(1, 0, [50]))
    assert not np.array_equal(actions(1, 0, [50]), actions(2, 0, [50]))
    assert not np.array_equal(actions(1, 0, [50]), actions(1, 1, [50]))


@given(seed=st.integers(0, 2**32 - 1), key=st.integers(-5, 5))
@settings(max_examples=10, deadline=None)
def test_no_two_environments_of_any_workers_get_the_same_seed(seed: int, key: int) -> None:
    seeds = [each for source in range(20) for each in environment_seeds(seed, source, 500, key)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= each < 2**31 for each in seeds)


def test_seeds_change_with_the_key_and_the_seed() -> None:
    assert environment_seeds(1, 0, 4, 0) == environment_seeds(1, 0, 4, 0)
    assert environment_seeds(1, 0, 4, 0) != environment_seeds(1, 0, 4, 1)
    assert environment_seeds(1, 0, 4, 0) != environment_seeds(2, 0, 4, 0)


@pytest.mark.parametrize("adapter", [GymnasiumAdapter, PacedAdapter])
def test_a_reset_starts_over_and_counts_the_steps_of_open_episodes(adapter: type[GymnasiumAdapter]) -> None:
    made = worker(adapter=adapter, look_back=2)
    (before,) = trajectories(fragments(made, [20]))
    open_steps = np.where(before.flags[-1] & ENDED, 0, before.tick[-1] + 1).sum()
    assert open_steps
    made.reset(7)
    first, second = fragments(made, [10, 1])
    kept = first.trajectories["default"]
    assert (first.abandoned.steps, second.abandoned.steps) == (open_steps, 0)
    assert (kept.back == 0).all()
    assert (kept.flags[2] & FIRST).all()
    for lane, seed in enumerate(environment_seeds(0, 0, LANES, 7)):
        rows = [{**row, "episode": 0} for row in lane_rows([kept], lane)]
        assert rows == [{**row, "episode": 0} for row in played(seed, 10)]
    assert kept.episode[2].min() > before.episode[-1].min()


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    resets=st.sets(st.integers(1, 7)),
    n=st.integers(1, 5),
    adapter=st.sampled_from([GymnasiumAdapter, PacedAdapter]),
)
def test_every_step_becomes_a_transition_or_is_counted_as_unfinished(
    cuts: list[int], resets: set[int], n: int, adapter: type[GymnasiumAdapter]
) -> None:
    made, become, taken, cut_off = worker(adapter=adapter, look_back=n - 1), n_step(n, 0.9), 0, 0
    for number, ticks in enumerate(cuts):
        if number in resets:
            made.reset(number)
        fragment = made.sample(ticks)
        taken += sum(fragment.agent_steps.values())
        taken -= len(become(fragment.trajectories["default"])["reward"])
        cut_off += fragment.abandoned.unfinished
    made.reset(99)
    assert taken == cut_off + made.abandoned.unfinished


@settings(max_examples=20, deadline=None)
@given(
    before=st.integers(1, 12),
    after=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    look_back=st.integers(0, 3),
    adapter=st.sampled_from([GymnasiumAdapter, PacedAdapter]),
    actor=st.sampled_from([SumActor, CountingActor, NoisyActor]),
)
def test_a_restored_worker_goes_on_exactly_where_environments_can_tell_their_state(
    before: int, after: list[int], look_back: int, adapter: type[GymnasiumAdapter], actor: type[SumActor]
) -> None:
    def fresh() -> RolloutWorker:
        return worker(actor, SavedChainEnv, adapter, look_back=look_back, collect_moments=True)

    made = fresh()
    made.sample(before)
    saved = made.snapshot()
    expected = fragments(made, after)
    other = fresh()
    other.restore(*saved)
    again = fragments(other, after)
    _same(expected, again)


@pytest.mark.parametrize("adapter", [GymnasiumAdapter, PacedAdapter])
def test_a_worker_saved_right_after_a_reset_goes_on_exactly_whatever_its_environments(
    adapter: type[GymnasiumAdapter],
) -> None:
    made = worker(CountingActor, adapter=adapter, look_back=2)
    made.sample(11)
    made.reset(5)
    saved = made.snapshot()
    assert saved[0]["environments"] is None
    expected = fragments(made, [6, 6])
    other = worker(CountingActor, adapter=adapter, look_back=2)
    other.restore(*saved)
    _same(expected, fragments(other, [6, 6]))


def test_without_environment_state_open_episodes_are_abandoned_and_counted() -> None:
    made = worker()
    made.sample(10)
    saved = made.snapshot()
    other = worker()
    other.restore(*saved)
    fragment = other.sample(5)
    (before,) = trajectories(fragments(worker(), [10]))
    assert fragment.abandoned.steps == np.where(before.flags[-1] & ENDED, 0, before.tick[-1] + 1).sum()
    assert (fragment.trajectories["default"].flags[0] & FIRST).all()
    assert fragment.trajectories["default"].sequence == 1


def _same(expected: list[Fragment], again: list[Fragment]) -> None:
    for lane in range(LANES):
        assert lane_rows(trajectories(again), lane) == lane_rows(trajectories(expected), lane)
    for one, other in zip(expected, again, strict=True):
        assert (one.episodes, one.abandoned) == (other.episodes, other.abandoned)
        mine, theirs = one.trajectories["default"], other.trajectories["default"]
        assert mine.sequence == theirs.sequence
        assert np.array_equal(mine.back, theirs.back)
        assert np.array_equal(mine.reward, theirs.reward)
        for path, leaf in mine.state.items():
            assert np.array_equal(leaf, theirs.state[path])
        for (_, seen), (_, seen_too) in zip(one.moments, other.moments, strict=True):
            assert all(np.array_equal(seen[path].m2, seen_too[path].m2) for path in seen)


@pytest.mark.parametrize("adapter", [GymnasiumAdapter, PacedAdapter])
def test_moments_are_those_of_all_rows_and_of_the_discounted_return(adapter: type[GymnasiumAdapter]) -> None:
    made = fragments(worker(adapter=adapter, collect_moments=True, return_gamma=0.5), [7, 1, 12])
    rows = [lane_rows(trajectories(made), lane) for lane in range(LANES)]
    observations = np.array([row["obs"] for lane in rows for row in lane])
    returns = []
    for lane in rows:
        running = 0.0
        for row in lane:
            running = (0.0 if row["flags"] & FIRST else running) * 0.5 + row["reward"]
            returns.append(running)
    total = {"obs": made[0].moments[0][1]["obs"], "return": made[0].moments[0][1]["return"]}
    for fragment in made[1:]:
        total = {path: total[path].merge(fragment.moments[0][1][path]) for path in total}
    assert total["obs"].count == total["return"].count == 20 * LANES
    assert total["obs"].mean == pytest.approx(observations.mean(axis=0))
    assert total["return"].mean == pytest.approx(np.mean(returns))
    assert total["return"].m2 / total["return"].count == pytest.approx(np.var(returns))


def test_episode_returns_are_what_was_paid() -> None:
    made = fragments(worker(), [5, 30, 5])
    episodes = [each for fragment in made for each in fragment.episodes]
    by_hand = []
    for lane in range(LANES):
        paid, steps = 0.0, 0
        for i, row in enumerate(lane_rows(trajectories(made), lane)):
            paid, steps = paid + row["reward"], steps + 1
            if row["flags"] & int(ENDED):
                by_hand.append((i, lane, paid, steps))
                paid, steps = 0.0, 0
    by_hand.sort()
    assert [(each.episode_return, each.length) for each in episodes] == [each[2:] for each in by_hand]
    assert all(each.agent_returns == {"default": [each.episode_return]} for each in episodes)


def test_arrays_that_were_handed_over_are_never_written_again() -> None:
    made = worker(look_back=2)
    kept = made.sample(6).trajectories["default"]
    copy = {path: leaf.copy() for path, leaf in kept.obs.items()}, kept.reward.copy(), kept.back.copy()
    made.sample(6)
    made.reset(3)
    made.sample(6)
    assert np.array_equal(copy[0]["obs"], kept.obs["obs"])
    assert np.array_equal(copy[1], kept.reward)
    assert np.array_equal(copy[2], kept.back)


def test_a_policy_without_an_actor_is_refused_by_name() -> None:
    environments = GymnasiumAdapter(ChainEnv, 1, name="chain")
    with pytest.raises(ValueError, match=r"no actor for policies \['default'\]"):
        RolloutWorker(environments, {})
