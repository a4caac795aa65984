"""What a rollout worker is made of, so that it can be made anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from rl_platform.data.shortened import shortened
from rl_platform.data.tree import ACTION
from rl_platform.envs.adapter import EnvironmentAdapter, EnvironmentFault
from rl_platform.envs.make import EnvironmentSpec, make_adapter
from rl_platform.envs.watchdog import Watchdog
from rl_platform.models.actors import make_actor
from rl_platform.models.policy import Policy
from rl_platform.workers.rollout_worker import RolloutWorker
from rl_platform.workers.worker_gradients import Differentiator


class Sampling(TypedDict):
    """How workers sample; see `RolloutWorker`."""

    look_back: int
    state_every: int | None
    seed: int
    collect_moments: bool
    return_gamma: float
    differentiator: Differentiator | None


@dataclass(frozen=True)
class Blueprint:
    """``num_envs`` environments, and the policies that act in them."""

    environment: EnvironmentSpec
    num_envs: int
    agents: Sequence[tuple[str, Sequence[str]]]  # policy, patterns of its agents' names
    policies: Mapping[str, Policy]
    step_timeout_seconds: float
    sampling: Sampling

    def build(self, source: int, on_hang: Callable[[str], None]) -> RolloutWorker:
        """Worker number ``source``, in a process that does nothing else. Raises what its environment
        raises, and EnvironmentFault where that has other spaces than the policies were made for.
        """
        watchdog = Watchdog(self.step_timeout_seconds, on_hang)
        with watchdog.one_call(self.num_envs):
            adapter = make_adapter(self.environment, self.num_envs, self.agents)
        try:
            self._refuse_other_spaces(adapter)
        except EnvironmentFault:
            adapter.close()
            raise
        return RolloutWorker(
            adapter,
            {name: make_actor(policy, threads=1) for name, policy in self.policies.items()},
            source=source,
            watchdog=watchdog,
            **self.sampling,
        )

    def _refuse_other_spaces(self, adapter: EnvironmentAdapter) -> None:
        for name, lanes in adapter.lanes.items():
            here, made_for = lanes.spaces, self.policies[name].spaces
            leaves = {**made_for.obs, **here.obs}
            different = [path for path in leaves if here.obs.get(path) != made_for.obs.get(path)]
            told = [f"{path} is {here.obs.get(path)}, not {made_for.obs.get(path)}" for path in different]
            if here.action != made_for.action:
                told.append(f"{ACTION} is {here.action}, not {made_for.action}")
            if told:
                raise EnvironmentFault(
                    f"environment {adapter.name!r} has other spaces in this process than in the driver's, "
                    f"policy {name}: {shortened('; '.join(told))}. Is the same version of it everywhere?"
                )
