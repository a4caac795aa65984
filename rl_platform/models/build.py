"""The policies of the two families of algorithms, built from spaces and a model specification."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rl_platform.data.spaces import Spaces
from rl_platform.data.tree import ACTION_MASK, Tree
from rl_platform.models.action_values import Q_HEAD
from rl_platform.models.distributions import (
    EPSILON,
    POLICY_HEAD,
    VALUE_HEAD,
    distribution_for,
    epsilon_greedy,
)
from rl_platform.models.model_spec import ModelSpec
from rl_platform.models.networks import build_net
from rl_platform.models.policy import Policy

PolicyKind = Literal["actor_critic", "q", "dueling_q"]
"""Families of policies, as checkpoints name them."""


def actor_critic_policy(spaces: Spaces, model: ModelSpec) -> Policy:
    """A stochastic policy with a state value (head ``value`` [.., 1])."""
    distribution = distribution_for(spaces.action)
    heads = {**distribution.heads, VALUE_HEAD: 1}
    net = build_net(spaces, model, heads, {POLICY_HEAD: 0.01, VALUE_HEAD: 1.0}, None)
    return Policy(spaces, net, distribution, VALUE_HEAD, filtered_paths(spaces, model))


def q_policy(spaces: Spaces, model: ModelSpec, dueling: bool = False, scored: bool = False) -> Policy:
    """An epsilon-greedy policy over action values, from head ``q`` [.., A] or those of a dueling network.

    ``scored``: it says the values of what is done and of what is best. ValueError unless discrete.
    """
    distribution = epsilon_greedy(spaces.action, dueling, scored)
    net = build_net(spaces, model, distribution.heads, {}, None)
    return Policy(spaces, net, distribution, None, filtered_paths(spaces, model))


def build_policy(spaces: Spaces, model: ModelSpec, kind: PolicyKind) -> Policy:
    """The policy of a kind."""
    if kind == "actor_critic":
        return actor_critic_policy(spaces, model)
    return q_policy(spaces, model, dueling=kind == "dueling_q")


def family_of(policy: Policy) -> PolicyKind:
    """The kind of a policy that one of the functions above has made."""
    if policy.value:
        return "actor_critic"
    return "q" if Q_HEAD in policy.distribution.heads else "dueling_q"


def filtered_paths(spaces: Spaces, model: ModelSpec) -> tuple[str, ...]:
    """Leaves that ``model.observationFilter`` normalises: boxes, never masks, categories or images."""
    if model.observation_filter == "none":
        return ()
    return tuple(path for path, leaf in spaces.obs.items() if leaf.kind == "box" and path != ACTION_MASK)


def initial_knobs(policy: Policy) -> Tree:
    """Knobs of a policy that has seen nothing: filters that change nothing, no exploration."""
    knobs: Tree = {}
    for path in policy.filtered:
        shape = policy.spaces.obs[path].shape
        knobs[f"filter/{path}/mean"] = np.zeros(shape, np.float32)
        knobs[f"filter/{path}/scale"] = np.ones(shape, np.float32)
    if not policy.distribution.stochastic:
        knobs[EPSILON] = np.zeros((), np.float32)
    return knobs
