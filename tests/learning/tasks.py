"""What must be learned, from which example, to which return, within how many env steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "helm" / "examples"
SEEDS = (1, 2, 3)
EPISODES = 100


@dataclass(frozen=True)
class Task:
    """An example, with what its last checkpoint must score: ``least`` or, for what must fail, ``below``."""

    name: str
    example: str
    env_steps: int  # at most
    least: float | None = None
    below: float | None = None
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = SEEDS

    @property
    def needed(self) -> str:
        return f"≥ {self.least:g}" if self.least is not None else f"< {self.below:g}"

    def passes(self, score: float) -> bool:
        if self.least is not None:
            return score >= self.least
        return self.below is not None and score < self.below


LAGGING = (
    "spec.algorithm.impala.publishEvery=8",
    "spec.algorithm.impala.learningRate=4e-3",
    "spec.schedules.learningRate={kind: linear, final: 1e-3}",
    "spec.stop.envSteps=200000",
)
LAG = "IMPALA, CartPole-v1, weights published every 8th update"
TWO_WORKERS = ("spec.rollouts.replicas=2", "spec.learner.replicas=1")

TASKS = (
    Task("PPO, CartPole-v1", "cartpole-ppo", 150_000, least=475),
    Task("DQN, CartPole-v1", "cartpole-dqn", 150_000, least=475),
    Task("A2C, CartPole-v1", "cartpole-a2c", 310_000, least=475),
    Task("A3C, CartPole-v1", "cartpole-a3c", 310_000, least=475),
    Task("IMPALA, CartPole-v1", "cartpole-impala", 310_000, least=475),
    Task("APPO, CartPole-v1", "cartpole-appo", 310_000, least=475),
    Task(LAG, "cartpole-impala", 210_000, least=475, overrides=LAGGING),
    Task(
        "the same without V-trace",
        "cartpole-impala",
        210_000,
        below=200,
        overrides=(*LAGGING, "spec.algorithm.impala.correction=none"),
    ),
    Task("A2C with 2 workers", "cartpole-a2c", 310_000, least=475, overrides=TWO_WORKERS),
    Task("A3C with 2 workers", "cartpole-a3c", 310_000, least=475, overrides=TWO_WORKERS),
    Task("IMPALA with 2 workers", "cartpole-impala", 310_000, least=475, overrides=TWO_WORKERS),
    Task("APPO with 2 workers", "cartpole-appo", 310_000, least=475, overrides=TWO_WORKERS),
    Task("DD-PPO with 2 workers", "cartpole-ddppo", 310_000, least=475, overrides=TWO_WORKERS[:1]),
    Task("PPO, Pendulum-v1", "pendulum-ppo", 500_000, least=-250),
    Task("PPO with LSTM, CartPole-v1 without velocities", "cartpole-lstm", 500_000, least=400),
    Task(
        "the same without LSTM",
        "cartpole-lstm",
        500_000,
        below=400,
        overrides=("spec.model.recurrent.kind=none",),
    ),
    Task("PPO, two players, one policy (optimum 2)", "meeting-shared", 100_000, least=2),
    Task("PPO, two players, two policies (optimum 2)", "meeting-two", 100_000, least=2),
    Task("PPO, question about a set (optimum 10)", "lookup-set", 100_000, least=9.9),
    Task(
        "the same read in a fixed order, larger network",
        "lookup-set",
        100_000,
        below=7,
        overrides=("spec.model.encoder=flat", "spec.model.hidden=[256, 256]"),
    ),
)
