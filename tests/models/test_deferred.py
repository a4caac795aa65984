"""What is said of a fragment later is what would have been said at each tick."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rl_platform.data.spaces import ActionSpace, Spaces
from rl_platform.data.tree import ACTION_MASK
from rl_platform.envs.gymnasium_adapter import GymnasiumAdapter
from rl_platform.models import deferred
from rl_platform.models.actors import NumpyActor
from rl_platform.models.build import actor_critic_policy, initial_knobs, q_policy
from rl_platform.models.deferred import SCORES
from rl_platform.models.policy import Policy
from rl_platform.workers.rollout_worker import RolloutWorker
from tests.envs.chains import ChainEnv
from tests.models import policies as p

LSTM = p.Model(recurrent=p.Recurrent("lstm"))


def loaded(policy: Policy) -> NumpyActor:
    """With its second weights."""
    actor, knobs = NumpyActor(policy), initial_knobs(policy)
    actor.load(p.random_weights(policy.layout.size, 5), {name: knob + 1 for name, knob in knobs.items()}, 1)
    actor.load(p.random_weights(policy.layout.size, 4), knobs, 2)
    return actor


@pytest.mark.parametrize("space", [p.DISCRETE, p.MULTI], ids=["discrete", "multi_discrete"])
@pytest.mark.parametrize("masked", [False, True], ids=["free", "masked"])
@pytest.mark.parametrize("noisy", [True, False], ids=["noise", "mode"])
def test_actions_are_the_same_and_so_is_what_is_said_of_them(
    space: ActionSpace, masked: bool, noisy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, "ROWS_AT_ONCE", 7)
    spaces = p.masked(p.DICT, space) if masked else Spaces(dict(p.DICT), space)
    actor = loaded(actor_critic_policy(spaces, p.Model(observation_filter="meanStd")))
    rng, later = np.random.default_rng(3), actor.deferred
    assert later is not None
    obs = p.observations(spaces, (80,), rng)
    noise = actor.draw_noise(rng, (80,)) if noisy else None
    at_once, chosen = actor.act(obs, {}, None, noise), later.choose(obs, {}, None, noise)
    np.testing.assert_array_equal(chosen.action, at_once.action)
    np.testing.assert_array_equal(chosen.env_action, at_once.env_action)
    said = later.log_probability(chosen.action, chosen.extra[SCORES])
    np.testing.assert_allclose(said, at_once.extra["log_probability"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(later.value(obs), at_once.extra["value"], rtol=1e-5, atol=1e-6)


def test_a_row_without_a_legal_action_is_refused() -> None:
    spaces = p.masked(p.BOX, p.DISCRETE)
    obs = p.observations(spaces, (4,), np.random.default_rng(0))
    obs[ACTION_MASK][2] = 0
    later = loaded(actor_critic_policy(spaces, p.Model())).deferred
    assert later is not None
    with pytest.raises(ValueError, match="no legal action in row 2 of 4"):
        later.choose(obs, {}, None, None)


@pytest.mark.parametrize(
    "policy",
    [
        actor_critic_policy(Spaces(dict(p.BOX), p.BOX_ACTION), p.Model()),
        actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model(share_trunk="shared")),
        actor_critic_policy(Spaces(dict(p.BOX), p.DISCRETE), LSTM),
        actor_critic_policy(Spaces(dict(p.SET), p.DISCRETE), p.Model()),
        q_policy(Spaces(dict(p.BOX), p.DISCRETE), p.Model()),
    ],
    ids=["continuous", "one trunk", "memory", "set", "values of actions"],
)
def test_other_policies_say_everything_at_once(policy: Policy) -> None:
    assert loaded(policy).deferred is None


@pytest.mark.parametrize("look_back", [0, 3])
def test_fragments_are_those_of_a_policy_that_says_everything_at_once(look_back: int) -> None:
    def fragments(now: bool) -> list[Any]:
        adapter = GymnasiumAdapter(ChainEnv, 3, name="chain")
        actor = loaded(actor_critic_policy(adapter.lanes["default"].spaces, p.Model()))
        if now:
            actor.deferred = None
        worker = RolloutWorker(adapter, {"default": actor}, look_back=look_back, seed=5)
        return [worker.sample(ticks).trajectories["default"] for ticks in (1, 9, 4)]

    for later, now in zip(fragments(False), fragments(True), strict=True):
        np.testing.assert_array_equal(later.action["action"], now.action["action"])
        assert later.extra.keys() == now.extra.keys()
        for name, leaf in later.extra.items():
            np.testing.assert_allclose(leaf, now.extra[name], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(later.flags, now.flags)
