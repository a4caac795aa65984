from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rl_platform.models.actors import make_actor
from rl_platform.serving import bundle as bundle_module
from rl_platform.serving.actors import GraphActor, bundle_actor, saved_actor
from rl_platform.serving.bundle import BundleError, open_bundle, rebuild, write_bundle
from tests.models import policies as p
from tests.serving.cases import Case

NAMES = ("mlp", "lstm", "dict", "mask", "box-action", "q", "set", "image")


@pytest.mark.parametrize("name", NAMES)
def test_graph_and_weights_of_a_bundle_answer_as_the_policy_did(
    name: str, policies: dict[str, Case], tmp_path: Path
) -> None:
    case = policies[name]
    case.bundle(tmp_path / "policy")
    bundle = open_bundle(tmp_path / "policy")
    rng = np.random.default_rng(3)
    obs = p.observations(case.policy.spaces, (7,), rng)
    trained, graph, weights = (
        case.actor(),
        bundle_actor(bundle),
        saved_actor(bundle.description, *bundle.weights()),
    )
    assert isinstance(graph, GraphActor)
    state = {
        path: rng.standard_normal(leaf.shape).astype(np.float32)
        for path, leaf in trained.initial_state(7).items()
    }
    first = np.arange(7) % 3 == 0
    noise = trained.draw_noise(np.random.default_rng(1), (7,))
    assert graph.draw_noise(np.random.default_rng(1), (7,)).tolist() == noise.tolist()
    right = trained.act(obs, state, first, noise)
    for actor in (graph, weights):
        assert actor.spaces == case.policy.spaces
        said = actor.act(obs, state, first, noise)
        np.testing.assert_allclose(said.env_action, right.env_action, atol=1e-5)
        for path, leaf in right.state.items():
            np.testing.assert_allclose(said.state[path], leaf, atol=1e-5)


def test_a_bundle_replaces_the_one_before(policies: dict[str, Case], tmp_path: Path) -> None:
    policies["mlp"].bundle(tmp_path / "policy")
    policies["lstm"].bundle(tmp_path / "policy")
    assert open_bundle(tmp_path / "policy").state.keys() == policies["lstm"].policy.net.state.keys()
    assert [each.name for each in tmp_path.iterdir()] == ["policy"]


def test_a_failure_while_writing_leaves_the_bundle_before(
    policies: dict[str, Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = policies["mlp"].bundle(tmp_path / "policy").weights()[0]
    monkeypatch.setattr(bundle_module, "describe_policy", lambda policy, recipe: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        policies["lstm"].bundle(tmp_path / "policy")
    assert open_bundle(tmp_path / "policy").weights()[0].tolist() == before.tolist()


def test_a_description_rebuilds_the_same_policy(policies: dict[str, Case]) -> None:
    for case in policies.values():
        policy = rebuild(json.loads(json.dumps(case.description())))
        assert policy.spaces == case.policy.spaces
        assert policy.layout.shapes == case.policy.layout.shapes
        assert policy.filtered == case.policy.filtered


def test_a_network_that_cannot_be_imported_is_named(policies: dict[str, Case]) -> None:
    description = policies["mlp"].description()
    description["model"] = description["model"] | {"entrypoint": "no_such_module:Net"}
    with pytest.raises(BundleError, match="no_such_module:Net, which cannot be imported here"):
        rebuild(description)


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is no policy bundle: policy\.json"):
        open_bundle(tmp_path)


def test_a_bundle_of_a_later_version_is_refused(policies: dict[str, Case], tmp_path: Path) -> None:
    file = policies["mlp"].bundle(tmp_path / "policy").folder / "policy.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"formatVersion": 99}))
    with pytest.raises(BundleError, match="formatVersion 99; this version of rl-platform reads up to 1"):
        open_bundle(tmp_path / "policy")


def test_weights_of_a_graph_cannot_be_replaced(policies: dict[str, Case], tmp_path: Path) -> None:
    actor = bundle_actor(policies["mlp"].bundle(tmp_path / "policy"))
    with pytest.raises(TypeError, match="cannot be replaced"):
        actor.load(policies["mlp"].flat, {}, 2)


def test_an_inf_bound_survives_the_description(policies: dict[str, Case], tmp_path: Path) -> None:
    case = policies["mlp"]
    written = write_bundle(tmp_path / "policy", case.policy, case.flat, case.knobs, case.recipe, {})
    assert written.spaces == open_bundle(tmp_path / "policy").spaces == case.policy.spaces
    assert make_actor(rebuild(written.description)).spaces.obs["obs"].high == np.inf


def test_loading_a_graph_writes_nothing_into_the_users_home(
    policies: dict[str, Case], tmp_path: Path
) -> None:
    bundle, home = policies["mlp"].bundle(tmp_path / "policy"), tmp_path / "home"
    home.mkdir()
    program = f"from rl_platform.serving.pyfunc_model import OnnxPolicy; OnnxPolicy({str(bundle.folder)!r})"
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    subprocess.run([sys.executable, "-c", program], env={**kept, "HOME": str(home)}, check=True, timeout=120)
    assert list(home.rglob("*")) == []
