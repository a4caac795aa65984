"""The lanes of multi-agent environments: which agent sits where, whose life is open, who acts next.

A lane is one agent of one environment, under the policy whose pattern its name matches first. The adapters
for PettingZoo's two interfaces report what happened to each agent; this writes it into the arrivals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

import numpy as np
from gymnasium import Space

from rl_platform.data.spaces import Leaf, Spaces
from rl_platform.data.tree import ACTION_MASK, Tree
from rl_platform.envs.adapter import Arrivals, Lanes
from rl_platform.envs.faults import FieldFault, check_reward
from rl_platform.envs.observation_writer import (
    Writer,
    mask_writer,
    observation_writer,
    refuse_late_mask,
    without_action,
)
from rl_platform.envs.spaces import UnsupportedSpace, action_list, policy_spaces

Patterns = Sequence[tuple[str, Sequence[str]]]
"""Policy name → glob patterns of agent names; an agent belongs to the first that matches."""


class AgentSpaces(Protocol):
    """What both of PettingZoo's interfaces say about agents before anything starts."""

    possible_agents: list[Any]

    def observation_space(self, agent: Any) -> Space[Any]: ...

    def action_space(self, agent: Any) -> Space[Any]: ...


@dataclass(slots=True)
class Group:
    """The lanes of one policy, with what each of them is in the middle of."""

    policy: str
    lanes: Lanes
    write: Writer
    write_mask: Writer | None
    to_env: Any  # actions [L, ...] → one per lane, as the environment takes it
    open: list[bool]  # the agent has seen something of its present life and has not ended
    acted: list[bool]  # it has a row in the running episode, so a reward has somewhere to go
    arrivals: Arrivals | None = None
    actions: Sequence[Any] = ()

    def observe(self, obs: Any, info: Any, rows: Mapping[str, np.ndarray], lane: int) -> None:
        """Write an observation to act on, and its mask where that comes in the info."""
        self.write(obs, rows, lane)
        if self.write_mask is not None:
            self.write_mask(info, rows, lane)
        if ACTION_MASK not in rows:
            refuse_late_mask(info)
        elif not self.lanes.spaces.action.left_by(rows[ACTION_MASK][lane]):
            raise FieldFault(ACTION_MASK, without_action(rows[ACTION_MASK][lane]))

    def final(self, obs: Any, info: Any) -> Tree:
        """A last observation as a tree without lanes; without a mask, every action counts as legal."""
        rows = {path: _row(leaf) for path, leaf in self.lanes.spaces.obs.items()}
        self.write(obs, rows, 0)
        if self.write_mask is not None and isinstance(info, Mapping) and "action_mask" in info:
            self.write_mask(info, rows, 0)
        return {path: leaf[0] for path, leaf in rows.items()}


def _row(leaf: Leaf) -> np.ndarray:
    fill = np.ones if leaf.kind == "mask" else np.zeros
    return fill((1, *leaf.shape), leaf.dtype)


@dataclass(slots=True)
class AgentLanes:
    """All lanes of ``num_envs`` equal environments, and the bookkeeping of one tick."""

    groups: list[Group]
    seats: list[dict[Any, tuple[Group, int]]]  # by environment: agent → group and lane
    acting: list[list[tuple[Any, Group, int]]] = field(default_factory=list)  # by environment
    unclaimed_reward: float = 0.0
    """Sum of rewards to agents that had not acted in the episode: no row can take them."""

    def __post_init__(self) -> None:
        self.acting = [[] for _ in self.seats]

    @property
    def lanes(self) -> dict[str, Lanes]:
        return {group.policy: group.lanes for group in self.groups}

    def begin(self, arrivals: Mapping[str, Arrivals], actions: Mapping[str, np.ndarray] | None) -> None:
        """Start a tick: nobody is ready until something is shown to them."""
        for group in self.groups:
            group.arrivals = arrivals[group.policy]
            group.arrivals.ready[:] = False
            group.arrivals.first[:] = False
            if actions is not None:
                # Copied, because an environment may keep the action it was given.
                group.actions = group.to_env(actions[group.policy].copy())

    def take_actions(self, env: int) -> dict[Any, Any]:
        """The actions of the agents that act now, which from here on have a row in this episode."""
        taken = {}
        for agent, group, lane in self.acting[env]:
            taken[agent] = group.actions[lane]
            group.acted[lane] = True
        self.acting[env] = []
        return taken

    def reward(self, env: int, agent: Any, reward: Any) -> None:
        """Add to the agent's last row, also when it is absent or dead."""
        group, lane = self.seat(env, agent, "rewards")
        try:
            value = check_reward(reward)
        except FieldFault as fault:
            raise FieldFault(f"{fault.field} of agent {agent!r}", fault.problem) from fault
        if group.acted[lane]:
            assert group.arrivals is not None
            group.arrivals.reward[lane] += value
        else:
            self.unclaimed_reward += value

    def end(self, env: int, agent: Any, flag: np.uint8, obs: Any = None, info: Any = None) -> None:
        """Close the agent's life, if one is open; ``obs`` is its last observation, where there is one."""
        group, lane = self.seat(env, agent, "terminations")
        if not group.open[lane]:
            return
        assert group.arrivals is not None
        group.open[lane] = False
        group.arrivals.ended[lane] = flag
        if obs is not None:
            try:
                group.arrivals.final.append((lane, group.final(obs, info)))
            except FieldFault as fault:
                raise FieldFault(f"{fault.field} of agent {agent!r}", fault.problem) from fault

    def show(self, env: int, agent: Any, obs: Any, info: Any) -> None:
        """Give an agent an observation to act on in the next tick."""
        group, lane = self.seat(env, agent, "observations")
        arrivals = group.arrivals
        assert arrivals is not None
        try:
            group.observe(obs, info, arrivals.obs, lane)
        except FieldFault as fault:
            raise FieldFault(f"{fault.field} of agent {agent!r}", fault.problem) from fault
        arrivals.ready[lane] = True
        if not group.open[lane]:
            arrivals.first[lane] = True
            group.open[lane] = True
        self.acting[env].append((agent, group, lane))

    def open_agents(self, env: int) -> list[Any]:
        """Agents whose life goes on."""
        return [agent for agent, (group, lane) in self.seats[env].items() if group.open[lane]]

    def forget_episode(self, env: int) -> None:
        """The environment starts anew: no life is open, and no row takes rewards of the next episode."""
        self.acting[env] = []
        for group, lane in self.seats[env].values():
            group.open[lane] = group.acted[lane] = False

    def seat(self, env: int, agent: Any, where: str) -> tuple[Group, int]:
        """Group and lane of an agent. Raises FieldFault for one that was not announced."""
        try:
            return self.seats[env][agent]
        except KeyError:
            known = list(self.seats[env])
            raise FieldFault(where, f"names agent {agent!r}; possible_agents are {known!r:.300}") from None

    def snapshot(self) -> dict[str, Any]:
        """Lives and who acts next; the observations to act on are saved by the worker."""
        return {
            "acting": [[str(agent) for agent, _, _ in acting] for acting in self.acting],
            "unclaimed_reward": self.unclaimed_reward,
            "open": {group.policy: list(group.open) for group in self.groups},
            "acted": {group.policy: list(group.acted) for group in self.groups},
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Put a snapshot back."""
        self.unclaimed_reward = float(snapshot["unclaimed_reward"])
        for group in self.groups:
            group.open = list(snapshot["open"][group.policy])
            group.acted = list(snapshot["acted"][group.policy])
        for env, names in enumerate(snapshot["acting"]):
            seats = {str(agent): (agent, *seat) for agent, seat in self.seats[env].items()}
            self.acting[env] = [seats[name] for name in names]


def seat_agents(
    env: AgentSpaces,
    num_envs: int,
    policies: Patterns,
    max_set_size: int | None = None,
    masked: frozenset[Any] = frozenset(),
) -> AgentLanes:
    """Lanes for every possible agent; ``masked`` agents get their action mask in the info.

    Raises ValueError for an agent without a policy or a policy without an agent, and UnsupportedSpace, naming
    both agents, where agents of one policy have different spaces.
    """
    agents = list(env.possible_agents)
    members = _members(agents, policies)
    groups = [
        _group(env, name, members[name], agents, num_envs, max_set_size, masked) for name, _ in policies
    ]
    seats: list[dict[Any, tuple[Group, int]]] = [{} for _ in range(num_envs)]
    for group in groups:
        own = members[group.policy]
        for lane, env_index in enumerate(group.lanes.env):
            seats[env_index][own[lane % len(own)]] = (group, lane)
    return AgentLanes(groups, seats)


def _members(agents: Sequence[Any], policies: Patterns) -> dict[str, list[Any]]:
    members: dict[str, list[Any]] = {name: [] for name, _ in policies}
    for agent in agents:
        for name, patterns in policies:
            if any(fnmatchcase(str(agent), pattern) for pattern in patterns):
                members[name].append(agent)
                break
        else:
            shown = {name: list(patterns) for name, patterns in policies}
            raise ValueError(f"agent {agent!r} matches no pattern of policies {shown}; add one, e.g. '*'")
    for name, own in members.items():
        if not own:
            raise ValueError(
                f"policy {name!r} gets no agent: its patterns match none of {list(agents)} "
                "that an earlier policy has not taken"
            )
    return members


def _group(
    env: AgentSpaces,
    policy: str,
    own: Sequence[Any],
    agents: Sequence[Any],
    num_envs: int,
    max_set_size: int | None,
    masked: frozenset[Any],
) -> Group:
    observation, action = env.observation_space(own[0]), env.action_space(own[0])
    for other in own[1:]:
        if env.observation_space(other) != observation or env.action_space(other) != action:
            raise UnsupportedSpace(
                f"policy {policy!r}: agents {own[0]!r} and {other!r} have different spaces; "
                "give them different policies"
            )
    in_info = any(agent in masked for agent in own)
    try:
        spaces: Spaces = policy_spaces(observation, action, max_set_size, mask_in_info=in_info)
    except UnsupportedSpace as error:
        raise UnsupportedSpace(f"agent {own[0]!r}, {error}") from None
    index = np.array([agents.index(agent) for agent in own], np.int32)
    lanes = Lanes(
        spaces,
        np.repeat(np.arange(num_envs, dtype=np.int32), len(own)),
        np.tile(index, num_envs),
        tuple(str(agent) for agent in agents),
    )
    mask = mask_writer(spaces.obs[ACTION_MASK].shape[0]) if in_info else None
    write = observation_writer(observation, max_set_size)
    size = len(lanes)
    return Group(policy, lanes, write, mask, action_list(action), [False] * size, [False] * size)
