"""What a served model accepts, refuses and draws, through MLflow's own door."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_platform.data.spaces import ActionSpace, Leaf, Spaces, in_dtype
from rl_platform.models.build import build_policy, initial_knobs
from rl_platform.serving import pyfunc_model
from rl_platform.serving.bundle import open_bundle
from rl_platform.serving.mlflow_model import save_model
from rl_platform.serving.pyfunc_model import OnnxPolicy, answer
from rl_platform.spec.model import ModelSpec
from tests.models import policies as p
from tests.serving.cases import ROWS, Case, case, recording

NAMES = ("mlp", "lstm", "mask", "q", "counted", "set")


@pytest.fixture(scope="module")
def folder(policies: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow models of some cases, saved without a server."""
    folder = tmp_path_factory.mktemp("models")
    for name in NAMES:
        save_model(folder / name, policies[name].bundle(folder / "bundles" / name))
    return folder


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Any]:
    import mlflow

    return {name: mlflow.pyfunc.load_model(str(folder / name)) for name in NAMES}


OBS = np.linspace(-1, 1, 4 * 5, dtype=np.float32).reshape(5, 4)


def test_a_plain_observation_needs_no_name(models: dict[str, Any], policies: dict[str, Case]) -> None:
    said = models["mlp"].predict(OBS)
    assert said.keys() == {"action"}
    right = policies["mlp"].actor().act({"obs": OBS}, {}, None, None).env_action
    assert said["action"].tolist() == right.tolist()


@pytest.mark.parametrize("wrong", [OBS.astype(np.float64), OBS[:, :3], OBS[0]])
def test_another_type_or_shape_is_refused(models: dict[str, Any], wrong: np.ndarray) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException):
        models["mlp"].predict(wrong)


def test_a_missing_tensor_is_refused_by_name(models: dict[str, Any]) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="state/lstm/c"):
        models["lstm"].predict({"obs": OBS, "state/lstm/h": np.zeros((5, 12), np.float32)})


def test_a_row_without_a_legal_action_is_refused(models: dict[str, Any], policies: dict[str, Case]) -> None:
    spaces = policies["mask"].policy.spaces
    observations = p.observations(spaces, (3,), np.random.default_rng(0))
    observations["obs/action_mask"][1] = 0
    with pytest.raises(ValueError, match="no legal action in row 1 of 3"):
        models["mask"].predict(observations)


@pytest.mark.parametrize(
    ("name", "path", "value", "sentence"),
    [
        ("mlp", "obs", np.nan, r"obs holds \[nan, .* in row 1; expected finite numbers"),
        ("lstm", "state/lstm/h", np.inf, r"state/lstm/h holds .* in row 1; expected finite numbers"),
        ("mask", "obs/action_mask", 5, r"action_mask holds .* in row 1; expected 0 or 1 for each action"),
        ("counted", "obs/mode", 1, r"obs/mode holds 1 in row 1; expected whole numbers from -2 to 0"),
        ("counted", "obs/gears", -2, r"expected whole numbers from \[1, -1\] to \[2, 2\]"),
        ("set", "obs/others/count", -1, r"others/count holds -1 in row 1; expected 0 to inf elements"),
    ],
)
def test_what_no_environment_of_the_spaces_gives_is_refused(
    models: dict[str, Any], policies: dict[str, Case], name: str, path: str, value: float, sentence: str
) -> None:
    observations, _ = recording(policies[name])
    tensors = {each: leaf[0].copy() for each, leaf in observations.items()}
    tensors |= {f"state/{each}": leaf for each, leaf in policies[name].actor().initial_state(ROWS).items()}
    named = models[name].metadata.signature.inputs.has_input_names()
    models[name].predict(tensors if named else tensors["obs"])
    tensors[path][1] = value
    with pytest.raises(ValueError, match=sentence):
        models[name].predict(tensors if named else tensors["obs"])


def test_tensors_of_different_rows_are_refused(models: dict[str, Any], policies: dict[str, Case]) -> None:
    observations, _ = recording(policies["counted"])
    tensors = {path: leaf[0] for path, leaf in observations.items()} | {
        "obs/mode": observations["obs/mode"][0, :3]
    }
    with pytest.raises(ValueError, match=r"as many rows as there are observations; got .*obs/mode 3"):
        models["counted"].predict(tensors)


def test_draws_are_those_of_training_for_the_same_noise(
    models: dict[str, Any], policies: dict[str, Case]
) -> None:
    said = models["mlp"].predict(OBS, params={"deterministic": False, "seed": 7})
    actor = policies["mlp"].actor()
    noise = actor.draw_noise(np.random.default_rng(7), (5,))
    assert said["action"].tolist() == actor.act({"obs": OBS}, {}, None, noise).env_action.tolist()


def test_draws_follow_the_distribution_of_the_policy(
    models: dict[str, Any], policies: dict[str, Case]
) -> None:
    rows = np.repeat(OBS[:1], 20_000, 0)
    said = models["mlp"].predict(rows, params={"deterministic": False, "seed": 1})["action"]
    case = policies["mlp"]
    act = case.actor().act({"obs": rows[:1]}, {}, None, None)
    share = np.mean(said == act.env_action[0])
    assert abs(share - np.exp(act.extra["log_probability"][0])) < 0.015


def test_without_a_seed_every_draw_is_another(models: dict[str, Any]) -> None:
    rows = np.repeat(OBS, 40, 0)
    first, second = (models["mlp"].predict(rows, params={"deterministic": False})["action"] for _ in range(2))
    assert first.tolist() != second.tolist()


def test_an_epsilon_greedy_policy_explores_only_when_it_may(models: dict[str, Any]) -> None:
    rows = np.repeat(OBS[:1], 5_000, 0)
    greedy = models["q"].predict(rows)["action"]
    assert len(set(greedy.tolist())) == 1
    explored = models["q"].predict(rows, params={"deterministic": False, "seed": 3})["action"]
    assert abs(np.mean(explored != greedy[0]) - 0.3 * 4 / 5) < 0.03


def test_no_file_of_a_model_is_a_pickle(policies: dict[str, Case], tmp_path: Path) -> None:
    """Of a model that was not loaded yet: Python may leave bytecode beside what it loads."""
    save_model(tmp_path / "lstm", policies["lstm"].bundle(tmp_path / "bundle"))
    files = {file.name for file in (tmp_path / "lstm").rglob("*") if file.is_file()}
    code = {"pyfunc_model.py"}
    texts = {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "policy.json"}
    assert files == code | texts | {"policy.onnx", "weights.safetensors"}


def test_requirements_are_what_the_model_imports(folder: Path) -> None:
    lines = (folder / "mlp" / "requirements.txt").read_text().splitlines()
    assert [re.split("[<>=]", line)[0] for line in lines] == ["mlflow", "numpy", "onnxruntime"]


def test_unknown_tensors_are_named(policies: dict[str, Case], tmp_path: Path) -> None:
    policy = OnnxPolicy(policies["mlp"].bundle(tmp_path / "policy").folder)
    with pytest.raises(ValueError, match=r"takes the tensors \['obs'\], got \['obs', 'speed'\]"):
        answer(policy, {"obs": OBS, "speed": OBS})


def test_a_network_that_needs_torch_is_served_by_the_code_beside_it(tmp_path: Path) -> None:
    """Its own module is in the model too; neither it nor this library is where the model is loaded."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own_torch_net.py").write_text(OWN_NET)
    spec = ModelSpec.model_validate({"entrypoint": "own_torch_net:build"})
    sys.path.insert(0, str(tmp_path / "own"))
    try:
        policy = build_policy(Spaces(p.BOX, p.DISCRETE), spec, "actor_critic")
        recipe = {"kind": "actor_critic", "model": spec.model_dump(mode="json", by_alias=True)}
        mine = Case(policy, p.random_weights(policy.layout.size, 1), initial_knobs(policy), recipe)
        bundle = mine.bundle(tmp_path / "policy")
        assert not (bundle.folder / "policy.onnx").exists()
        save_model(tmp_path / "model", open_bundle(bundle.folder))
        right = mine.actor().act({"obs": OBS}, {}, None, None).env_action
    finally:
        sys.path.remove(str(tmp_path / "own"))
        sys.modules.pop("own_torch_net", None)
    code = (
        "import sys, json, numpy as np, mlflow\n"
        "sys.path[:] = [p for p in sys.path if 'site-packages' in p or 'lib/python' in p]\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
        f"model = mlflow.pyfunc.load_model({str(tmp_path / 'model')!r})\n"
        "obs = np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 4)\n"
        "said = model.predict(obs)['action'].tolist()\n"
        "import rl_platform\n"
        "print(json.dumps([said, rl_platform.__file__]))\n"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    said, library = json.loads(done.stdout.splitlines()[-1])
    assert said == right.tolist()
    assert library.startswith(str(tmp_path / "model"))


OWN_NET = """
import torch

from rl_platform.models.net import Param


class OwnNet:
    portable = False
    state = {}

    def __init__(self, size, heads):
        self.heads = heads
        self.params = [Param(f"w/{name}", (size, width)) for name, width in heads.items()]

    def forward(self, ops, params, obs, state, first):
        x = torch.atan(obs["obs"])
        return {name: x @ params[f"w/{name}"] for name in self.heads}, {}


def build(spaces, heads):
    return OwnNet(spaces.obs["obs"].shape[0], dict(heads))
"""


def test_a_signature_names_every_leaf_and_the_state() -> None:
    from rl_platform.serving.mlflow_model import signature

    mine = case(
        Spaces(
            {
                "obs/a": Leaf("box", (2, 3), "float32"),
                "obs/b": Leaf("discrete", (), "int64", categories=(3,)),
            },
            ActionSpace("discrete", (), (2,), (0,)),
        ),
        recurrent={"kind": "lstm", "size": 3},
    )
    from rl_platform.serving.bundle import Bundle, describe_policy

    inputs = signature(Bundle(Path(), describe_policy(mine.policy, mine.recipe))).inputs
    shapes = {spec.name: (spec.type.name, spec.shape) for spec in inputs.inputs}
    assert shapes["obs/a"] == ("float32", (-1, 2, 3))
    assert shapes["obs/b"] == ("int64", (-1,))
    assert {name for name in shapes if name.startswith("state/")} == {
        f"state/{path}" for path in mine.policy.net.state
    }


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "uint64", "bool", "float32", "float64"])
def test_the_model_gives_actions_in_the_same_dtype_and_limits_as_the_library(dtype: str) -> None:
    actions = np.array([0.4, 0.6, 8.5, 255.0, 2.0**31, 2.0**63, 2.0**64], np.float32)
    ours = in_dtype(actions, dtype)
    theirs = pyfunc_model._in_dtype(actions, np.dtype(dtype))
    assert theirs.dtype == ours.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(theirs, ours)
    if ours.dtype.kind in "iu":
        assert (ours >= 0).all()  # none has overflown
