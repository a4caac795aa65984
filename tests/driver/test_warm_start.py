"""restoreFrom: weights come with their filters, and only into a network that reads them the same way."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_platform.checkpoints.reading import load, resolve
from rl_platform.driver import attempt
from rl_platform.driver.building import Assembly, BadConfiguration, assemble
from rl_platform.driver.evaluation import evaluate
from rl_platform.driver.policy_description import network_fields
from rl_platform.driver.result import Evaluation
from rl_platform.driver.train import train
from rl_platform.driver.warm_start import restore_policies
from rl_platform.serving.bundle import Bundle, open_bundle
from rl_platform.spec.training_job import TrainingJob
from tests.integration.probes import A2C, DQN, PPO, job

CARTPOLE = {"id": "CartPole-v1"}
TEAM = {"kind": "pettingzooParallel", "entrypoint": "tests.integration.probes:Team"}  # all see 1
SMALL = {"hidden": [1, 4]}
SAME_SIZE = {"hidden": [2, 2]}
LSTM = {"hidden": [4], "recurrent": {"kind": "lstm", "size": 4}}
FILTERED = {"hidden": [4], "observationFilter": "meanStd", "returnFilter": "meanStd"}

MODELS = {"small": SMALL, "lstm": LSTM, "filtered": FILTERED}
OTHERS: list[tuple[str, dict[str, Any], str]] = [
    ("small", SMALL | {"activation": "relu"}, r"spec\.model\.activation was 'tanh' and is 'relu'"),
    ("small", SAME_SIZE, r"spec\.model\.hidden was \[1, 4\] and is \[2, 2\]"),
    ("small", SMALL | {"encoder": "flat"}, r"spec\.model\.encoder was 'auto' and is 'flat'"),
    ("small", SMALL | {"shareTrunk": "shared"}, r"spec\.model\.shareTrunk was 'auto' and is 'shared'"),
    (
        "small",
        SMALL | {"recurrent": {"kind": "lstm", "size": 2}},
        r"spec\.model\.recurrent\.kind was 'none' and is 'lstm'",
    ),
    (
        "lstm",
        LSTM | {"recurrent": {"kind": "lstm", "size": 2}},
        r"spec\.model\.recurrent\.size was 4 and is 2\. ",
    ),
    (
        "small",
        SMALL | {"observationFilter": "meanStd"},
        r"spec\.model\.observationFilter was 'none' and is 'meanStd'",
    ),
    (
        "filtered",
        FILTERED | {"observationFilter": "none"},
        r"spec\.model\.observationFilter was 'meanStd' and is 'none'",
    ),
]
AS_GOOD: list[tuple[str, dict[str, Any]]] = [
    ("small", SMALL),
    ("small", SMALL | {"returnFilter": "meanStd"}),
    ("small", SMALL | {"recurrent": {"kind": "none", "size": 3, "sequenceLength": 5}}),
    ("lstm", {"hidden": [4], "recurrent": {"kind": "lstm", "size": 4, "sequenceLength": 3}}),
    ("filtered", FILTERED | {"returnFilter": "none"}),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of each of the models."""
    folder = tmp_path_factory.mktemp("runs")
    for name, model in MODELS.items():
        train(job(CARTPOLE, {"ppo": PPO}, model=model, stop={"envSteps": 256}), folder / name)
    return folder


@contextmanager
def begun(of: TrainingJob) -> Iterator[Assembly]:
    """The job's parts with what it restores from, before its first step."""
    assembly = assemble(of)
    try:
        restore_policies(of, assembly)
        yield assembly
    finally:
        assembly.close()


def from_run(run: Path, model: dict[str, Any], algorithm: dict[str, Any] | None = None) -> TrainingJob:
    return job(CARTPOLE, algorithm or {"ppo": PPO}, model=model, checkpoint={"restoreFrom": str(run)}, seed=5)


@pytest.mark.parametrize(("made", "model", "told"), OTHERS)
def test_weights_of_another_network_are_refused_whatever_their_number(
    made: str, model: dict[str, Any], told: str, runs: Path
) -> None:
    with (
        pytest.raises(BadConfiguration, match=rf"^spec\.checkpoint\.restoreFrom: .*{made} does not .*{told}"),
        begun(from_run(runs / made, model)),
    ):
        pass


@pytest.mark.parametrize(("made", "model"), AS_GOOD)
def test_how_the_network_is_trained_may_differ(made: str, model: dict[str, Any], runs: Path) -> None:
    saved = load(resolve(str(runs / made))).arrays
    with begun(from_run(runs / made, model)) as assembly:
        published = assembly.run.published["default"]
        np.testing.assert_array_equal(published.weights, saved["policy/default/weights"]["flat"])
        for name, leaf in saved.get("policy/default/knobs", {}).items():
            if name.startswith("filter/obs"):
                np.testing.assert_allclose(published.knobs[name], leaf, rtol=1e-6, err_msg=name)


def test_another_algorithm_with_policies_of_the_same_kind_begins_with_them(runs: Path) -> None:
    saved = load(resolve(str(runs / "small"))).arrays["policy/default/weights"]["flat"]
    with begun(from_run(runs / "small", SMALL, {"a2c": A2C})) as assembly:
        assert assembly.run.published["default"].weights.tolist() == saved.tolist()


def test_action_values_are_no_actor_critic(runs: Path) -> None:
    with (
        pytest.raises(BadConfiguration, match="policy default had other kind: actor_critic then, q now"),
        begun(from_run(runs / "small", SMALL, {"dqn": DQN | {"dueling": False}})),
    ):
        pass


def test_the_policys_own_field_is_named(runs: Path) -> None:
    policies = [{"name": "default", "restoreFrom": str(runs / "small")}]
    of = job(CARTPOLE, {"ppo": PPO}, model=SAME_SIZE, policies=policies)
    with (
        pytest.raises(
            BadConfiguration, match=r"^spec\.policies\[0\]\.restoreFrom: .*spec\.model\.hidden was"
        ),
        begun(of),
    ):
        pass


def test_a_field_that_a_description_lacks_has_its_default() -> None:
    plain = network_fields({})
    assert plain == network_fields({"hidden": [64, 64], "kwargs": {}})
    assert plain["model.activation"] == "tanh"
    with pytest.raises(ValueError, match="model that this version doesn't know"):
        network_fields({"layersOfTomorrow": 3})


def test_of_a_network_of_ones_own_entrypoint_and_arguments_count() -> None:
    of = {"entrypoint": "nets:Net", "kwargs": {"width": 3}}
    assert network_fields(of) == network_fields(of | {"hidden": [9], "activation": "relu"})
    assert network_fields(of) != network_fields(of | {"kwargs": {"width": 4}})
    assert network_fields(of) != network_fields({"entrypoint": "nets:Other", "kwargs": {"width": 3}})


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with filters whose every evaluation is worse than the one before: the first is registered."""
    folder, evaluated = tmp_path_factory.mktemp("registered") / "run", itertools.count()

    def worse(*arguments: Any) -> Evaluation | None:
        played = evaluate(*arguments)
        return played and replace(played, return_mean=-float(next(evaluated)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempt, "evaluate", worse)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)  # MLflow itself sets it where a server is chosen
        result = train(
            job(
                TEAM,
                {"ppo": PPO},
                model=FILTERED,
                stop={"envSteps": 1024},
                tracking={"registeredModel": "team"},
                evaluation={"episodes": 2, "everyEnvSteps": 256},
            ),
            folder,
        )
    assert result.model is not None, result.message
    assert result.checkpoint != resolve(str(folder), pinned="best").uri
    return folder


def on_from(run: Path, **spec: Any) -> TrainingJob:
    """A job that looks for models where the run has registered its own."""
    tracking = {"enabled": False, "mlflowUri": f"sqlite:///{run}/mlflow.db"}
    return job(TEAM, {"ppo": PPO}, **{"model": FILTERED, "tracking": tracking, "seed": 5, **spec})


def test_a_registered_model_brings_the_filter_that_its_checkpoint_has(registered: Path) -> None:
    best = resolve(str(registered), pinned="best")
    found = []
    for uri in (best.uri, "models:/team@champion"):
        with begun(on_from(registered, checkpoint={"restoreFrom": uri})) as assembly:
            found.append((assembly.run.published["default"], assembly.run.filters["default"].snapshot()))
    (here, mine), (there, theirs) = found
    assert here.weights.tobytes() == there.weights.tobytes()
    assert mine.keys() == theirs.keys() >= {"obs/count", "obs/mean", "obs/m2", "return/count"}
    for path, leaf in mine.items():
        assert leaf.shape == theirs[path].shape
        np.testing.assert_array_equal(leaf, theirs[path], err_msg=path)
    assert mine["obs/count"] > 100
    assert here.knobs.keys() == there.knobs.keys()
    for name, knob in here.knobs.items():
        np.testing.assert_array_equal(knob, there.knobs[name], err_msg=name)
    assert there.knobs["filter/obs/mean"].any()


def test_a_frozen_policy_acts_with_the_filter_of_its_model_and_keeps_it(registered: Path) -> None:
    policies = [
        {"name": "red", "agents": ["red_*"]},
        {"name": "blue", "agents": ["*"], "trained": False, "restoreFrom": "models:/team@champion"},
    ]
    moments = open_bundle(registered / "policy" / "default").moments()
    with begun(on_from(registered, policies=policies)) as assembly:
        restored = assembly.run.published["blue"].knobs
        np.testing.assert_array_equal(restored["filter/obs/mean"], moments["obs/mean"].astype(np.float32))
        assert not assembly.run.published["red"].knobs["filter/obs/mean"].any()
        assembly.workers.reset(0)
        next(item for item in assembly.plan if assembly.plan.counters.env_steps >= 512)
        assert assembly.run.published["blue"].knobs is restored
        assert assembly.run.published["red"].knobs["filter/obs/mean"].any()
        for path, leaf in assembly.run.filters["blue"].snapshot().items():
            np.testing.assert_array_equal(leaf, moments[path], err_msg=path)


def test_a_model_that_was_registered_without_moments_is_refused_and_says_what_to_name(
    registered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bundle, "moments", lambda self: {})
    with (
        pytest.raises(
            BadConfiguration, match=r"models:/team@champion .*no moments of spec\.model\.observ.*run's"
        ),
        begun(on_from(registered, checkpoint={"restoreFrom": "models:/team@champion"})),
    ):
        pass
