"""How fast the learner goes on this machine's devices and precisions: PPO with the Nature network on images of
Atari's shape, one batch learned from again and again. ``python benchmarks/learner_devices.py``
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import torch

from rl_platform.driver.building import assemble
from rl_platform.spec.training_job import TrainingJob

BATCH, MINIBATCH, EPOCHS = 4096, 1024, 2


def seconds_per_iteration(learner: dict[str, Any], rounds: int) -> float:
    """Median time of one iteration's learning alone."""
    document = {
        "metadata": {"name": "devices"},
        "spec": {
            "environment": {"entrypoint": "synthetic_image:SyntheticImage"},
            "model": {"hidden": []},
            "algorithm": {"ppo": {"batchSize": BATCH, "minibatchSize": MINIBATCH, "epochs": EPOCHS}},
            "rollouts": {"envsPerWorker": 32},
            "learner": learner,
            "stop": {"envSteps": 10**9},
        },
    }
    made = assemble(TrainingJob.model_validate(document))
    made.workers.reset(0)
    times: list[float] = []
    before = 0.0
    for _ in made.plan:
        spent = made.plan.edges["ppo/train_one_step"].seconds
        times.append(spent - before)
        before = spent
        if len(times) > rounds:  # the first one warms up
            made.close()
            return statistics.median(times[1:])
    raise AssertionError("a plan never ends by itself")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    cases: dict[str, dict[str, Any]] = {"CPU float32": {}}
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        cases[f"{name} float32"] = {"gpusPerReplica": 1}
        cases[f"{name} bfloat16"] = {"gpusPerReplica": 1, "precision": "bfloat16"}
    else:
        print("no GPU here: its rows are left out")
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads; {BATCH} images, {EPOCHS} epochs")
    first = None
    for name, learner in cases.items():
        began = time.perf_counter()
        seconds = seconds_per_iteration(learner, rounds)
        first = first or seconds
        spent = time.perf_counter() - began
        print(
            f"{name:<28} {seconds * 1e3:9.1f} ms  {first / seconds:6.1f}x  ({spent:.0f} s in all)", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
