"""What a checkpoint of a run holds, and how a run goes on from one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rl_platform.checkpoints.checkpoint import Checkpoint
from rl_platform.data.tree import Tree
from rl_platform.driver.building import Assembly, BadConfiguration
from rl_platform.driver.fixed_fields import fixed_fields, refuse_changed
from rl_platform.driver.guard import DivergenceGuard
from rl_platform.driver.policy_description import describe, refuse_other_policies
from rl_platform.driver.saving_replay import capture_replay, put_replay_back
from rl_platform.driver.stopping import StopRule
from rl_platform.execution.parts import PlanError
from rl_platform.workers.weights import LocalWeights


@dataclass(slots=True)
class Progress:
    """What the driver itself remembers over attempts."""

    wall_seconds: float = 0.0
    checkpoints: int = 0  # so far: the key that exact mode reseeds environments by
    next_checkpoint_update: int = 0
    next_evaluation: int = 0
    best_return: float | None = None
    learner_losses: int = 0  # each led back to a checkpoint


def capture(assembly: Assembly, progress: Progress, rule: StopRule, guard: DivergenceGuard) -> Checkpoint:
    """The whole run as JSON and arrays, between two results."""
    run, plan_state, plan_arrays = assembly.run, *assembly.plan.snapshot()
    lanes = assembly.workers.snapshot()
    arrays: dict[str, Tree] = {"plan": plan_arrays}
    arrays |= {f"lanes/{number}": leaves for number, (_, leaves) in enumerate(lanes)}
    replay: dict[str, Any] = {}
    for name in assembly.policies:
        published = run.published[name]
        arrays[f"policy/{name}/weights"] = {"flat": published.weights}
        arrays[f"policy/{name}/knobs"] = {
            knob: np.asarray(value, np.float32) for knob, value in published.knobs.items()
        }
        arrays[f"learner/{name}"] = run.learner.snapshot(name)
        if name in run.filters:
            arrays[f"filters/{name}"] = run.filters[name].snapshot()
    if assembly.job.spec.checkpoint.replay:
        replay, trees = capture_replay(run)
        arrays |= trees
    state = {
        "algorithm": assembly.name,
        "environment": assembly.environment,
        "fixed": fixed_fields(assembly.job),
        "policies": {name: describe(assembly, name) for name in assembly.policies},
        "published": {name: each.version for name, each in run.published.items()},
        "plan": plan_state,
        "lanes": [document for document, _ in lanes],
        "episodes": run.episodes.snapshot(),
        "replay": replay,
        "progress": asdict(progress),
        "stop": rule.snapshot(),
        "guard": guard.snapshot(),
    }
    return Checkpoint(state, {group: tree for group, tree in arrays.items() if tree})


def put_back(
    checkpoint: Checkpoint, assembly: Assembly, progress: Progress, rule: StopRule, guard: DivergenceGuard
) -> None:
    """Go on where the checkpoint was taken. Raises BadConfiguration where the job no longer fits it."""
    state, run = checkpoint.state, assembly.run
    try:
        refuse_changed(state["fixed"], assembly.job)
        refuse_other_policies(state["policies"], assembly, assembly.policies)
        for name in assembly.policies:
            run.learner.restore(name, checkpoint.arrays[f"learner/{name}"])
            if name in run.filters:
                run.filters[name].restore(checkpoint.arrays[f"filters/{name}"])
        assembly.plan.restore(state["plan"], checkpoint.arrays.get("plan", {}))
        put_replay_back(run, assembly.plan.counters, state["replay"], checkpoint.arrays)
    except (ValueError, KeyError, PlanError) as error:
        raise BadConfiguration(f"the checkpoint does not fit this job: {error}") from error
    run.episodes.restore(state["episodes"])
    for name, value in state["progress"].items():
        setattr(progress, name, value)
    rule.restore(state["stop"])
    _republish(checkpoint, assembly)
    guard.restore(state["guard"], {name: run.published[name].held.summary for name in run.trained})
    arrays = checkpoint.arrays
    assembly.workers.restore(
        [(document, arrays.get(f"lanes/{number}", {})) for number, document in enumerate(state["lanes"])]
    )


def _republish(checkpoint: Checkpoint, assembly: Assembly) -> None:
    """Workers act with what was published then, which may be older than what the learner has."""
    from rl_platform.execution.run import Published

    for name, version in checkpoint.state["published"].items():
        flat = checkpoint.arrays[f"policy/{name}/weights"]["flat"]
        knobs = checkpoint.arrays.get(f"policy/{name}/knobs", {})
        weights = LocalWeights(flat, assembly.policies[name].layout)
        assembly.run.published[name] = Published(weights, knobs, version)
