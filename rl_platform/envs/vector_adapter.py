"""Existing vector environments (gymnasium.vector) in all three autoreset modes, without a loop over lanes.

SAME_STEP  the observation is the next episode's first; the last one comes in ``info["final_obs"]``.
DISABLED   the ended environments are reset here, with ``options={"reset_mask": ...}``, in the same tick.
NEXT_STEP  the next step of an ended environment ignores its action and resets: its lane isn't ready in that
           tick, and nothing of the tick is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from rl_platform.data.spaces import in_dtype
from rl_platform.data.trajectory import TERMINATED, TRUNCATED
from rl_platform.data.tree import ACTION_MASK, Tree
from rl_platform.envs.adapter import Arrivals, EnvironmentFault, Lanes
from rl_platform.envs.batch_writer import EVERY, LaneFault, batch_writer, mask_batch_writer
from rl_platform.envs.environment_state import get_environment_state, set_environment_state
from rl_platform.envs.faults import FieldFault, fault_at, words_of
from rl_platform.envs.observation_writer import observation_writer, refuse_late_mask, without_action
from rl_platform.envs.spaces import MASK_KEY, policy_spaces

Vector = VectorEnv[Any, Any, Any]


class VectorAdapter:
    """The environments of one `gymnasium.vector.VectorEnv`, one lane each, under one policy.

    Raises ValueError where the environment doesn't say its autoreset mode in ``metadata["autoreset_mode"]``.
    """

    def __init__(
        self, env: Vector, *, name: str, policy: str = "default", max_set_size: int | None = None
    ) -> None:
        self._env, self.name, self.policy = env, name, policy
        self.num_envs = int(env.num_envs)
        self.current = None  # all of them run at once: a message about a hang names none
        self._mode = _autoreset_mode(env, name)
        self.late_reset = self._mode is AutoresetMode.NEXT_STEP
        self.lockstep = not self.late_reset
        try:
            info = env.reset(seed=0)[1]
        except Exception as error:
            raise self._fault("reset", error) from error
        masked = MASK_KEY in info
        single = env.single_observation_space
        self._spaces = policy_spaces(single, env.single_action_space, max_set_size, masked)
        index = np.arange(self.num_envs, dtype=np.int32)
        self.lanes = {policy: Lanes(self._spaces, index, np.zeros_like(index), ("",))}
        self._write = batch_writer(single, self.num_envs, max_set_size)
        self._write_one = observation_writer(single, max_set_size)
        self._write_mask = None
        if masked:
            self._write_mask = mask_batch_writer((self.num_envs, *self._spaces.obs[ACTION_MASK].shape))
        self._neutral = _neutral_action(env)
        # Gymnasium's own vectors take a seed for each environment, others one for all of them.
        self._seed_each = isinstance(env.unwrapped, SyncVectorEnv | AsyncVectorEnv)
        self._resetting = np.zeros(self.num_envs, bool)
        self._steps = np.zeros(self.num_envs, np.int64)

    def reset_into(self, arrivals: Mapping[str, Arrivals], seeds: list[int]) -> None:
        """See `EnvironmentAdapter`."""
        arrival = arrivals[self.policy]
        self._resetting[:], self._steps[:] = False, 0
        seed: Any = [int(seed) for seed in seeds] if self._seed_each else int(seeds[0])
        try:
            obs, info = self._env.reset(seed=seed)
            self._show(obs, info, arrival.obs, EVERY)
            self._check_actions_left(arrival.obs, EVERY)
        except Exception as error:
            raise self._fault("reset", error) from error
        arrival.ready[:] = True
        arrival.first[:] = True

    def step_into(self, actions: Mapping[str, np.ndarray], arrivals: Mapping[str, Arrivals]) -> np.ndarray:
        """See `EnvironmentAdapter`."""
        arrival = arrivals[self.policy]
        self._steps += 1
        try:
            outcome = self._env.step(self._env_actions(actions[self.policy]))
            if self._mode is AutoresetMode.NEXT_STEP:
                return self._take_next_step(arrival, *outcome)
            return self._take_same_tick(arrival, *outcome)
        except EnvironmentFault:
            raise
        except Exception as error:
            raise self._fault("step", error) from error

    def snapshot(self) -> dict[str, Any] | None:
        """See `EnvironmentAdapter`; the vector itself must offer ``get_state`` and ``set_state``."""
        state = get_environment_state(self._env) if self._env is self._env.unwrapped else None
        if state is None:
            return None
        return {"state": state, "resetting": self._resetting.tolist(), "steps": self._steps.tolist()}

    def restore(self, snapshot: dict[str, Any], arrivals: Mapping[str, Arrivals]) -> None:
        """See `EnvironmentAdapter`; the observations to act on are those the worker has saved."""
        del arrivals
        set_environment_state(self._env, snapshot["state"])
        self._resetting[:], self._steps[:] = snapshot["resetting"], snapshot["steps"]

    def close(self) -> None:
        self._env.close()

    def _env_actions(self, actions: np.ndarray) -> np.ndarray:
        """A copy, because an environment may keep it; harmless where the environment resets instead."""
        copied = np.array(in_dtype(actions, self._neutral.dtype))
        if self._resetting.any():
            copied[self._resetting] = self._neutral
        return copied

    def _take_same_tick(
        self, arrival: Arrivals, obs: Any, reward: Any, terminated: Any, truncated: Any, info: Any
    ) -> np.ndarray:
        arrival.reward[:] = self._numbers("reward", reward)
        over = self._ends(arrival, terminated, truncated)
        lanes = np.flatnonzero(over)
        if not len(lanes):
            self._show(obs, info, arrival.obs, EVERY)
        elif self._mode is AutoresetMode.SAME_STEP:
            self._keep_given_finals(arrival, info, lanes)
            self._show(obs, info, arrival.obs, EVERY)
        else:
            self._show(obs, info, arrival.obs, EVERY)
            self._keep_written_finals(arrival, lanes)
            first, first_info = self._env.reset(options={"reset_mask": over.copy()})
            self._show(first, first_info, arrival.obs, lanes)
        self._steps[lanes] = 0
        self._check_actions_left(arrival.obs, EVERY)
        return over

    def _take_next_step(
        self, arrival: Arrivals, obs: Any, reward: Any, terminated: Any, truncated: Any, info: Any
    ) -> np.ndarray:
        began, self._resetting = self._resetting, np.zeros(self.num_envs, bool)
        arrival.reward[:] = np.where(began, 0.0, self._numbers("reward", reward))
        over = self._ends(arrival, terminated, truncated)
        if (over & began).any():
            lane = int(np.argmax(over & began))
            raise LaneFault(lane, "terminated", "is true in the step that only resets (NEXT_STEP)")
        self._show(obs, info, arrival.obs, EVERY)
        lanes = np.flatnonzero(over)
        if len(lanes):
            self._keep_written_finals(arrival, lanes)
        arrival.ready[:] = ~over
        arrival.first[:] = began
        self._resetting[lanes] = True
        self._steps[began] = 0
        self._check_actions_left(arrival.obs, ~over)
        return over

    def _show(self, obs: Any, info: Any, rows: Mapping[str, np.ndarray], lanes: np.ndarray | slice) -> None:
        self._write(obs, rows, lanes)
        if self._write_mask is not None:
            mask = info.get(MASK_KEY)
            if mask is None:
                raise FieldFault("info['action_mask']", "is missing; expected it in every step, as at first")
            self._write_mask(mask, rows, lanes)
        elif ACTION_MASK not in rows:
            refuse_late_mask(info)

    def _check_actions_left(self, rows: Mapping[str, np.ndarray], acting: np.ndarray | slice) -> None:
        """``acting``: who acts on these observations, bool [L]; last ones may leave nothing to do."""
        if ACTION_MASK not in rows:
            return
        masks = rows[ACTION_MASK]
        stuck = np.zeros(self.num_envs, bool)
        stuck[acting] = ~self._spaces.action.left_by(masks[acting])
        if stuck.any():
            lane = int(np.argmax(stuck))
            raise LaneFault(lane, ACTION_MASK, without_action(masks[lane]))

    def _keep_written_finals(self, arrival: Arrivals, lanes: np.ndarray) -> None:
        """The last observations are the ones just written."""
        last = {path: leaf[lanes] for path, leaf in arrival.obs.items()}
        self._append_finals(arrival, lanes, last)

    def _keep_given_finals(self, arrival: Arrivals, info: Any, lanes: np.ndarray) -> None:
        """The last observations come in the info: one object for each lane, or a batch like any other."""
        given = info.get("final_obs") if isinstance(info, Mapping) else None
        if given is None:
            raise LaneFault(int(lanes[0]), "info['final_obs']", "is missing; SAME_STEP has to give it")
        if isinstance(given, np.ndarray) and given.dtype == object:
            last = self._rows(len(lanes))
            for i, lane in enumerate(lanes.tolist()):
                try:
                    self._write_one(given[lane], last, i)
                except FieldFault as fault:
                    raise LaneFault(lane, f"info['final_obs'] {fault.field}", fault.problem) from fault
        else:
            rows = self._rows(self.num_envs)
            self._write(given, rows, lanes)
            last = {path: leaf[lanes] for path, leaf in rows.items()}
        self._append_finals(arrival, lanes, last)

    def _rows(self, count: int) -> Tree:
        """Room for observations; without a mask of its own, every action counts as legal."""
        rows = {p: np.zeros((count, *leaf.shape), leaf.dtype) for p, leaf in self._spaces.obs.items()}
        if ACTION_MASK in rows:
            rows[ACTION_MASK][:] = 1
        return rows

    def _append_finals(self, arrival: Arrivals, lanes: np.ndarray, last: Tree) -> None:
        for i, lane in enumerate(lanes.tolist()):
            arrival.final.append((lane, {path: leaf[i] for path, leaf in last.items()}))

    def _ends(self, arrival: Arrivals, terminated: Any, truncated: Any) -> np.ndarray:
        """Writes ``ended``; bool [L], whose episode is over. Terminated stands over truncated."""
        terminated, truncated = self._flags("terminated", terminated), self._flags("truncated", truncated)
        over: np.ndarray = terminated | truncated
        if over.any():
            arrival.ended[truncated] = TRUNCATED
            arrival.ended[terminated] = TERMINATED
        return over

    def _numbers(self, field: str, values: Any) -> np.ndarray:
        array = np.asarray(values)
        if array.shape != (self.num_envs,) or array.dtype.kind not in "fiub":
            raise FieldFault(
                field, f"has shape {array.shape} and dtype {array.dtype}; expected ({self.num_envs},) numbers"
            )
        return array

    def _flags(self, field: str, values: Any) -> np.ndarray:
        array = self._numbers(field, values)
        if array.dtype == np.bool_:
            return array
        if not np.isin(array, (0, 1)).all():
            raise LaneFault(int(np.argmin(np.isin(array, (0, 1)))), field, "is neither true nor false")
        nonzero: np.ndarray = array != 0
        return nonzero

    def _fault(self, what: str, error: Exception) -> EnvironmentFault:
        if isinstance(error, LaneFault):
            step = "reset" if what == "reset" else int(self._steps[error.lane])
            return fault_at(self.name, error.lane, step, error)
        where = f"vector environment {self.name!r}, "
        where += f"step {int(self._steps.max())} of the longest episode" if what == "step" else what
        if isinstance(error, FieldFault):
            return EnvironmentFault(f"{where}, field {error.field}: {error.problem}")
        return EnvironmentFault(f"{where}, field {what}: raised {type(error).__name__}: {words_of(error)}")


def _autoreset_mode(env: Vector, name: str) -> AutoresetMode:
    mode = env.metadata.get("autoreset_mode")
    try:
        return AutoresetMode(mode)
    except ValueError:
        expected = ", ".join(f"AutoresetMode.{mode.name}" for mode in AutoresetMode)
        raise ValueError(
            f"vector environment {name!r}: metadata['autoreset_mode'] is {mode!r}; expected one of {expected}"
        ) from None


def _neutral_action(env: Vector) -> np.ndarray:
    """An action that is legal and of the environment's dtype."""
    space = env.single_action_space
    if isinstance(space, Box):
        return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
    neutral: np.ndarray = np.array(getattr(space, "start", 0), space.dtype)
    return neutral
