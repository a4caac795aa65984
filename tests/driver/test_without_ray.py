"""A run in one process has nothing to do with Ray."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RUN = """
import sys
from tests.integration.probes import PPO, job
from rl_platform.driver.train import train

result = train(job({"id": "CartPole-v1"}, {"ppo": PPO}, stop={"envSteps": 512}), sys.argv[1])
assert result.env_steps >= 512
print(sorted(name for name in sys.modules if name.partition(".")[0] == "ray"))
"""


def test_a_run_in_one_process_imports_nothing_of_ray(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, str(tmp_path / "run")]
    root = Path(__file__).resolve().parents[2]
    paths = {"PYTHONPATH": f"{root}:{root / 'operator'}"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=paths, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
