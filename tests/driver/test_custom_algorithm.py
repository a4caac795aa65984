"""Mistakes in an algorithm or a network of one's own are told by the names of its functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_platform.driver.building import BadConfiguration, assemble
from rl_platform.driver.train import TrainingFailed, train
from rl_platform.execution import operators as op
from rl_platform.spec.manifest import as_job
from rl_platform.spec.training_job import TrainingJob
from rl_platform.tracking.progress_log import PROGRESS_FILE, read_reports
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


def learning_by(**how: Any) -> Callable[..., Any]:
    def wrongly_learning(run: Any, config: Any) -> Any:
        learn = op.train_one_step(run, own_policy.loss, **how)
        return flow(run, config).then(learn, op.publish_weights(run), op.report(run)).as_plan("wrong")

    wrongly_learning.__qualname__ = "wrongly_learning"
    wrongly_learning.__name__ = "wrongly_learning"
    return wrongly_learning


HERE = "tests.driver.test_custom_algorithm"
ONE_STEP = r"raised PlanError: train_one_step\(\): "
AT_LEAST_ONE = "expected a whole number of 1 or more"


@pytest.mark.parametrize(
    ("part", "function", "problem"),
    [
        ("plan", without_return, r"returned None; expected a Plan: return flow\.as_plan\(name\)"),
        ("plan", flow, r"returned a Flow; expected a Plan: end it with \.as_plan\(name\)"),
        ("plan", wrongly_wired, "raised PlanError: train_one_step takes Batch or Sample, but rollouts"),
        ("plan", without_report, r"the output silent must end in report\(\)"),
        ("plan", unpublished, "train_one_step trains, but nothing publishes"),
        ("plan", missing_key, "raised KeyError: 'batchSize'"),
        ("plan", learning_by(minibatch_size=0), f"{ONE_STEP}minibatch_size is 0; {AT_LEAST_ONE}"),
        ("plan", learning_by(minibatch_size=-64), f"{ONE_STEP}minibatch_size is -64; {AT_LEAST_ONE}"),
        ("plan", learning_by(minibatch_size="64"), f"{ONE_STEP}minibatch_size is '64'; {AT_LEAST_ONE}"),
        ("plan", learning_by(epochs=0), f"{ONE_STEP}epochs is 0; {AT_LEAST_ONE}"),
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


def with_statistic(value: Callable[[Any], Any]) -> Callable[..., Any]:
    """A loss that says ``extra``, made of the heads."""

    def loss(policy: Any, params: Any, target: Any, batch: Any, knobs: Any) -> Any:
        heads = policy.heads(params, batch, knobs)
        return -heads.log_probability(batch["action"]).mean(), {"extra": value(heads)}

    return loss


def changing_a_column(policy: Any, params: Any, target: Any, batch: Any, knobs: Any) -> Any:
    loss = mean(policy, params, batch, knobs)
    batch["action"].zero_()
    return loss, {}


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
    "complex": (
        lambda policy, params, target, batch, knobs: (mean(policy, params, batch, knobs) * 1j, {}),
        r"returned a loss of complex numbers; .* such as loss\.abs\(\)",
    ),
    "a column changed in place": (
        changing_a_column,
        "be differentiated; expected no tensor to be changed in place: RuntimeError: .*inplace operation",
    ),
    "a word as statistic": (
        with_statistic(lambda heads: "warm-up"),
        "returned a str as its statistic 'extra'; expected a number",
    ),
    "no statistic": (
        with_statistic(lambda heads: None),
        "returned None as its statistic 'extra'; expected a number",
    ),
    "a complex statistic": (
        with_statistic(lambda heads: 1j),
        "returned a complex as its statistic 'extra'; expected a number",
    ),
    "a statistic of complex numbers": (
        with_statistic(lambda heads: heads.entropy().mean().detach() * 1j),
        "returned a Tensor of torch.complex64 as its statistic 'extra'; expected a number",
    ),
    "a statistic of every row": (
        with_statistic(lambda heads: heads.entropy().detach()),
        r"returned its statistic 'extra' of shape \[64\]; expected a number, such as its mean\(\)",
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


@pytest.mark.parametrize("value", [math.nan, 1, True, np.float32(0.5), np.array(0.5)], ids=repr)
def test_any_number_is_a_statistic(value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_policy, "loss", with_statistic(lambda heads: value))
    train(job(OWN), tmp_path / "run")
    *_, report = read_reports(tmp_path / "run" / PROGRESS_FILE)
    assert report.metrics["train/default/extra"] == pytest.approx(float(value), nan_ok=True)


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


def test_a_network_that_has_nothing_to_learn_is_named() -> None:
    named = rf"^spec\.model\.entrypoint '{NET}': BareNet has no parameters that could learn"
    with pytest.raises(BadConfiguration, match=named):
        assemble(job(PPO, entrypoint=NET, kwargs={"bare": True}))


def test_a_loss_of_a_network_that_has_nothing_to_learn_is_not_blamed(tmp_path: Path) -> None:
    of = job(OWN, entrypoint=NET, kwargs={"bare": True})
    with pytest.raises(
        TrainingFailed, match="the network BareNet has no parameters that could learn"
    ) as told:
        train(of, tmp_path / "run")
    assert told.value.result.reason == "BadConfiguration"


def test_a_path_of_a_parameter_needs_no_slash(tmp_path: Path) -> None:
    train(job(PPO, entrypoint=NET, kwargs={"slash": "_"}), tmp_path / "run")


@pytest.mark.parametrize("portable", [True, False], ids=["numpy", "torch"])
def test_networks_without_a_mistake_are_taken(portable: bool) -> None:
    for remembers in (False, True):
        kwargs = {"remembers": remembers, "portable": portable}
        assemble(job(PPO, entrypoint=NET, kwargs=kwargs)).close()
