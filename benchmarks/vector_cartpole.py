"""CartPole-v1 for many lanes in numpy: the same equations as Gymnasium's, one array operation for all of them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, DT = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
X_LIMIT, ANGLE_LIMIT, MAX_STEPS = 2.4, 12 * 2 * np.pi / 360, 500


class VectorCartPole(VectorEnv):
    """Resets a lane in the tick in which its episode ends (autoreset SAME_STEP)."""

    def __init__(self, num_envs: int) -> None:
        high = np.array([2 * X_LIMIT, np.inf, 2 * ANGLE_LIMIT, np.inf], np.float32)
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.num_envs = num_envs
        self.single_observation_space = gymnasium.spaces.Box(-high, high, dtype=np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.state = np.zeros((4, num_envs))
        self.steps = np.zeros(num_envs, np.int64)
        self.rng = np.random.default_rng(0)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.state = self.rng.uniform(-0.05, 0.05, (4, self.num_envs))
        self.steps[:] = 0
        return self.state.T.astype(np.float32), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        x, speed, angle, turn = self.state
        force = np.where(actions == 1, FORCE, -FORCE)
        cosine, sine = np.cos(angle), np.sin(angle)
        shared = (force + POLE * HALF_LENGTH * turn**2 * sine) / (CART + POLE)
        turning = (GRAVITY * sine - cosine * shared) / (
            HALF_LENGTH * (4 / 3 - POLE * cosine**2 / (CART + POLE))
        )
        moving = shared - POLE * HALF_LENGTH * turning * cosine / (CART + POLE)
        self.state = np.stack([x + DT * speed, speed + DT * moving, angle + DT * turn, turn + DT * turning])
        self.steps += 1
        terminated = (np.abs(self.state[0]) > X_LIMIT) | (np.abs(self.state[2]) > ANGLE_LIMIT)
        truncated = (self.steps >= MAX_STEPS) & ~terminated
        info: dict[str, Any] = {}
        over = terminated | truncated
        if over.any():
            info["final_obs"], info["_final_obs"] = self.state.T.astype(np.float32), over
            self.state[:, over] = self.rng.uniform(-0.05, 0.05, (4, int(over.sum())))
            self.steps[over] = 0
        return self.state.T.astype(np.float32), np.ones(self.num_envs), terminated, truncated, info


def make(num_envs: int) -> VectorCartPole:
    """For ``environment.entrypoint`` with ``vectorized: true``."""
    return VectorCartPole(num_envs)
