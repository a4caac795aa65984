"""Learning: train, move targets, update filters, publish. Each side effect is an operator of its own."""

from __future__ import annotations

from numbers import Integral

from rl_platform.data.tree import Tree
from rl_platform.execution.counters import Counters, Every
from rl_platform.execution.item import Item, Kind
from rl_platform.execution.parts import Op, PlanError
from rl_platform.execution.run import Run
from rl_platform.workers.learned import RemoteRows
from rl_platform.workers.learner import Learner
from rl_platform.workers.losses import DataLost
from rl_platform.workers.objective import Objective, TargetColumns
from rl_platform.workers.reassessment import Assessor
from rl_platform.workers.remote_sample import fetched

LAG = "rollout/policy_lag"
"""Versions published since the policy acted that is learned from; of all updates since the last report."""


def train_one_step(
    run: Run,
    objective: Objective,
    epochs: int = 1,
    minibatch_size: int | None = None,
    target_kl: float | None = None,
    target_columns: TargetColumns | None = None,
    assessor: Assessor = "actor",
) -> Op:
    """Learn from a batch in ``epochs`` passes of minibatches, or once from each minibatch of a sample.

    Without ``minibatch_size`` a pass over a batch is one update.

    ``target_columns`` is for samples: what the target parameters say of all their minibatches at once.
    ``assessor`` is for batches: whose values and log-probabilities their recipe reads.
    Raises PlanError where a number is less than 1, or is not whole.
    """
    _refuse_below_one("epochs", epochs)
    if minibatch_size is not None:
        _refuse_below_one("minibatch_size", minibatch_size)

    def train(item: Item, counters: Counters) -> list[Item]:
        scheduled = run.schedule(counters.env_steps)
        stats = {LAG: float(counters.version - item.version)}
        rows: dict[str, Tree | RemoteRows] = {}
        steps = 0
        for policy in run.trained:
            knobs = {**run.published[policy].knobs, **scheduled}
            if item.kind is Kind.SAMPLE:
                if policy not in item.info["samples"]:
                    continue
                samples = item.info["samples"][policy]
                if isinstance(run.learner, Learner):
                    samples = fetched(samples)
                try:
                    learned = run.learner.update_on_samples(policy, samples, objective, knobs, target_columns)
                except DataLost:  # the transitions are in replay still, or counted with their shard
                    continue
            else:
                mine = [each for each in item.data if each.policy == policy]
                how = (epochs, minibatch_size or 0, target_kl, assessor)
                try:
                    learned = run.learner.update(policy, mine, item.recipe, objective, knobs, *how)
                except DataLost:
                    counters.drop("data lost", sum(each.steps for each in mine))
                    continue
            steps, rows[policy] = max(steps, learned.steps), learned.rows
            stats |= {f"train/{policy}/{name}": value for name, value in learned.stats.items()}
        counters.updates += steps
        stats |= {f"schedule/{name}": value for name, value in scheduled.items()}
        item.kind, item.info = Kind.UPDATE, {**item.info, "stats": stats, "rows": rows}
        return [item]

    detail = f"{epochs} epochs of minibatches of {minibatch_size}" if minibatch_size else "each batch once"
    return Op("train_one_step", frozenset({Kind.BATCH, Kind.SAMPLE}), Kind.UPDATE, train, "learner", detail)


def _refuse_below_one(name: str, value: object) -> None:
    if not isinstance(value, Integral) or int(value) < 1:
        raise PlanError(f"train_one_step(): {name} is {value!r}; expected a whole number of 1 or more")


def apply_gradients(run: Run) -> Op:
    """A step of the optimizer along each gradient that a worker has computed."""

    def apply(item: Item, counters: Counters) -> list[Item]:
        scheduled = run.schedule(counters.env_steps)
        stats = {f"schedule/{name}": value for name, value in scheduled.items()}
        stats[LAG] = float(counters.version - item.version)
        steps = 0
        for gradient in item.data:
            if gradient.policy not in run.trained:
                counters.drop("frozen policy", gradient.steps)
            elif gradient.steps:
                norm, steps = run.learner.apply(gradient.policy, gradient.flat, scheduled), 1
                said = {**gradient.stats, "gradient_norm": norm}
                stats |= {f"train/{gradient.policy}/{name}": value for name, value in said.items()}
        counters.updates += steps
        item.kind, item.info = Kind.UPDATE, {**item.info, "stats": stats}
        return [item]

    return Op("apply_gradients", frozenset({Kind.GRADIENTS}), Kind.UPDATE, apply, "learner")


def update_target_network(run: Run, *, every: Every, rate: float = 1.0) -> Op:
    """Move the target parameters of all trained policies."""

    def update(item: Item, counters: Counters) -> list[Item]:
        if every.due(counters):
            for policy in run.trained:
                run.learner.update_target(policy, rate)
        return [item]

    return Op(
        "update_target_network", frozenset({Kind.UPDATE}), Kind.UPDATE, update, "learner", str(every), every
    )


def update_filters(run: Run) -> Op:
    """Merge what rollout workers saw into the running filters; they act with it from the next publication
    on. The filter of a policy that is not trained stays what it acts with.
    """

    def update(item: Item, counters: Counters) -> list[Item]:
        del counters
        for policy, moments in item.info.pop("moments", ()):
            if policy in run.filters and policy in run.trained:
                run.filters[policy].merge(moments)
        return [item]

    return Op("update_filters", frozenset({Kind.UPDATE, Kind.ROLLOUT}), Kind.UPDATE, update)


def publish_weights(run: Run, *, every: Every | None = None) -> Op:
    """Give workers the learner's present weights with their next request."""

    def publish(item: Item, counters: Counters) -> list[Item]:
        if every is None or every.due(counters):
            counters.version += 1
            run.publish(counters.version, counters.env_steps)
        return [item]

    detail = str(every) if every else "after each"
    takes = frozenset({Kind.UPDATE})
    return Op("publish_weights", takes, Kind.UPDATE, publish, detail=detail, state=every, publishes=True)
