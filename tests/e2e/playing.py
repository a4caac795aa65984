"""Runs where only mlflow, numpy and onnxruntime are: plays CartPole with a registered model.

``python playing.py TRACKING_URI NAME EPISODES`` writes the mean return. The cart and the pole are those of
Gymnasium's CartPole-v1 (Barto, Sutton and Anderson, 1983), for all episodes at once.
"""

from __future__ import annotations

import json
import sys

import mlflow
import numpy as np

FORCE, GRAVITY, CART, POLE, HALF_LENGTH, SECONDS = 10.0, 9.8, 1.0, 0.1, 0.5, 0.02
FARTHEST, WIDEST, LONGEST = 2.4, 12 * 2 * np.pi / 360, 500


def step(state: np.ndarray, action: np.ndarray) -> np.ndarray:
    """[B, 4] position, velocity, angle, angular velocity."""
    _, speed, angle, turning = state.T
    force = np.where(action == 1, FORCE, -FORCE)
    pull = (force + POLE * HALF_LENGTH * turning**2 * np.sin(angle)) / (CART + POLE)
    falling = (GRAVITY * np.sin(angle) - np.cos(angle) * pull) / (
        HALF_LENGTH * (4 / 3 - POLE * np.cos(angle) ** 2 / (CART + POLE))
    )
    pushed = pull - POLE * HALF_LENGTH * falling * np.cos(angle) / (CART + POLE)
    change = np.stack([speed, pushed, turning, falling], axis=1)
    moved: np.ndarray = state + SECONDS * change
    return moved


def returns(model: mlflow.pyfunc.PyFuncModel, episodes: int) -> np.ndarray:
    state = np.random.default_rng(7).uniform(-0.05, 0.05, (episodes, 4))
    total, open_ = np.zeros(episodes), np.ones(episodes, bool)
    for _ in range(LONGEST):
        said = model.predict(state.astype(np.float32))
        action = np.asarray(said["action"] if isinstance(said, dict) else said).reshape(episodes)
        state = step(state, action)
        total += open_
        open_ &= (np.abs(state[:, 0]) <= FARTHEST) & (np.abs(state[:, 2]) <= WIDEST)
    return total


def main() -> None:
    mlflow.set_tracking_uri(sys.argv[1])
    model = mlflow.pyfunc.load_model(f"models:/{sys.argv[2]}@champion")
    mean = float(returns(model, int(sys.argv[3])).mean())
    foreign = sorted({"rl_platform", "ray", "torch", "gymnasium", "onnx"} & set(sys.modules))
    sys.stdout.write(json.dumps({"return_mean": mean, "foreign": foreign}) + "\n")


main()
