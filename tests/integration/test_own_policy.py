"""A custom algorithm's policy of a kind of its own trains, is served by its graph, and is told elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rl_platform.driver.train import train
from rl_platform.serving.bundle import OWN_KIND, BundleError, kind_of, open_bundle, write_bundle
from rl_platform.serving.loading import load_policy
from rl_platform.spec.model import ModelSpec
from tests.integration import own_policy
from tests.integration.probes import job
from tests.models import policies as p
from tests.serving.cases import Case, cases

MODEL = ModelSpec.model_validate({"hidden": (16, 8)})


def test_a_checkpoint_of_it_is_not_taken_for_another_policy(tmp_path: Path) -> None:
    algorithm = {"custom": {"entrypoint": "tests.integration.own_policy:ALGORITHM"}}
    result = train(job({"id": "CartPole-v1"}, algorithm, stop={"envSteps": 256}), tmp_path / "run")
    assert result.state == "Succeeded"
    with pytest.raises(BundleError, match=r"only its graph can be loaded, .*models:/NAME@ALIAS"):
        load_policy(tmp_path / "run")


def test_its_graph_answers_as_it_does(tmp_path: Path) -> None:
    policy = own_policy.make_policy(p.Spaces(p.BOX, p.DISCRETE), MODEL, None)
    assert kind_of(policy, MODEL) == OWN_KIND
    recipe = {"kind": OWN_KIND, "model": MODEL.model_dump(mode="json", by_alias=True)}
    case = Case(policy, p.random_weights(policy.layout.size, 3), {}, recipe)
    served = load_policy(case.bundle(tmp_path / "policy").folder)
    obs = p.observations(policy.spaces, (9,), np.random.default_rng(0))
    right = case.actor().act(obs, {}, None, None).env_action
    np.testing.assert_array_equal(served.actor.act(obs, {}, None, None).env_action, right)


@pytest.mark.parametrize("name", sorted(cases()))
def test_the_policies_of_both_families_are_recognised(name: str) -> None:
    case = cases()[name]
    assert kind_of(case.policy, ModelSpec.model_validate(case.recipe["model"])) == case.recipe["kind"]


def test_another_activation_is_another_policy() -> None:
    case = cases()["mlp"]
    model = ModelSpec.model_validate({"hidden": (16, 8), "activation": "relu"})
    assert kind_of(case.policy, model) == OWN_KIND


def test_what_has_no_graph_either_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = cases()["mlp"]
    monkeypatch.setattr(type(case.policy.net), "portable", False)
    recipe = {**case.recipe, "kind": OWN_KIND}
    with pytest.raises(BundleError, match="runs in PyTorch only"):
        write_bundle(tmp_path / "policy", case.policy, case.flat, case.knobs, recipe, {})
    with pytest.raises(BundleError):
        open_bundle(tmp_path / "policy")
