from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_platform.checkpoints.checkpoint import Checkpoint, CheckpointRef
from rl_platform.checkpoints.store import CheckpointStore
from rl_platform.data.tree import Tree
from rl_platform.serving import reaching
from rl_platform.serving.loading import PolicyNotFoundError, ServedPolicy, load_policy
from rl_platform.serving.registry import RegistryError
from tests.models import policies as p
from tests.serving.cases import LSTM, Case, case
from tests.serving.conftest import Registry

OBS = np.array([0.3, -0.2, 0.1, 0.9])


def save(folder: Path, **policies: Case) -> CheckpointRef:
    """A checkpoint as the driver writes it."""
    arrays: dict[str, Tree] = {"replay/default": {"big": np.zeros(1000)}}
    for name, each in policies.items():
        arrays[f"policy/{name}/weights"] = {"flat": each.flat}
        if each.knobs:
            arrays[f"policy/{name}/knobs"] = each.knobs
    state = {"policies": {name: each.description() for name, each in policies.items()}}
    store = CheckpointStore(str(folder))
    store.claim()
    return store.save(Checkpoint(state, arrays), 100, 10)


def right_action(case: Case, obs: np.ndarray = OBS) -> int:
    return int(case.actor().act({"obs": obs.astype(np.float32)[None]}, {}, None, None).env_action[0])


def test_a_bundle_is_a_policy(policies: dict[str, Case], tmp_path: Path) -> None:
    bundle = policies["mlp"].bundle(tmp_path / "policy")
    action = load_policy(bundle.folder).act(OBS)
    assert type(action) is int
    assert action == right_action(policies["mlp"])


@pytest.mark.parametrize("name", ["mlp", "dict", "q", "set", "box-action"])
def test_a_checkpoint_is_a_policy(name: str, policies: dict[str, Case], tmp_path: Path) -> None:
    case = policies[name]
    ref = save(tmp_path / "checkpoints", default=case)
    policy = load_policy(ref.uri)
    obs = p.observations(case.policy.spaces, (6,), np.random.default_rng(2))
    served = policy.actor.act(obs, {}, None, None).env_action
    np.testing.assert_allclose(served, case.actor().act(obs, {}, None, None).env_action, atol=1e-6)


def test_a_run_is_its_newest_checkpoint(policies: dict[str, Case], tmp_path: Path) -> None:
    save(tmp_path / "run" / "checkpoints", default=policies["mlp"])
    newer = case(policies["mlp"].policy.spaces, seed=9)
    ref = save(tmp_path / "run" / "checkpoints", default=newer)
    policy = load_policy(tmp_path / "run")
    assert policy.uri == ref.uri
    rng = np.random.default_rng(0)
    seen = rng.standard_normal((200, 4))
    assert [policy.act(row) for row in seen] == [right_action(newer, row) for row in seen]


def test_a_run_whose_checkpoints_are_elsewhere_is_found_by_its_result(
    policies: dict[str, Case], tmp_path: Path
) -> None:
    ref = save(tmp_path / "elsewhere", default=policies["mlp"])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.json").write_text(json.dumps({"checkpoint": ref.uri}))
    assert load_policy(tmp_path / "run").act(OBS) == right_action(policies["mlp"])


def test_of_several_policies_one_is_named(policies: dict[str, Case], tmp_path: Path) -> None:
    ref = save(tmp_path, red=policies["mlp"], blue=policies["dict"])
    with pytest.raises(PolicyNotFoundError, match="holds the policies blue, red: say which with policy=NAME"):
        load_policy(ref.uri)
    with pytest.raises(PolicyNotFoundError, match="none called 'green'"):
        load_policy(ref.uri, policy="green")
    assert load_policy(ref.uri, policy="red").act(OBS) == right_action(policies["mlp"])


def test_of_several_bundles_one_is_named(policies: dict[str, Case], tmp_path: Path) -> None:
    for name in ("red", "blue"):
        policies["mlp"].bundle(tmp_path / name)
    assert load_policy(tmp_path, policy="red").act(OBS) == right_action(policies["mlp"])


@pytest.mark.parametrize("kind", ["nothing", "empty"])
def test_what_is_no_policy_is_refused(kind: str, tmp_path: Path) -> None:
    if kind == "empty":
        (tmp_path / kind).mkdir()
    with pytest.raises(PolicyNotFoundError, match="is no policy: expected a run's folder, a checkpoint"):
        load_policy(tmp_path / kind)


@pytest.mark.parametrize("uri", ["", "models:/", "models:/name", "models:/a/b/c", "models:/a@"])
def test_a_uri_that_can_name_no_policy_is_refused_before_anybody_is_asked(uri: str) -> None:
    with pytest.raises(PolicyNotFoundError, match="names no policy: expected a run's folder, a checkpoint"):
        load_policy(uri)


def test_a_memory_cannot_be_forgotten_and_moves_on_by_itself(
    policies: dict[str, Case], tmp_path: Path
) -> None:
    case = policies["lstm"]
    policy = load_policy(case.bundle(tmp_path / "policy").folder)
    assert policy.recurrent
    with pytest.raises(ValueError, match=r"state = policy.initial_state\(\)"):
        policy.act(OBS)
    actor, remembered = case.actor(), case.actor().initial_state(1)
    state = policy.initial_state()
    for _ in range(5):
        action = policy.act(OBS, state)
        act = actor.act({"obs": OBS.astype(np.float32)[None]}, remembered, None, None)
        remembered = act.state
        assert action == int(act.env_action[0])
        for path, leaf in remembered.items():
            np.testing.assert_allclose(state.tensors[path], leaf, atol=1e-5)
    state.reset()
    assert all(not leaf.any() for leaf in state.tensors.values())


def test_code_that_always_passes_a_state_works_without_memory(
    policies: dict[str, Case], tmp_path: Path
) -> None:
    policy = load_policy(policies["mlp"].bundle(tmp_path / "policy").folder)
    assert not policy.recurrent
    assert policy.act(OBS, policy.initial_state()) == policy.act(OBS)


def test_a_state_of_another_policy_is_refused_and_stays_as_it_is(
    policies: dict[str, Case], tmp_path: Path
) -> None:
    memory, plain = (load_policy(policies[name].bundle(tmp_path / name).folder) for name in ("lstm", "mlp"))
    twin = load_policy(case(policies["lstm"].policy.spaces, seed=9, **LSTM).bundle(tmp_path / "twin").folder)
    wide = {"recurrent": {"kind": "lstm", "size": 5}}
    wider = load_policy(case(policies["lstm"].policy.spaces, **wide).bundle(tmp_path / "wide").folder)
    state = memory.initial_state()
    memory.act(OBS, state)
    before = {path: leaf.copy() for path, leaf in state.tensors.items()}
    with pytest.raises(ValueError, match="made by a policy with other weights"):
        twin.act(OBS, state)
    with pytest.raises(ValueError, match=r"lstm/h \[1, 12\], and this policy remembers nothing"):
        plain.act(OBS, state)
    with pytest.raises(ValueError, match=r"\[1, 12\], and this policy remembers .*lstm/h \[1, 5\]"):
        wider.act(OBS, state)
    with pytest.raises(
        ValueError, match=r"state holds nothing, and this policy remembers .*initial_state\(\)"
    ):
        memory.act(OBS, plain.initial_state())
    assert state.tensors.keys() == before.keys()
    for path, leaf in before.items():
        np.testing.assert_array_equal(state.tensors[path], leaf)


def test_a_state_goes_on_in_another_load_of_the_same_weights(
    policies: dict[str, Case], tmp_path: Path
) -> None:
    """From a bundle, whose weights are in a graph, and from the checkpoint that it was made of."""
    folder = policies["lstm"].bundle(tmp_path / "policy").folder
    ref = save(tmp_path / "checkpoints", default=policies["lstm"])
    state = load_policy(folder).initial_state()
    load_policy(folder).act(OBS, state)
    copied = copy.deepcopy(state)
    load_policy(folder).act(OBS, state)
    load_policy(ref.uri).act(OBS, copied)
    for path, leaf in state.tensors.items():
        np.testing.assert_allclose(copied.tensors[path], leaf, atol=1e-5)


def test_actions_are_drawn_when_asked_and_repeat_with_a_seed(
    policies: dict[str, Case], tmp_path: Path
) -> None:
    policy = load_policy(policies["mlp"].bundle(tmp_path / "policy").folder)
    assert len({policy.act(OBS, deterministic=False) for _ in range(100)}) > 1
    assert len({policy.act(OBS, deterministic=False, seed=4) for _ in range(20)}) == 1
    assert len({policy.act(OBS) for _ in range(20)}) == 1


@pytest.mark.parametrize("seed", [-5, 1.5, "four"])
def test_a_seed_that_is_none_is_named(seed: Any, policies: dict[str, Case], tmp_path: Path) -> None:
    policy = load_policy(policies["mlp"].bundle(tmp_path / "policy").folder)
    with pytest.raises(ValueError, match=rf"^seed is {seed!r}; expected a whole number of 0 or more"):
        policy.act(OBS, deterministic=False, seed=seed)


def test_loading_a_bundle_imports_neither_torch_nor_mlflow(policies: dict[str, Case], tmp_path: Path) -> None:
    bundle = policies["mlp"].bundle(tmp_path / "policy")
    code = (
        "import sys; from rl_platform.serving.loading import load_policy\n"
        f"print(load_policy({str(bundle.folder)!r}).act([0, 0, 0, 0]))\n"
        "print(sorted({'torch', 'mlflow', 'gymnasium', 'onnx', 'ray'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.splitlines()[1:] == ["[]"], done.stderr


def registered(registry: Registry, case: Case, name: str) -> ServedPolicy:
    registry.register(case, name)
    return load_policy(f"models:/{name}@champion", tracking_uri=registry.uri)


def test_a_registered_model_is_a_policy_by_alias_version_and_id(
    registry: Registry, policies: dict[str, Case]
) -> None:
    assert registered(registry, policies["mlp"], "loaded").act(OBS) == right_action(policies["mlp"])
    assert load_policy("models:/loaded/1", tracking_uri=registry.uri).act(OBS) == right_action(
        policies["mlp"]
    )


@pytest.mark.parametrize("uri", ["models:/nobody@champion", "models:/nobody/1"])
def test_a_model_that_is_not_registered_is_said(uri: str, registry: Registry) -> None:
    with pytest.raises(RegistryError, match=f"cannot load {uri} in the registry at sqlite:"):
        load_policy(uri, tracking_uri=registry.uri)


def test_the_registry_is_found_where_the_user_stands(
    registry: Registry, policies: dict[str, Case], tmp_path: Path
) -> None:
    """In processes of their own, because MLflow remembers what it was set to; they leave nothing behind."""
    registered(registry, policies["mlp"], "found")
    database = registry.folder / "mlflow.db"
    code = (
        "import sys; from rl_platform.serving.loading import load_policy\n"
        "print(load_policy('models:/found@champion').act([0.3, -0.2, 0.1, 0.9]))\n"
    )

    def act(cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        known = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        known |= {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **environment,
        }
        cwd.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, env=known
        )

    right = str(right_action(policies["mlp"]))
    by_environment = act(tmp_path / "a", MLFLOW_TRACKING_URI=registry.uri)
    assert by_environment.stdout.strip() == right, by_environment.stderr
    assert list((tmp_path / "a").iterdir()) == []
    (tmp_path / "b" / "runs" / "found").mkdir(parents=True)
    (tmp_path / "b" / "runs" / "found" / "mlflow.db").symlink_to(database)
    by_folder = act(tmp_path / "b")
    assert by_folder.stdout.strip() == right, by_folder.stderr
    nowhere = act(tmp_path / "c")
    assert "PolicyNotFoundError: no registry is known for models:/found@champion" in nowhere.stderr


def test_a_server_that_is_away_is_said_soon_and_a_database_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "REACH_SECONDS", 1.0)
    began = time.monotonic()
    with pytest.raises(RegistryError, match=r"cannot load models:/m/9: MLflow at http://127\.0\.0\.1:9 did"):
        load_policy("models:/m/9", tracking_uri="http://127.0.0.1:9")
    assert time.monotonic() - began < 60.0
    nowhere = tmp_path / "typo" / "none.db"
    with pytest.raises(RegistryError, match=f"no registry at sqlite:///{nowhere}: {nowhere} does not exist"):
        load_policy("models:/m@champion", tracking_uri=f"sqlite:///{nowhere}")
    assert list(tmp_path.iterdir()) == []
