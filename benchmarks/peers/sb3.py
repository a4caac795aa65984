"""Stable-Baselines3 on one of the tasks, timed from the end of its first iteration. Prints one JSON line.

Run in the peers' environment: python sb3.py TASK ENV_STEPS
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from synthetic_image import SyntheticImage
from vector_cartpole import VectorCartPole

torch.set_num_threads(1)
COMMON: dict[str, Any] = {
    "learning_rate": 1e-3,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_range": 0.2,
    "vf_coef": 0.5,
    "ent_coef": 0.0,
    "max_grad_norm": 0.5,
    "n_epochs": 4,
    "device": "cpu",
    "seed": 1,
}


class Clock(BaseCallback):
    """Env steps and time from the first rollout that begins with ``after`` env steps or more behind it."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after, self.began, self.base = after, 0.0, 0

    def _on_rollout_start(self) -> None:
        if not self.base and self.num_timesteps >= self.after:
            self.base, self.began = self.num_timesteps, time.perf_counter()

    def _on_step(self) -> bool:
        return True


class NativeVec(VecEnv):
    """The numpy CartPole as SB3 wants its vector environments."""

    def __init__(self, num_envs: int) -> None:
        self.env = VectorCartPole(num_envs)
        super().__init__(num_envs, self.env.single_observation_space, self.env.single_action_space)

    def reset(self) -> np.ndarray:
        return self.env.reset(seed=1)[0]

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = actions

    def step_wait(self) -> Any:
        obs, reward, terminated, truncated, info = self.env.step(self.actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for lane in np.flatnonzero(terminated | truncated):
            infos[lane] = {
                "terminal_observation": info["final_obs"][lane],
                "TimeLimit.truncated": bool(truncated[lane]),
            }
        return obs, reward.astype(np.float32), terminated | truncated, infos

    def close(self) -> None: ...
    def get_attr(self, name: str, indices: Any = None) -> list[Any]:
        return [None] * self.num_envs

    def set_attr(self, name: str, value: Any, indices: Any = None) -> None: ...
    def env_method(self, name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return [None] * self.num_envs

    def env_is_wrapped(self, wrapper: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


def model(task: str) -> tuple[Any, int]:
    """The model, and the env steps after which the clock starts."""
    settings: dict[str, Any]
    if task == "ppo-cartpole":
        envs = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * 8)
        return PPO("MlpPolicy", envs, n_steps=128, batch_size=256, **COMMON), 1024
    if task == "ppo-native":
        settings = {**COMMON, "n_epochs": 1}
        return PPO("MlpPolicy", NativeVec(1024), n_steps=32, batch_size=2048, **settings), 32768
    if task == "ppo-image":
        envs = DummyVecEnv([SyntheticImage] * 8)
        return PPO("CnnPolicy", envs, n_steps=128, batch_size=256, **COMMON), 1024
    envs = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * 8)
    # 8 env steps per call and 2 updates: one update for every 4 env steps, as on our side.
    settings = {
        "learning_rate": 1e-3,
        "batch_size": 128,
        "buffer_size": 100_000,
        "learning_starts": 1000,
        "train_freq": 1,
        "gradient_steps": 2,
        "target_update_interval": 1000,
        "exploration_fraction": 0.2,
        "device": "cpu",
        "seed": 1,
        "policy_kwargs": {"net_arch": [128, 128]},
    }
    return DQN("MlpPolicy", envs, **settings), 2000


def main() -> None:
    began = time.perf_counter()
    task, steps = sys.argv[1], int(sys.argv[2])
    learner, after = model(task)
    clock = Clock(after)
    learner.learn(steps, callback=clock)
    now = time.perf_counter()
    speed = (learner.num_timesteps - clock.base) / (now - clock.began)
    print(json.dumps({"envStepsPerSecond": speed, "wallSeconds": now - began}))


if __name__ == "__main__":
    main()
