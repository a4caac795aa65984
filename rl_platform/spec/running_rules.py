"""What a spec must keep about pods, replay, stopping, evaluation and checkpoints, in CEL.

Each rule is the counterpart of one in a model's ``faults()``; tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Iterator

from rl_platform.spec.cel_rules import CelRule, distinct, one_of

_GROUPS = ("rollouts", "learner", "driver")


def running_rules() -> list[CelRule]:
    """All of them."""
    return [*_sampling_rules(), *_pod_rules(), *_ending_rules()]


def _sampling_rules() -> Iterator[CelRule]:
    rollouts = "self.rollouts"
    pods = f"({rollouts}.replicas == 0 ? 1 : {rollouts}.replicas * {rollouts}.workersPerPod)"
    lanes = f"{pods} * {rollouts}.envsPerWorker"
    for name in ("ppo", "ddppo"):
        own = f"self.algorithm.{name}"
        yield CelRule(
            f"algorithm.{name}.batchSize",
            f"!has({own}) || {own}.batchSize >= {lanes}",
            f"<{own}.batchSize> env steps are fewer than the <{lanes}> environments, which take one each "
            f"(<{pods}> workers of <{rollouts}.envsPerWorker>); <{lanes}> or more, or fewer envsPerWorker",
        )
    yield CelRule(
        "learner.replicas",
        "!has(self.algorithm.ddppo) || self.learner.replicas == 0",
        "<self.learner.replicas>, and algorithm.ddppo learns in its rollout workers; "
        "0, and as many rollouts.replicas as should learn",
    )
    low, high, now = (f"{rollouts}.{name}" for name in ("minReplicas", "maxReplicas", "replicas"))
    yield CelRule(
        "rollouts.minReplicas",
        f"!has({low}) || !has({high}) || {low} <= {high}",
        f"<{low}> is more than maxReplicas, which is <{high}>; swap or equal them",
    )
    yield CelRule(
        "rollouts.replicas",
        f"!has({low}) || {now} >= {low}",
        f"<{now}> is less than minReplicas, which is <{low}>; <{low}> or more",
    )
    yield CelRule(
        "rollouts.replicas",
        f"!has({high}) || {now} <= {high}",
        f"<{now}> is more than maxReplicas, which is <{high}>; at most <{high}>",
    )
    yield CelRule(
        "replay.placement",
        f"self.replay.placement != 'rollouts' || {now} > 0",
        "is rollouts, and there are none; driver, or rollouts.replicas",
    )
    yield CelRule(
        "replay.shards",
        "self.replay.placement != 'driver' || self.replay.shards == 1",
        "<self.replay.shards> shards in one process gain nothing; 1, or placement rollouts",
    )


def _pod_rules() -> Iterator[CelRule]:
    for path in (f"{group}.tolerations" for group in _GROUPS):
        yield CelRule(
            path,
            f"self.{path}.all(it, it.operator != 'Exists' || !has(it.value))",
            "value is set, and operator is Exists; remove value, or use operator Equal",
        )
        yield CelRule(
            path,
            f"self.{path}.all(it, it.operator != 'Equal' || has(it.key))",
            "key is not set, and operator is Equal; name the taint, or use operator Exists",
        )
    yield CelRule(
        "runtime.env",
        "self.runtime.env.all(it, has(it.value) != has(it.secret))",
        "value or secret is set in each, never both; exactly one is needed",
    )
    yield CelRule(
        "runtime.volumes",
        f"self.runtime.volumes.all(it, {one_of('it', ['claim', 'configMap', 'secret'])})",
        "each mounts one thing; exactly one of claim, configMap, secret is needed",
    )
    yield distinct("runtime.env")
    yield distinct("runtime.volumes")


def _ending_rules() -> Iterator[CelRule]:
    yield CelRule(
        "stop",
        "has(self.stop.envSteps) || has(self.stop.updates) || has(self.stop.wallSeconds)",
        "nothing bounds the run; set envSteps, updates or wallSeconds, e.g. `envSteps: 150000`",
    )
    yield CelRule(
        "evaluation.gate.minimumReturn",
        "self.evaluation.episodes > 0 || !has(self.evaluation.gate.minimumReturn)",
        "cannot be met with episodes: 0; evaluate some episodes",
    )
    yield CelRule(
        "checkpoint.everySeconds",
        "!self.checkpoint.exact || !has(self.checkpoint.everySeconds)",
        "exact is true: the clock would decide where environments are reseeded; "
        "remove everySeconds and set everyUpdates",
    )
    yield CelRule(
        "checkpoint.everyUpdates",
        "!self.checkpoint.exact || has(self.checkpoint.everyUpdates)",
        "is not set, and exact is true; a number of updates, such as 20",
    )
