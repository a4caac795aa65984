"""Every algorithm by its name in the manifest. Adding one: a member of the spec, a file here, a line
below.
"""

from __future__ import annotations

from rl_platform.algorithms.a2c import A2C
from rl_platform.algorithms.a3c import A3C
from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.algorithms.apex import APEX
from rl_platform.algorithms.appo import APPO
from rl_platform.algorithms.ddppo import DDPPO
from rl_platform.algorithms.dqn import DQN
from rl_platform.algorithms.impala import IMPALA
from rl_platform.algorithms.ppo import PPO

ALGORITHMS: dict[str, Algorithm] = {
    "ppo": PPO,
    "a2c": A2C,
    "a3c": A3C,
    "impala": IMPALA,
    "appo": APPO,
    "ddppo": DDPPO,
    "dqn": DQN,
    "apex": APEX,
}
