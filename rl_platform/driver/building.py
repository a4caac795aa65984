"""From a job to the parts of a run: environments, policies, learner, workers, and the plan over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rl_platform.algorithms import ALGORITHMS
from rl_platform.algorithms.algorithm import Algorithm
from rl_platform.data.entrypoint import EntrypointError, load_entrypoint
from rl_platform.driver.building_replay import replay_of
from rl_platform.driver.custom_algorithm import BadAlgorithm, named_functions
from rl_platform.driver.schedules import schedule_of
from rl_platform.envs.adapter import EnvironmentAdapter
from rl_platform.envs.make import make_adapter
from rl_platform.envs.watchdog import Watchdog
from rl_platform.execution.plan import Plan
from rl_platform.execution.run import Run
from rl_platform.models.actors import Actor, make_actor
from rl_platform.models.build import family_of
from rl_platform.models.filters import PolicyFilters
from rl_platform.models.net_checks import is_own, refuse_bad_forward, refuse_nothing_to_learn
from rl_platform.models.policy import Policy
from rl_platform.serving.bundle import kind_of
from rl_platform.spec.algorithms import Custom
from rl_platform.spec.model import DEFAULT_POLICY
from rl_platform.spec.resources import LearnerSpec
from rl_platform.spec.training_job import TrainingJob
from rl_platform.workers.blueprint import Blueprint, Sampling
from rl_platform.workers.group import WorkerGroup
from rl_platform.workers.learner import Learner, Learning
from rl_platform.workers.learner_at_workers import LearnerAtWorkers
from rl_platform.workers.learner_process import LearnerBlueprint
from rl_platform.workers.local import LocalWorkers
from rl_platform.workers.ray_session import RaySession, starts_its_own
from rl_platform.workers.remote_learner import RemoteLearner
from rl_platform.workers.replay_shards import ReplayShards
from rl_platform.workers.rollout_worker import ENVS_PER_SOURCE
from rl_platform.workers.worker_gradients import Differentiator


class BadConfiguration(Exception):
    """The job cannot run as it is written; the message names the field. It is never retried."""


@dataclass
class Assembly:
    """A job made concrete. Nothing has been sampled yet."""

    job: TrainingJob
    name: str  # of the algorithm
    config: Any
    policies: dict[str, Policy]
    environment: str  # its id or entrypoint
    workers: LocalWorkers | WorkerGroup
    run: Run
    plan: Plan
    session: RaySession | None  # where something of it is in other processes

    @cached_property
    def kinds(self) -> dict[str, str]:
        """How each policy is made again without its algorithm; see `serving.bundle.kind_of`."""
        if isinstance(self.job.spec.algorithm.selected[1], Custom):
            return {name: kind_of(policy, self.job.spec.model) for name, policy in self.policies.items()}
        return {name: family_of(policy) for name, policy in self.policies.items()}

    def actors(self) -> dict[str, Actor]:
        """A fresh actor for each policy, with what is published now."""
        actors: dict[str, Actor] = {}
        for name, policy in self.policies.items():
            published = self.run.published[name]
            actors[name] = make_actor(policy)
            actors[name].load(published.weights, published.knobs, published.version)
        return actors

    def start(self) -> None:
        """Make what is in other processes; it comes up while the caller goes on."""
        if self.session is not None:
            self.session.open()
        if isinstance(self.workers, WorkerGroup):
            self.workers.start()
        if isinstance(self.run.learner, RemoteLearner):
            self.run.learner.start()
        if isinstance(self.run.replay, ReplayShards):
            self.run.replay.start()

    def close(self) -> None:
        """End what it has made, and the Ray that it started."""
        if isinstance(self.run.learner, RemoteLearner):
            self.run.learner.close()
        if isinstance(self.run.replay, ReplayShards):
            self.run.replay.close()
        self.workers.close()
        if self.session is not None:
            self.session.close()


def environments(job: TrainingJob, count: int, watchdog: Watchdog | None = None) -> EnvironmentAdapter:
    """``count`` environments of the job. Raises BadConfiguration or EnvironmentFault.

    ``watchdog`` bounds the time that their constructors take.
    """
    watching = watchdog.one_call(count) if watchdog is not None else nullcontext()
    try:
        with watching:
            return make_adapter(job.spec.environment, count, agents_of(job))
    except ValueError as error:  # unknown ids and spaces that are not supported
        raise BadConfiguration(str(error)) from error


def agents_of(job: TrainingJob) -> list[tuple[str, list[str]]]:
    """Policies with the patterns of their agents' names."""
    return [(policy.name, list(policy.agents)) for policy in job.spec.policies] or [(DEFAULT_POLICY, ["*"])]


def assemble(job: TrainingJob, watchdog: Watchdog | None = None, logs: Path | None = None) -> Assembly:
    """Build everything a run needs; workers elsewhere are not started, and ``logs`` is where their output is
    kept. Raises BadConfiguration or EnvironmentFault.
    """
    refuse_unsupported(job)
    name, algorithm, config = chosen_algorithm(job)
    spec = job.spec
    session = RaySession(logs) if spec.learner.replicas or spec.rollouts.replicas else None
    # Where others sample, one environment tells the spaces.
    adapter = environments(job, 1 if spec.rollouts.replicas else spec.rollouts.envs_per_worker, watchdog)
    try:
        policies = policies_of(job, adapter, algorithm, config)
        trained = tuple(each for each in policies if _is_trained(job, each))
        schedule = schedule_of(config, spec.schedules, spec.stop.env_steps)
        replay = replay_of(job, algorithm, config, {each: policies[each] for each in trained}, session)
        learning = algorithm.learning(config)
    except ValueError as error:
        adapter.close()
        raise BadConfiguration(str(error)) from error
    filters = {
        name: _filters(policy, spec.model)
        for name, policy in policies.items()
        if _filtered(policy, spec.model)
    }
    behaviour: Sampling = {
        "look_back": algorithm.look_back(config),
        "state_every": spec.model.recurrent.sequence_length if spec.model.recurrent.kind != "none" else None,
        "seed": spec.seed,
        "collect_moments": bool(filters),
        "return_gamma": getattr(config, "gamma", 0.99),
        "differentiator": _differentiator(algorithm, config, policies, trained),
    }
    workers = _workers(job, policies, adapter, behaviour, watchdog, session)
    at = workers if algorithm.learns_in_workers else None
    learner = _learner(job, policies, trained, learning, session, at)
    if isinstance(workers, WorkerGroup):
        # Data goes straight to who keeps it or learns from it, where that is not this process.
        kept = replay or behaviour["differentiator"] is not None
        learned_elsewhere = isinstance(learner, RemoteLearner) and not kept
        workers.data_stays = isinstance(replay, ReplayShards) or learned_elsewhere
    run = Run(workers, learner, trained, schedule, filters=filters, exploration=algorithm.exploration(config))
    run.scheduled_at_workers, run.replay = behaviour["differentiator"] is not None, replay
    run.publish(0, 0)
    try:
        plan = algorithm.plan(run, config).validate()
    except BadAlgorithm as error:
        workers.close()
        raise BadConfiguration(str(error)) from error
    if isinstance(workers, WorkerGroup):
        plan.wait = workers.wait
    return Assembly(job, name, config, policies, adapter.name, workers, run, plan, session)


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
    return config.entrypoint, named_functions(algorithm, config.entrypoint), dict(config.config)


def policies_of(
    job: TrainingJob, adapter: EnvironmentAdapter, algorithm: Algorithm, config: Any
) -> dict[str, Policy]:
    """One policy definition per name. Raises ValueError for what the algorithm does not support, and for a
    network of the user's own that does not give what is asked of it, or is to learn without parameters.
    """
    policies: dict[str, Policy] = {}
    for name, lanes in adapter.lanes.items():
        algorithm.refuse(lanes.spaces, job.spec.model)
        policies[name] = algorithm.policy(lanes.spaces, job.spec.model, config)
        if is_own(policies[name]):
            entrypoint = job.spec.model.entrypoint
            field = f"spec.model.entrypoint {entrypoint!r}" if entrypoint else f"policy {name}"
            refuse_bad_forward(policies[name], field)
            # An algorithm of the user's own may train nothing.
            if _is_trained(job, name) and not isinstance(job.spec.algorithm.selected[1], Custom):
                refuse_nothing_to_learn(policies[name], field)
    return policies


def refuse_unsupported(job: TrainingJob) -> None:
    """Raises BadConfiguration naming the first field that asks for what this version cannot do."""
    spec = job.spec
    asked: Mapping[str, bool] = {
        f"rollouts.envsPerWorker above {ENVS_PER_SOURCE:,}": spec.rollouts.envs_per_worker > ENVS_PER_SOURCE,
    }
    for what, is_asked in asked.items():
        if is_asked:
            raise BadConfiguration(f"spec.{what} is not supported yet: leave it at its default")
    for field, group in (("rollouts", spec.rollouts), ("learner", spec.learner)):
        if group.replicas and find_spec("ray") is None:
            raise BadConfiguration(
                f"spec.{field}.replicas is {group.replicas}, and Ray is not installed: "
                "install rl-platform[ray], or set it to 0 to work in this process"
            )


def refuse_missing_gpus(learner: LearnerSpec) -> None:
    """Raises BadConfiguration where learners on this machine alone would wait for GPUs that it lacks."""
    asked = learner.replicas * learner.gpus_per_replica
    if not asked or not starts_its_own():
        return
    import torch

    there = torch.cuda.device_count()
    if asked > there:
        raise BadConfiguration(
            f"spec.learner.gpusPerReplica is {learner.gpus_per_replica} with {learner.replicas} replicas, "
            f"and this machine has {there} of them: ask for fewer, or join a Ray with more (RAY_ADDRESS)"
        )


def _device(learner: LearnerSpec) -> str:
    """Where this process learns. Raises BadConfiguration where it should be a GPU and there is none."""
    if not learner.gpus_per_replica:
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        raise BadConfiguration(
            "spec.learner.gpusPerReplica is 1, and this process sees no GPU: run it where there is one "
            "(and a torch built for it), or set it to 0"
        )
    return "cuda"


def _learner(
    job: TrainingJob,
    policies: Mapping[str, Policy],
    trained: Sequence[str],
    learning: Learning,
    session: RaySession | None,
    workers: LocalWorkers | WorkerGroup | None,
) -> Learner | RemoteLearner:
    """In this process, in some of its own, or in those of ``workers`` that learn."""
    spec, there = job.spec.learner, isinstance(workers, WorkerGroup)
    if there and spec.gpus_per_replica:
        raise BadConfiguration(
            f"spec.learner.gpusPerReplica is {spec.gpus_per_replica}, and the rollout workers, which learn, "
            "do so on CPUs: set it to 0"
        )
    if spec.gpus_per_replica > 1:
        asked = f"{spec.gpus_per_replica} GPUs for one learner"
        raise BadConfiguration(f"spec.learner.gpusPerReplica: {asked}, which uses one; set it to 1")
    if session is None or not (spec.replicas or there):
        return Learner(policies, trained, learning, job.spec.seed, _device(spec), spec.precision)
    device = "cuda" if spec.gpus_per_replica else "cpu"
    blueprint = LearnerBlueprint(policies, trained, learning, job.spec.seed, device, spec.precision)
    if isinstance(workers, WorkerGroup):
        return LearnerAtWorkers(blueprint, session, workers)
    return RemoteLearner(blueprint, session, spec.gpus_per_replica, spec.replicas)


def _workers(
    job: TrainingJob,
    policies: Mapping[str, Policy],
    adapter: EnvironmentAdapter,
    behaviour: Sampling,
    watchdog: Watchdog | None,
    session: RaySession | None,
) -> LocalWorkers | WorkerGroup:
    """In this process over the adapter, or elsewhere; then the adapter is closed."""
    environment, rollouts = job.spec.environment, job.spec.rollouts
    if not rollouts.replicas or session is None:
        actors = {name: make_actor(policy) for name, policy in policies.items()}
        return LocalWorkers(adapter, actors, watchdog=watchdog, **behaviour)
    adapter.close()
    timeout, count = environment.step_timeout_seconds, rollouts.envs_per_worker
    blueprint = Blueprint(environment, count, agents_of(job), policies, timeout, behaviour)
    return WorkerGroup(blueprint, rollouts.workers, session)


def _differentiator(
    algorithm: Algorithm, config: Any, policies: Mapping[str, Policy], trained: tuple[str, ...]
) -> Differentiator | None:
    """For algorithms whose workers send gradients."""
    if algorithm.gradients is None:
        return None
    objective, recipe = algorithm.gradients(config)
    return Differentiator(policies, trained, objective, *recipe)


def _is_trained(job: TrainingJob, name: str) -> bool:
    return all(policy.trained for policy in job.spec.policies if policy.name == name)


def _filtered(policy: Policy, model: Any) -> bool:
    return bool(policy.filtered) or model.return_filter != "none"


def _filters(policy: Policy, model: Any) -> PolicyFilters:
    return PolicyFilters(policy.spaces, policy.filtered, returns=model.return_filter != "none")
