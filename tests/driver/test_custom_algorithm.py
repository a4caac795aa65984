"""Mistakes in an algorithm or a network of one's own are told by the names of its functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rl_platform.driver.building import BadConfiguration, assemble
from rl_platform.driver.train import TrainingFailed, train
from rl_platform.execution import operators as op
from rl_platform.spec.manifest import as_job
from rl_platform.spec.training_job import TrainingJob
from tests.integration import own_policy

OWN = {"custom": {"entrypoint": "tests.integration.own_policy:ALGORITHM"}}
PPO = {"ppo": {"batchSize": 128, "minibatchSize": 64, "epochs": 1}}


def job(algorithm: dict[str, Any], **model: Any) -> TrainingJob:
    spec = {
        "environment": {"id": "CartPole-v1"},
        "algorithm": algorithm,
        "stop": {"envSteps": 256},
        "evaluation": {"episodes": 0},
        "tracking": {"enabled": False},
        **({"model": model} if model else {}),
    }
    head = {"apiVersion": "rlplatform.io/v1alpha1", "kind": "TrainingJob", "metadata": {"name": "own"}}
    return as_job({**head, "spec": spec})


def without_return(*arguments: Any) -> None:
    """What a function is that forgot it."""


def flow(run: Any, config: Any) -> Any:
    return op.rollouts(run, env_steps=64).then(op.concat_batches(env_steps=64))


def wrongly_wired(run: Any, config: Any) -> Any:
    return op.rollouts(run, env_steps=64).then(op.train_one_step(run, own_policy.loss)).as_plan("wrong")


def without_report(run: Any, config: Any) -> Any:
    return flow(run, config).as_plan("silent")


def unpublished(run: Any, config: Any) -> Any:
    learn = op.train_one_step(run, own_policy.loss, minibatch_size=64)
    return flow(run, config).then(learn, op.report(run)).as_plan("unpublished")


def missing_key(*arguments: Any) -> Any:
    return arguments[-1]["batchSize"]


HERE = "tests.driver.test_custom_algorithm"


@pytest.mark.parametrize(
    ("part", "function", "problem"),
    [
        ("plan", without_return, r"returned None; expected a Plan: return flow\.as_plan\(name\)"),
        ("plan", flow, r"returned a Flow; expected a Plan: end it with \.as_plan\(name\)"),
        ("plan", wrongly_wired, "raised PlanError: train_one_step takes Batch or Sample, but rollouts"),
        ("plan", without_report, r"the output silent must end in report\(\)"),
        ("plan", unpublished, "train_one_step trains, but nothing publishes"),
        ("plan", missing_key, "raised KeyError: 'batchSize'"),
        ("policy", without_return, "returned None; expected a Policy"),
        ("policy", missing_key, "raised KeyError: 'batchSize'"),
        ("learning", without_return, "returned None; expected a Learning"),
        ("learning", missing_key, "raised KeyError: 'batchSize'"),
    ],
)
def test_a_function_of_an_own_algorithm_is_named(
    part: str, function: Callable[..., Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: dict[str, Any] = {part: function}
    monkeypatch.setattr(own_policy, "ALGORITHM", replace(own_policy.ALGORITHM, **changed))
    named = (
        rf"^spec\.algorithm\.custom\.entrypoint .*own_policy:ALGORITHM': {part}, {HERE}\.{function.__name__}"
    )
    with pytest.raises(BadConfiguration, match=f"{named}[:,] {problem}"):
        assemble(job(OWN))


def mean(policy: Any, params: Any, batch: Any, knobs: Any) -> Any:
    return -policy.heads(params, batch, knobs).log_probability(batch["action"]).mean()


LOSSES: dict[str, tuple[Callable[..., Any], str]] = {
    "none": (without_return, r"returned None; expected \(loss, statistics\)"),
    "alone": (
        lambda policy, params, target, batch, knobs: mean(policy, params, batch, knobs),
        "returned only a tensor; expected",
    ),
    "nothing as loss": (
        lambda policy, params, target, batch, knobs: (None, {}),
        "returned None as its loss; expected",
    ),
    "a number": (
        lambda policy, params, target, batch, knobs: (mean(policy, params, batch, knobs).item(), {}),
        "returned a float as its loss; expected",
    ),
    "of every row": (
        lambda policy, params, target, batch, knobs: (policy.heads(params, batch, knobs).entropy(), {}),
        r"returned a loss of shape \[64\]; .* such as loss\.mean\(\)",
    ),
    "detached": (
        lambda policy, params, target, batch, knobs: (mean(policy, params, batch, knobs).detach(), {}),
        "returned a loss that no gradient comes from",
    ),
    "no statistics": (
        lambda policy, params, target, batch, knobs: (mean(policy, params, batch, knobs), None),
        "returned None as its statistics; expected",
    ),
    "no such column": (
        lambda policy, params, target, batch, knobs: (batch["returns"].mean(), {}),
        "raised KeyError: 'returns'",
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_that_cannot_be_learned_from_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, problem = LOSSES[name]
    monkeypatch.setattr(own_policy, "loss", function)
    with pytest.raises(TrainingFailed, match=rf"the loss function {HERE}\..*{problem}") as told:
        train(job(OWN), tmp_path / "run")
    assert (told.value.result.reason, int(told.value.result.exit_code)) == ("BadConfiguration", 2)


NET = "tests.driver.mistaken_net:build"


@pytest.mark.parametrize("portable", [True, False], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("mistake", "problem"),
    [
        ("no return", r"returned None; expected \(heads, state\)"),
        ("no state", r"returned a dict; expected \(heads, state\)"),
        ("state is none", "returned None as its state"),
        ("no value", r"returned the heads \['policy'\] without 'value'; expected \['policy', 'value'\]"),
        ("wide value", r"the heads with 'value' of shape \[2, 2\] for 2 rows; expected \[2, 1\]"),
        ("flat value", r"the heads with 'value' of shape \[2\] for 2 rows; expected \[2, 1\]"),
        ("no such head", "called with 2 rows of zeros, raised KeyError: 'vaule'"),
    ],
)
def test_a_network_that_does_not_give_what_is_asked_is_named(
    mistake: str, problem: str, portable: bool
) -> None:
    kwargs = {"mistake": mistake, "portable": portable}
    kind = "MistakenNet" if portable else "TorchNet"
    with pytest.raises(
        BadConfiguration, match=rf"^spec\.model\.entrypoint '{NET}': {kind}\.forward.*{problem}"
    ):
        assemble(job(PPO, entrypoint=NET, kwargs=kwargs))


def test_a_network_that_forgets_its_state_is_named() -> None:
    kwargs = {"mistake": "forgets", "remembers": True}
    with pytest.raises(BadConfiguration, match=r"returned the state \[\] without 'sum'; expected \['sum'\]"):
        assemble(job(PPO, entrypoint=NET, kwargs=kwargs))


@pytest.mark.parametrize("portable", [True, False], ids=["numpy", "torch"])
def test_networks_without_a_mistake_are_taken(portable: bool) -> None:
    for remembers in (False, True):
        kwargs = {"remembers": remembers, "portable": portable}
        assemble(job(PPO, entrypoint=NET, kwargs=kwargs)).close()
