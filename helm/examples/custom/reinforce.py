"""REINFORCE with a baseline (Williams 1992), an algorithm of your own: loss, plan, and their declaration."""

from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.execution.operators import (
    concat_batches,
    prepare,
    publish_weights,
    report,
    rollouts,
    train_one_step,
)
from rl_platform.models.build import actor_critic_policy
from rl_platform.objectives.gae import gae
from rl_platform.workers.learner import Learning
from rl_platform.workers.optimizer import Optimizer


def loss(policy, params, target, batch, knobs):
    heads = policy.heads(params, batch, knobs)
    value = heads["value"][:, 0]
    policy_loss = -(heads.log_probability(batch["action"]) * batch["advantage"]).mean()
    value_loss = (value - batch["return"]).square().mean()
    return policy_loss + 0.5 * value_loss, {"policy_loss": policy_loss.detach()}


def plan(run, config):
    return (
        rollouts(run, env_steps=config["batchSize"])
        .then(
            concat_batches(env_steps=config["batchSize"]),
            prepare(gae(config["gamma"], 1.0)),
            train_one_step(run, loss, minibatch_size=config["batchSize"]),
            publish_weights(run),
            report(run),
        )
        .as_plan("reinforce")
    )


ALGORITHM = Algorithm(
    policy=lambda spaces, model, config: actor_critic_policy(spaces, model),
    learning=lambda config: Learning(Optimizer(max_grad_norm=0.5)),
    plan=plan,
)
