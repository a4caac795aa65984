"""Rules between the sections of a job: what one of them says must suit the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rl_platform.spec.algorithms import DDPPO, PPO, Custom
from rl_platform.spec.fields import Fault

if TYPE_CHECKING:
    from rl_platform.spec.training_job import TrainingJobSpec


def section_faults(job: TrainingJobSpec) -> Iterator[Fault]:
    """The rules that are broken."""
    yield from _sampling_faults(job)
    yield from _policy_faults(job)
    yield from _schedule_faults(job)


def _sampling_faults(job: TrainingJobSpec) -> Iterator[Fault]:
    name, config = job.algorithm.selected
    rollouts = job.rollouts
    if isinstance(config, PPO | DDPPO) and config.batch_size < rollouts.num_envs:
        yield Fault(
            ("algorithm", name, "batchSize"),
            f"{config.batch_size} env steps are fewer than the {rollouts.num_envs} environments, "
            f"which take one each ({rollouts.workers} workers of {rollouts.envs_per_worker})",
            f"{rollouts.num_envs} or more, or fewer envsPerWorker",
        )
    if isinstance(config, DDPPO) and job.learner.replicas:
        yield Fault(
            ("learner", "replicas"),
            f"{job.learner.replicas}, and algorithm.ddppo learns in its rollout workers",
            "0, and as many rollouts.replicas as should learn",
        )
    recurrent, most = job.model.recurrent, getattr(config, "minibatch_size", None)
    if most is not None and recurrent.kind != "none" and recurrent.sequence_length > most:
        yield Fault(
            ("model", "recurrent", "sequenceLength"),
            f"{recurrent.sequence_length} is more than algorithm.{name}.minibatchSize, which is {most}",
            "a minibatch must hold a sequence",
        )
    total = job.stop.env_steps
    starts = getattr(config, "learning_starts", 0)
    if total is not None and starts > total:
        yield Fault(
            ("algorithm", name, "learningStarts"),
            f"{starts} env steps are more than stop.envSteps, which is {total}",
            "nothing would be learned: lower learningStarts or raise stop.envSteps",
        )
    if job.replay.placement == "rollouts" and rollouts.replicas == 0:
        yield Fault(
            ("replay", "placement"), "is rollouts, and there are none", "driver, or rollouts.replicas"
        )


def _policy_faults(job: TrainingJobSpec) -> Iterator[Fault]:
    names = [policy.name for policy in job.policies]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Fault(("policies", index, "name"), f"{name!r} is given twice", "every name once")
    if names and not any(policy.trained for policy in job.policies):
        yield Fault(("policies",), "none of them is trained", "trained: true for at least one")


def _schedule_faults(job: TrainingJobSpec) -> Iterator[Fault]:
    name, config = job.algorithm.selected
    for field, schedule in job.schedules.members().items():
        known = {info.alias: key for key, info in type(config).model_fields.items()}
        if not isinstance(config, Custom) and field not in known:
            yield Fault(("schedules", field), f"algorithm.{name} has no such field", "remove it")
        # The fields of a custom algorithm are known to the driver only.
        if schedule.kind == "exponential" and getattr(config, known.get(field, ""), None) == 0:
            yield Fault(
                ("schedules", field, "kind"),
                f"is exponential, and algorithm.{name}.{field} is 0, from where that leads nowhere",
                f"kind linear, or {field} above 0",
            )
        if schedule.steps is None and job.stop.env_steps is None and schedule.kind != "constant":
            hint = "set steps here, or stop.envSteps"
            yield Fault(("schedules", field, "steps"), "is not set, and neither is stop.envSteps", hint)
