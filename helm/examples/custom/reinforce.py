"""REINFORCE with a baseline (Williams 1992), an algorithm of your own: loss, plan, and their declaration."""

from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.execution import operators as op
from rl_platform.models.build import actor_critic_policy
from rl_platform.objectives.gae import gae
from rl_platform.workers.learner import Learning
from rl_platform.workers.optimizer import Optimizer


def loss(policy, params, target, batch, knobs):
    heads = policy.heads(params, batch, knobs)
    policy_loss = -(heads.log_probability(batch["action"]) * batch["advantage"]).mean()
    value_loss = (heads["value"][:, 0] - batch["return"]).square().mean()
    return policy_loss + 0.5 * value_loss, {"policy_loss": policy_loss.detach()}


def plan(run, config):
    flow = op.rollouts(run, env_steps=config["batchSize"]).then(
        op.concat_batches(env_steps=config["batchSize"]),
        op.prepare(gae(config["gamma"], 1.0)),
        op.train_one_step(run, loss, minibatch_size=config["batchSize"]),
        op.publish_weights(run),
        op.report(run),
    )
    return flow.as_plan("reinforce")


ALGORITHM = Algorithm(
    policy=lambda spaces, model, config: actor_critic_policy(spaces, model),
    learning=lambda config: Learning(Optimizer(max_grad_norm=0.5)),
    plan=plan,
)
