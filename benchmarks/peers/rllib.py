"""RLlib (new stack) on CartPole. Prints one JSON line.

Run in the peers' environment: python rllib.py TASK ENV_STEPS, with TASK one of ppo-cartpole (no env runners beside the
driver), ppo-two-runners, impala-two-runners, impala-learner and dqn-two-runners (a line of updates per second).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled")

import ray
import torch
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

torch.set_num_threads(1)
SMALL = DefaultModelConfig(fcnet_hiddens=[64, 64], fcnet_activation="tanh", vf_share_layers=False)


def ppo(runners: int) -> Any:
    return (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(
            num_env_runners=runners,
            num_envs_per_env_runner=8 // max(1, runners),
            rollout_fragment_length=128,
        )
        .learners(num_learners=0)
        .training(
            lr=1e-3,
            gamma=0.99,
            lambda_=0.95,
            clip_param=0.2,
            vf_loss_coeff=0.5,
            entropy_coeff=0.0,
            grad_clip=0.5,
            use_kl_loss=False,
            train_batch_size_per_learner=1024,
            minibatch_size=256,
            num_epochs=4,
        )
        .rl_module(model_config=SMALL)
    )


def impala(learners: int) -> Any:
    return (
        IMPALAConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=2, num_envs_per_env_runner=4)
        .learners(num_learners=learners)
        .training(
            lr=1e-3,
            gamma=0.99,
            vf_loss_coeff=0.5,
            entropy_coeff=0.01,
            grad_clip=0.5,
            train_batch_size_per_learner=500,
        )
        .rl_module(model_config=SMALL)
    )


def dqn() -> Any:
    return (
        DQNConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=2, num_envs_per_env_runner=4, rollout_fragment_length=8)
        .learners(num_learners=0)
        .training(
            lr=2.5e-4,
            gamma=0.99,
            train_batch_size_per_learner=128,
            training_intensity=128 / 4,  # an update every 4 env steps
            num_steps_sampled_before_learning_starts=1000,
            target_network_update_freq=2000,  # env steps
            n_step=3,
            double_q=True,
            dueling=True,
            grad_clip=40.0,
            replay_buffer_config={"type": "PrioritizedEpisodeReplayBuffer", "capacity": 100_000},
        )
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[128, 128], fcnet_activation="relu"))
    )


TASKS: dict[str, Callable[[], Any]] = {
    "ppo-cartpole": lambda: ppo(0),
    "ppo-two-runners": lambda: ppo(2),
    "impala-two-runners": lambda: impala(0),
    "impala-learner": lambda: impala(1),
    "dqn-two-runners": dqn,
}
WARM = {"impala-two-runners": 2_000, "impala-learner": 2_000, "dqn-two-runners": 1_500}


def counted(result: dict[str, Any]) -> tuple[float, float]:
    """Env steps so far, and updates, if they are of 128 rows as DQN's here."""
    steps = result["env_runners"].get("num_env_steps_sampled_lifetime", 0)  # not there in a first second
    learner = result.get("learners", {}).get("default_policy", {})
    return steps, learner.get("num_module_steps_trained_lifetime", 0) / 128


def main() -> None:
    began = time.perf_counter()
    task, steps = sys.argv[1], int(sys.argv[2])
    config = TASKS[task]().debugging(seed=1, log_level="ERROR")
    if task != "ppo-cartpole":
        config = config.reporting(min_time_s_per_iteration=1)
    # As on our side, runners and learner begin however few cores there are: IMPALA waits for three otherwise.
    ray.init(num_cpus=8, log_to_driver=False)
    algorithm = config.build_algo()
    before = counted(algorithm.train())
    while before[0] < WARM.get(task, 0):
        before = counted(algorithm.train())
    start = time.perf_counter()
    now = before
    while now[0] - before[0] < steps:
        now = counted(algorithm.train())
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "envStepsPerSecond": (now[0] - before[0]) / seconds,
                "updatesPerSecond": (now[1] - before[1]) / seconds,
                "wallSeconds": time.perf_counter() - began,
            }
        )
    )
    algorithm.stop()


if __name__ == "__main__":
    main()
