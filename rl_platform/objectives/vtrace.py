"""V-trace: values and advantages of a policy from what an older one did (Espeholt et al. 2018, 1802.01561).

With pi the learner's policy, mu the actor's, V the learner's value (`rl_platform.workers.reassessment`) and

    rho_t = min(rho_max, pi(a_t|s_t) / mu(a_t|s_t)),  c_t = lambda min(c_max, pi(a_t|s_t) / mu(a_t|s_t)),
    d_t = rho_t (r_t + gamma V(s_{t+1}) - V(s_t)),

the targets are v_t = V(s_t) + sum_{i>=t} gamma^(i-t) (prod_{j=t}^{i-1} c_j) d_i (equation 1, remark 2), here
by v_t - V(s_t) = d_t + gamma c_t (v_{t+1} - V(s_{t+1})) (remark 1), and the advantage for the policy gradient
is rho_t (r_t + gamma v_{t+1} - V(s_t)) (section 4.2). Sums end with the episode and with the lane's rows; v
of what follows is 0 after TERMINATED, else the V of the observation there. On the actor's own policy, with
lambda 1, these are n-step returns and their advantages.

Shape legend: K look-back rows, T rows, L lanes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rl_platform.data.recipe import DataFn
from rl_platform.data.trajectory import ENDED, Trajectory
from rl_platform.data.tree import Tree
from rl_platform.objectives.gae import accumulate, next_values

LOG_PROBABILITY, VALUE = "learner/log_probability", "learner/value"


def vtrace(
    gamma: float, lam: float = 1.0, rho_max: float = 1.0, c_max: float = 1.0, corrected: bool = True
) -> DataFn:
    """A recipe step that adds ``advantage`` and ``return`` [T, L]; zero in rows beyond a lane's length.

    Not ``corrected``, all ratios count as 1, as if the learner had acted itself.
    """

    def correct(trajectory: Trajectory, columns: Tree, knobs: Mapping[str, np.ndarray]) -> Tree:
        del knobs
        k = trajectory.look_back
        reward = columns.get("reward", trajectory.reward[k:])
        value = trajectory.extra[VALUE][k:-1]
        log_ratio = (trajectory.extra[LOG_PROBABILITY] - trajectory.extra["log_probability"])[k:-1]
        following = next_values(trajectory, VALUE)
        going_on = (trajectory.flags[k:] & ENDED) == 0
        if not trajectory.full:
            valid = np.arange(trajectory.rows)[:, None] < trajectory.length
            reward, log_ratio, following, value = (
                np.where(valid, leaf, np.float32(0)) for leaf in (reward, log_ratio, following, value)
            )
            going_on &= valid
        ratio = np.exp(log_ratio) if corrected else np.ones_like(log_ratio)
        rho = np.minimum(ratio, np.float32(rho_max))
        carry = np.float32(gamma * lam) * np.minimum(ratio, np.float32(c_max)) * going_on
        excess = accumulate(rho * (reward + np.float32(gamma) * following - value), carry)
        following[:-1] += excess[1:] * going_on[:-1]
        advantage = rho * (reward + np.float32(gamma) * following - value)
        return {"advantage": advantage, "return": excess + value}

    return correct
