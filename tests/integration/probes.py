"""Environments whose right values and actions are known exactly, and jobs that train on them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Space
from pettingzoo import ParallelEnv

from rl_platform.driver.building import Assembly, assemble
from rl_platform.spec.training_job import TrainingJob

Outcome = tuple[Any, float, bool, bool, dict[str, Any]]
ONE = Box(-2.0, 2.0, (1,), np.float32)


class Probe(gymnasium.Env[Any, Any]):
    """Small environments say what they show (`seen`) and pay (`play`); an episode has ``length`` steps."""

    length = 1
    observation_space: Space[Any] = ONE
    action_space: Space[Any] = Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0
        return self.seen(), {}

    def step(self, action: Any) -> Outcome:
        reward = self.play(action)
        self.at += 1
        return self.seen(), reward, self.at == self.length, False, {}

    def seen(self) -> Any:
        return np.zeros(1, np.float32)

    def play(self, action: Any) -> float:
        raise NotImplementedError


class Endless(Probe):
    """Reward 1 for ever, always the same observation: worth 1 / (1 - gamma), however it is truncated."""

    length = -1

    def play(self, action: Any) -> float:
        return 1.0


class Ramp(Probe):
    """Shows 0 and pays nothing once, then shows 1 and pays 1 for ever: worth 9, then 10 with gamma 0.9.

    The last observation of a truncated episode is worth more than the first one of the next.
    """

    length = -1

    def seen(self) -> Any:
        return np.full(1, min(self.at, 1), np.float32)

    def play(self, action: Any) -> float:
        return float(self.at > 0)


class TwoSteps(Probe):
    """Shows 0, then 1; pays 1 for the second step: worth gamma, then 1."""

    length = 2

    def seen(self) -> Any:
        return np.full(1, min(self.at, 1), np.float32)

    def play(self, action: Any) -> float:
        return float(self.at == 1)


class Signed(Probe):
    """Shows -1 or 1, drawn at reset."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        gymnasium.Env.reset(self, seed=kwargs.get("seed"))
        self.sign = int(self.np_random.choice([-1, 1]))
        self.at = 0
        return self.seen(), {}

    def seen(self) -> Any:
        return np.full(1, self.sign, np.float32)


class PaysObservation(Signed):
    """Pays what it shows, whatever is done."""

    def play(self, action: Any) -> float:
        return float(self.sign)


class PaysMatch(Signed):
    """Pays 1 for action 1 where it shows 1 and for action 0 where it shows -1, else -1."""

    def play(self, action: Any) -> float:
        return 1.0 if (action == 1) == (self.sign == 1) else -1.0


class TwoActions(Probe):
    """Pays 1 for action 1 and -1 for action 0."""

    def play(self, action: Any) -> float:
        return 1.0 if action == 1 else -1.0


class BoxBandit(Probe):
    """Pays least loss at 3 of [2, 10] and 0.2 of [-1, 0.5], neither of them in the middle."""

    action_space = Box(np.array([2.0, -1.0], np.float32), np.array([10.0, 0.5], np.float32))
    best = np.array([3.0, 0.2])
    span = np.array([8.0, 1.5])

    def play(self, action: Any) -> float:
        return -float(np.square((np.asarray(action) - self.best) / self.span).sum())


class IllegalAction(Exception):
    """An action was chosen that the mask forbids."""


class Masked(Probe):
    """Random masks over seven actions, sometimes with a single legal one; an illegal action is an error."""

    length = 7
    observation_space = Dict(
        {"number": Box(-1.0, 1.0, (3,), np.float32), "action_mask": Box(0, 1, (7,), np.int8)}
    )
    action_space: Space[Any] = Discrete(7)

    def seen(self) -> Any:
        mask = self.np_random.random(7) < 0.4
        mask[self.np_random.integers(7)] = True
        self.mask = mask
        return {
            "number": self.np_random.uniform(-1, 1, 3).astype(np.float32),
            "action_mask": mask.astype(np.int8),
        }

    def play(self, action: Any) -> float:
        if not self.mask[action]:
            raise IllegalAction(f"action {action} is illegal: {self.mask}")
        return float(action)


class MaskedPair(Masked):
    """The same with two choices, of three and of four."""

    action_space = MultiDiscrete([3, 4])

    def seen(self) -> Any:
        seen = super().seen()
        self.mask[self.np_random.integers(3)] = True
        self.mask[3 + self.np_random.integers(4)] = True
        return {**seen, "action_mask": self.mask.astype(np.int8)}

    def play(self, action: Any) -> float:
        if not (self.mask[action[0]] and self.mask[3 + action[1]]):
            raise IllegalAction(f"actions {action} are illegal: {self.mask}")
        return 0.0


class Wide(Probe):
    """Random numbers on very different scales, large rewards; ends after 5 steps or so."""

    observation_space = Box(-np.inf, np.inf, (3,), np.float32)
    scale = np.array([100.0, 1.0, 0.01], np.float32)
    centre = np.array([500.0, 0.0, 0.05], np.float32)
    action_space: Space[Any] = Box(-1.0, 1.0, (2,), np.float32)
    length = 5

    def seen(self) -> Any:
        return (self.centre + self.scale * self.np_random.standard_normal(3)).astype(np.float32)

    def play(self, action: Any) -> float:
        return 1000.0 * float(self.np_random.standard_normal())


class Team(ParallelEnv[str, np.ndarray, int]):
    """Four players, each paid 1 for the action that its side likes: red 1, blue 0."""

    metadata = {"name": "team_v0"}  # noqa: RUF012  # PettingZoo declares it so

    def __init__(self) -> None:
        self.possible_agents = ["red_0", "red_1", "blue_0", "blue_1"]
        self.agents: list[str] = []
        self.seen = dict.fromkeys(self.possible_agents, ONE)
        self.acts = {agent: Discrete(2) for agent in self.possible_agents}
        self.tick = 0

    def observation_space(self, agent: str) -> Space[Any]:
        return self.seen[agent]

    def action_space(self, agent: str) -> Space[Any]:
        return self.acts[agent]

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.tick = list(self.possible_agents), 0
        return {agent: np.ones(1, np.float32) for agent in self.agents}, {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> Any:
        self.tick += 1
        over = self.tick == 4
        agents = list(actions)
        paid = {agent: float(actions[agent] == int(agent.startswith("red"))) for agent in agents}
        seen = {agent: np.ones(1, np.float32) for agent in agents}
        if over:
            self.agents = []
        ends = dict.fromkeys(agents, over)
        return seen, paid, ends, dict.fromkeys(agents, False), {agent: {} for agent in agents}


PPO = {"learningRate": 1e-2, "batchSize": 256, "minibatchSize": 64}
A2C = {"learningRate": 1e-2, "fragmentLength": 8}
IMPALA = {"learningRate": 1e-2, "fragmentLength": 8, "batchSize": 64, "publishEvery": 4}
APPO = {
    "learningRate": 1e-2,
    "fragmentLength": 8,
    "batchSize": 128,
    "minibatchSize": 64,
    "publishEvery": 6,
}
DQN = {
    "learningRate": 1e-2,
    "batchSize": 32,
    "learningStarts": 64,
    "trainEvery": 4,
    "targetUpdateEvery": 10,
    "exploration": {"initial": 1.0, "final": 0.5, "steps": 1000},
}

APEX = DQN | {"publishEvery": 8, "exploration": {"epsilon": 0.9, "exponent": 1}}


def job(environment: dict[str, Any] | str, algorithm: dict[str, Any], **spec: Any) -> TrainingJob:
    """A job over a probe (its class name) or an environment; small, untracked, not evaluated."""
    if isinstance(environment, str):
        environment = {"entrypoint": f"tests.integration.probes:{environment}"}
    document = {
        "rollouts": {"envsPerWorker": 8},
        "model": {"hidden": [16]},
        "stop": {"envSteps": 1_000_000},
        "tracking": {"enabled": False},
        "evaluation": {"episodes": 0},
        "seed": 1,
    } | spec
    document |= {"environment": environment, "algorithm": algorithm}
    return TrainingJob.model_validate({"metadata": {"name": "probe"}, "spec": document})


def trained(of: TrainingJob, env_steps: int, weights: np.ndarray | None = None) -> Assembly:
    """Run the job's plan for so many env steps, without a driver around it."""
    assembly = assemble(of)
    assembly.workers.reset(0)
    if weights is not None:
        assembly.run.learner.load_weights("default", weights)
        assembly.run.publish(0, 0)
    if env_steps:
        for _ in assembly.plan:
            if assembly.plan.counters.env_steps >= env_steps:
                break
    return assembly
