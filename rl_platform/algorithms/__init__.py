"""Every algorithm by its name in the manifest. Adding one: a member of the spec, a file here, a line
below.
"""

from __future__ import annotations

from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.algorithms.dqn import DQN
from rl_platform.algorithms.ppo import PPO

ALGORITHMS: dict[str, Algorithm] = {"ppo": PPO, "dqn": DQN}
