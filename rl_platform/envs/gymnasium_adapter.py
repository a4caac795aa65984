"""Gymnasium environments in this process, stepped in a loop and reset in the tick in which their episode
ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from rl_platform.data.trajectory import TERMINATED, TRUNCATED
from rl_platform.data.tree import ACTION_MASK, Tree
from rl_platform.envs.adapter import Arrivals, EnvironmentFault, Lanes
from rl_platform.envs.environment_state import get_environment_state, set_environment_state
from rl_platform.envs.faults import (
    RAISED,
    SCALARS,
    BadEnvironment,
    check_flag,
    check_reward,
    fault_at,
)
from rl_platform.envs.observation_writer import (
    Writer,
    mask_writer,
    observation_writer,
    refuse_late_mask,
    refusing_without_action,
)
from rl_platform.envs.spaces import MASK_KEY, UnsupportedSpace, action_list, policy_spaces

Env = gymnasium.Env[Any, Any]


class GymnasiumAdapter:
    """``num_envs`` environments of one policy, one lane each. See `EnvironmentAdapter`.

    ``make`` gives a new environment at each call. One environment is reset once to see whether its ``info``
    carries an action mask.
    """

    lockstep = True
    late_reset = False

    def __init__(
        self,
        make: Callable[[], Env],
        num_envs: int,
        *,
        name: str,
        policy: str = "default",
        max_set_size: int | None = None,
    ) -> None:
        self.name, self.num_envs, self.policy = name, num_envs, policy
        self.current = 0
        self._envs: list[Env] = []
        try:
            self._envs.append(make())
            first = self._envs[0]
            info = self._first_info()
            masked = isinstance(info, Mapping) and MASK_KEY in info
            self._spaces = policy_spaces(first.observation_space, first.action_space, max_set_size, masked)
            self._envs.extend(make() for _ in range(num_envs - 1))
        except (UnsupportedSpace, BadEnvironment, EnvironmentFault):
            self.close()
            raise
        except RAISED as error:
            self.close()
            raise fault_at(name, len(self._envs), "start", error) from error
        index = np.arange(num_envs, dtype=np.int32)
        self.lanes: Mapping[str, Lanes] = {policy: Lanes(self._spaces, index, np.zeros_like(index), ("",))}
        self._write = observation_writer(first.observation_space, max_set_size)
        # The last observation of an episode may leave nothing to do.
        self._write_final = self._write
        self._write_mask: Writer | None = None
        self._write_final_mask = mask_writer(self._spaces.obs[ACTION_MASK].shape[0]) if masked else None
        if self._write_final_mask:
            self._write_mask = refusing_without_action(self._write_final_mask, self._spaces.action)
        elif ACTION_MASK in self._spaces.obs:
            self._write = refusing_without_action(self._write, self._spaces.action)
        self._actions = action_list(first.action_space)
        self._steps = [env.step for env in self._envs]
        self._tick = 0
        self._started = [0] * num_envs

    def _first_info(self) -> Any:
        """It tells whether there is an action mask."""
        try:
            _, info = self._envs[0].reset()
        except RAISED as error:
            raise fault_at(self.name, 0, "reset", error) from error
        return info

    def reset_into(self, arrivals: Mapping[str, Arrivals], seeds: Sequence[int]) -> None:
        """See `EnvironmentAdapter.reset_into`."""
        obs = arrivals[self.policy].obs
        self._started = [self._tick] * self.num_envs
        for i, (env, seed) in enumerate(zip(self._envs, seeds, strict=True)):
            self.current = i
            try:
                first, info = env.reset(seed=int(seed))
                self._write(first, obs, i)
                if self._write_mask:
                    self._write_mask(info, obs, i)
            except RAISED as error:
                raise fault_at(self.name, i, "reset", error) from error

    def step_into(self, actions: Mapping[str, np.ndarray], arrivals: Mapping[str, Arrivals]) -> np.ndarray:
        """See `EnvironmentAdapter.step_into`."""
        arrival = arrivals[self.policy]
        rows, reward, write = arrival.obs, arrival.reward, self._write
        self._tick += 1
        i = 0
        try:
            for i, action in enumerate(self._actions(actions[self.policy])):
                self.current = i
                obs, paid, terminated, truncated, info = self._steps[i](action)
                reward[i] = paid if paid.__class__ in SCALARS else check_reward(paid)
                if terminated is not False or truncated is not False:
                    ends = check_flag("terminated", terminated), check_flag("truncated", truncated)
                    if any(ends):
                        arrival.ended[i] = TERMINATED if ends[0] else TRUNCATED
                        obs, info = self._restart(i, obs, info, arrival)
                write(obs, rows, i)
                if self._write_mask:
                    self._write_mask(info, rows, i)
                elif info and ACTION_MASK not in rows:
                    refuse_late_mask(info)
        except EnvironmentFault:
            raise
        except RAISED as error:
            raise fault_at(self.name, i, self._tick - self._started[i], error) from error
        over: np.ndarray = arrival.ended != 0
        return over

    def _restart(self, i: int, obs: Any, info: Any, arrival: Arrivals) -> tuple[Any, Any]:
        """Keep the last observation of an episode and begin the next one."""
        final: Tree = {
            path: np.zeros((1, *leaf.shape), leaf.dtype) for path, leaf in self._spaces.obs.items()
        }
        self._write_final(obs, final, 0)
        if self._write_final_mask and isinstance(info, Mapping) and MASK_KEY in info:
            self._write_final_mask(info, final, 0)
        arrival.final.append((i, {path: leaf[0] for path, leaf in final.items()}))
        try:
            obs, info = self._envs[i].reset()
        except RAISED as error:
            raise fault_at(self.name, i, "reset", error) from error
        self._started[i] = self._tick
        return obs, info

    def snapshot(self) -> dict[str, Any] | None:
        """See `EnvironmentAdapter.snapshot`; environments must offer ``get_state`` and ``set_state``."""
        states = [get_environment_state(env) for env in self._envs]
        if any(state is None for state in states):
            return None
        return {"states": states, "steps": [self._tick - start for start in self._started]}

    def restore(self, snapshot: dict[str, Any], arrivals: Mapping[str, Arrivals]) -> None:
        """See `EnvironmentAdapter.restore`; the observations to act on are those the worker has saved."""
        del arrivals
        self._started = [self._tick - int(steps) for steps in snapshot["steps"]]
        for i, (env, state) in enumerate(zip(self._envs, snapshot["states"], strict=True)):
            try:
                set_environment_state(env, state)
            except RAISED as error:
                raise fault_at(self.name, i, "restore", error) from error

    def close(self) -> None:
        """Close all environments."""
        for env in self._envs:
            env.close()
