"""From a job to the parts of a run: environments, policies, learner, workers, and the plan over them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rl_platform.algorithms import ALGORITHMS
from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.data.entrypoint import EntrypointError, load_entrypoint
from rl_platform.driver.schedules import schedule_of
from rl_platform.envs.adapter import EnvironmentAdapter
from rl_platform.envs.make import make_adapter
from rl_platform.envs.watchdog import Watchdog
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.actors import Actor, make_actor
from rl_platform.models.filters import PolicyFilters
from rl_platform.models.policy import Policy
from rl_platform.serving.bundle import kind_of
from rl_platform.spec.algorithms import Custom
from rl_platform.spec.model import DEFAULT_POLICY
from rl_platform.spec.resources import LearnerSpec
from rl_platform.spec.training_job import TrainingJob
from rl_platform.workers.learner import Learner
from rl_platform.workers.local import LocalWorkers
from rl_platform.workers.replay_buffer import ReplayBuffer
from rl_platform.workers.rollout_worker import ENVS_PER_SOURCE


class BadConfiguration(Exception):
    """The job cannot run as it is written; the message names the field. It is never retried."""


@dataclass
class Assembly:
    """A job made concrete. Nothing has been sampled yet."""

    job: TrainingJob
    name: str  # of the algorithm
    config: Any
    policies: dict[str, Policy]
    adapter: EnvironmentAdapter
    workers: LocalWorkers
    run: Run
    plan: Plan

    @cached_property
    def kinds(self) -> dict[str, str]:
        """How each policy is made again without its algorithm; see `serving.bundle.kind_of`."""
        if isinstance(self.job.spec.algorithm.selected[1], Custom):
            return {name: kind_of(policy, self.job.spec.model) for name, policy in self.policies.items()}
        return {name: "actor_critic" if policy.value else "q" for name, policy in self.policies.items()}

    def actors(self) -> dict[str, Actor]:
        """A fresh actor for each policy, with what is published now."""
        actors: dict[str, Actor] = {}
        for name, policy in self.policies.items():
            published = self.run.published[name]
            actors[name] = make_actor(policy)
            actors[name].load(published.weights, published.knobs, published.version)
        return actors

    def close(self) -> None:
        self.workers.close()


def environments(job: TrainingJob, count: int, watchdog: Watchdog | None = None) -> EnvironmentAdapter:
    """``count`` environments of the job. Raises BadConfiguration or EnvironmentFault.

    ``watchdog`` bounds the time that their constructors take.
    """
    mapping = [(policy.name, list(policy.agents)) for policy in job.spec.policies] or [
        (DEFAULT_POLICY, ["*"])
    ]
    watching = watchdog.one_call(count) if watchdog is not None else nullcontext()
    try:
        with watching:
            return make_adapter(job.spec.environment, count, mapping)
    except ValueError as error:  # unknown ids and spaces that are not supported
        raise BadConfiguration(str(error)) from error


def assemble(job: TrainingJob, watchdog: Watchdog | None = None) -> Assembly:
    """Build everything a run needs. Raises BadConfiguration or EnvironmentFault."""
    refuse_unsupported(job)
    name, algorithm, config = chosen_algorithm(job)
    spec = job.spec
    adapter = environments(job, spec.rollouts.envs_per_worker, watchdog)
    try:
        policies = policies_of(job, adapter, algorithm, config)
        trained = tuple(each for each in policies if _is_trained(job, each))
        schedule = schedule_of(config, spec.schedules, spec.stop.env_steps)
    except ValueError as error:
        adapter.close()
        raise BadConfiguration(str(error)) from error
    learner = Learner(
        policies,
        trained,
        algorithm.learning(config),
        spec.seed,
        _device(spec.learner),
        spec.learner.precision,
    )
    filters = {
        name: _filters(policy, spec.model)
        for name, policy in policies.items()
        if _filtered(policy, spec.model)
    }
    workers = LocalWorkers(
        adapter,
        {name: make_actor(policy) for name, policy in policies.items()},
        look_back=algorithm.look_back(config),
        state_every=spec.model.recurrent.sequence_length if spec.model.recurrent.kind != "none" else None,
        seed=spec.seed,
        watchdog=watchdog,
        collect_moments=bool(filters),
        return_gamma=getattr(config, "gamma", 0.99),
    )
    run = Run(workers, learner, trained, schedule, filters=filters, exploration=algorithm.exploration(config))
    capacity = algorithm.replay_capacity(config)
    if capacity:
        run.replay = {policy: ReplayBuffer(capacity, spec.seed) for policy in trained}
    run.publish(0, 0)
    return Assembly(
        job, name, config, policies, adapter, workers, run, algorithm.plan(run, config).validate()
    )


def chosen_algorithm(job: TrainingJob) -> tuple[str, Algorithm, Any]:
    """Name, algorithm and config; a custom one is imported. Raises BadConfiguration."""
    name, config = job.spec.algorithm.selected
    if not isinstance(config, Custom):
        return name, ALGORITHMS[name], config
    field = "spec.algorithm.custom.entrypoint"
    try:
        algorithm = load_entrypoint(config.entrypoint, field, default="ALGORITHM")
    except EntrypointError as error:
        raise BadConfiguration(str(error)) from error
    if not isinstance(algorithm, Algorithm):
        raise BadConfiguration(
            f"{field}: {config.entrypoint} is a {type(algorithm).__name__}; it must "
            "name an rl_platform.algorithms.algorithm.Algorithm "
            "(`module:object`, or `module` that defines ALGORITHM)"
        )
    return config.entrypoint, algorithm, dict(config.config)


def policies_of(
    job: TrainingJob, adapter: EnvironmentAdapter, algorithm: Algorithm, config: Any
) -> dict[str, Policy]:
    """One policy definition per name. Raises ValueError for what the algorithm does not support."""
    policies: dict[str, Policy] = {}
    for name, lanes in adapter.lanes.items():
        algorithm.refuse(lanes.spaces, job.spec.model)
        policies[name] = algorithm.policy(lanes.spaces, job.spec.model, config)
    return policies


def refuse_unsupported(job: TrainingJob) -> None:
    """Raises BadConfiguration naming the first field that asks for what this version cannot do."""
    spec = job.spec
    asked: Mapping[str, bool] = {
        "rollouts.replicas above 0 (rollout workers in other processes)": spec.rollouts.replicas > 0,
        "learner.replicas above 0 (learners in other processes)": spec.learner.replicas > 0,
        f"rollouts.envsPerWorker above {ENVS_PER_SOURCE:,}": spec.rollouts.envs_per_worker > ENVS_PER_SOURCE,
        "replay.placement rollouts": spec.replay.placement != "driver",
    }
    for what, is_asked in asked.items():
        if is_asked:
            raise BadConfiguration(
                f"spec.{what} is not supported in one process yet: leave it at its default"
            )


def _device(learner: LearnerSpec) -> str:
    """Where this process learns. Raises BadConfiguration where it should be a GPU and there is none."""
    if not learner.gpus_per_replica:
        return "cpu"
    if learner.gpus_per_replica > 1:
        asked = f"{learner.gpus_per_replica} GPUs for one learner"
        raise BadConfiguration(f"spec.learner.gpusPerReplica: {asked}, which uses one; set it to 1")
    import torch

    if not torch.cuda.is_available():
        raise BadConfiguration(
            "spec.learner.gpusPerReplica is 1, and this process sees no GPU: run it where there is one "
            "(and a torch built for it), or set it to 0"
        )
    return "cuda"


def _is_trained(job: TrainingJob, name: str) -> bool:
    return all(policy.trained for policy in job.spec.policies if policy.name == name)


def _filtered(policy: Policy, model: Any) -> bool:
    return bool(policy.filtered) or model.return_filter != "none"


def _filters(policy: Policy, model: Any) -> PolicyFilters:
    return PolicyFilters(policy.spaces, policy.filtered, returns=model.return_filter != "none")
