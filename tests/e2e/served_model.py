"""A registered model where an application runs it: an environment with mlflow, numpy and onnxruntime only."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from rl_platform import load_policy
from tests.serving import fresh_environment

HERE = Path(__file__).parent
ANSWERING = HERE.parent / "serving" / "answering.py"


def ask(script: Path, cwd: Path, *arguments: str) -> dict[str, Any]:
    """What a script writes in the application's environment."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [str(fresh_environment.build()), "-I", str(script), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert said["foreign"] == []
    return said


def record(name: str, folder: Path, steps: int = 1000) -> None:
    """Observations of the real environment, and what the training library does with them, as NAME.npz."""
    policy = load_policy(f"models:/{name}@champion")
    environment = gymnasium.make("CartPole-v1")
    observation, _ = environment.reset(seed=11)
    observations, actions = [], []
    for _ in range(steps):
        action = policy.act(observation)
        observations.append(observation)
        actions.append(action)
        observation, _, terminated, truncated, _ = environment.step(action)
        if terminated or truncated:
            observation, _ = environment.reset()
    folder.mkdir()
    np.savez(
        folder / f"{name}.npz",
        obs=np.asarray(observations, np.float32)[:, None],
        action=np.asarray(actions)[:, None],
    )


def play(tracking_uri: str, name: str, cwd: Path) -> float:
    """Mean return of 100 episodes."""
    return float(ask(HERE / "playing.py", cwd, tracking_uri, name, "100")["return_mean"])


def deviation(tracking_uri: str, name: str, recordings: Path) -> float:
    """Between the actions recorded and those of the application."""
    return float(ask(ANSWERING, recordings, tracking_uri, str(recordings))["worst"][name])
