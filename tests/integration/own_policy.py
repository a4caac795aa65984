"""An algorithm whose policy has no value and so is of neither family. It learns to repeat itself."""

from __future__ import annotations

from typing import Any

from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.data.spaces import Spaces
from rl_platform.execution import operators as op
from rl_platform.models.distributions import distribution_for
from rl_platform.models.networks import build_net
from rl_platform.models.policy import Policy
from rl_platform.workers.learner import Learning
from rl_platform.workers.optimizer import Optimizer


def make_policy(spaces: Spaces, model: Any, config: Any) -> Policy:
    del config
    distribution = distribution_for(spaces.action)
    return Policy(spaces, build_net(spaces, model, distribution.heads, {}, None), distribution, None, ())


def loss(policy: Any, params: Any, target: Any, batch: Any, knobs: Any) -> Any:
    heads = policy.heads(params, batch, knobs)
    return -heads.log_probability(batch["action"]).mean(), {}


def plan(run: Any, config: Any) -> Any:
    flow = op.rollouts(run, env_steps=64).then(
        op.concat_batches(env_steps=64),
        op.train_one_step(run, loss, minibatch_size=64),
        op.publish_weights(run),
        op.report(run),
    )
    return flow.as_plan("without a value")


ALGORITHM = Algorithm(
    policy=make_policy, learning=lambda config: Learning(Optimizer(max_grad_norm=0.5)), plan=plan
)
