"""RLlib's PPO (new stack, no env runners beside the driver) on CartPole. Prints one JSON line.

Run in the peers' environment: python rllib.py ppo-cartpole ENV_STEPS
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled")

import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

torch.set_num_threads(1)


def main() -> None:
    began = time.perf_counter()
    steps = int(sys.argv[2])
    config = (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=8, rollout_fragment_length=128)
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
        .rl_module(
            model_config=DefaultModelConfig(
                fcnet_hiddens=[64, 64], fcnet_activation="tanh", vf_share_layers=False
            )
        )
        .debugging(seed=1, log_level="ERROR")
    )
    algorithm = config.build_algo()
    algorithm.train()
    start, done = time.perf_counter(), 0
    while done < steps:
        algorithm.train()
        done += 1024
    speed = done / (time.perf_counter() - start)
    print(json.dumps({"envStepsPerSecond": speed, "wallSeconds": time.perf_counter() - began}))
    algorithm.stop()


if __name__ == "__main__":
    main()
