"""What goes into a store comes out again; the newest is found, few are kept, late attempts are refused."""

from __future__ import annotations

import json
import logging
import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rl_platform.checkpoints.checkpoint import Checkpoint
from rl_platform.checkpoints.errors import CheckpointError, CheckpointNotFound, StaleAttempt
from rl_platform.checkpoints.reading import load, resolve
from rl_platform.checkpoints.store import CheckpointStore


@pytest.fixture(params=["local", "memory"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        str(tmp_path / "checkpoints") if request.param == "local" else f"memory://{uuid.uuid4()}/checkpoints"
    )


def checkpoint(value: int = 0) -> Checkpoint:
    return Checkpoint({"value": value}, {"policy/default/weights": {"flat": np.full(10, value, np.float32)}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)
trees = st.dictionaries(
    st.sampled_from(["obs", "obs/x", "flat", "µ"]),
    st.sampled_from(["?", "f4", "f8", "i4", "i8", "i1", "u1"]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=3))
    ),
)
groups = st.text(alphabet="aA/.-_ é", max_size=200)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    state=st.dictionaries(st.text(max_size=6), json_values, max_size=4),
    arrays=st.dictionaries(groups, trees, max_size=4),
)
@pytest.mark.parametrize("uri", ["local", "memory"], indirect=True)
def test_a_checkpoint_comes_back_to_the_bit(uri: str, state: dict, arrays: dict) -> None:
    store = CheckpointStore(uri)
    found = store.load(store.save(Checkpoint(state, arrays), 1, 1))
    assert found.state == state
    assert found.arrays.keys() == arrays.keys()
    for group, tree in arrays.items():
        assert found.arrays[group].keys() == tree.keys()
        for path, leaf in tree.items():
            other = found.arrays[group][path]
            assert (other.dtype, other.shape, other.tobytes()) == (leaf.dtype, leaf.shape, leaf.tobytes())


def test_not_a_number_and_large_integers_survive_in_the_state(uri: str) -> None:
    store = CheckpointStore(uri)
    found = store.load(
        store.save(Checkpoint({"best": -np.inf, "rng": 1 << 127, "x": float("nan")}), 0, 0)
    ).state
    assert found["best"] == -np.inf
    assert found["rng"] == 1 << 127
    assert np.isnan(found["x"])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": [np.float32(1)]}, r"state\['a'\]\[0\] is a numpy.float32; .* plain JSON"),
        ({"a": {1: 2}}, r"state\['a'\] has the key 1; JSON keys must be strings"),
        ({"a": {"b": {1, 2}}}, r"state\['a'\]\['b'\] is a builtins.set"),
    ],
)
def test_what_json_would_lose_or_alter_is_refused_by_its_path(uri: str, state: dict, message: str) -> None:
    store = CheckpointStore(uri)
    with pytest.raises(CheckpointError, match=message):
        store.save(Checkpoint(state, checkpoint().arrays), 0, 0)
    assert store.latest() is None
    assert store._storage.names("1") == [], "nothing half-written may stay"


def test_an_array_that_cannot_be_saved_is_refused_by_its_group(uri: str) -> None:
    with pytest.raises(
        CheckpointError, match="the group 'replay' cannot be saved: the array 'a' is of dtype object"
    ):
        CheckpointStore(uri).save(Checkpoint({}, {"replay": {"a": np.array([None])}}), 0, 0)


def test_the_newest_is_found_over_all_attempts_and_by_anybody(uri: str) -> None:
    assert CheckpointStore(uri).latest() is None
    first = CheckpointStore(uri, attempt=1)
    first.save(checkpoint(1), 100, 10)
    first.save(checkpoint(2), 200, 20)
    ref = CheckpointStore(uri, attempt=2).save(checkpoint(3), 250, 25)
    found = CheckpointStore(uri, attempt=3).latest()
    assert found == ref
    assert (ref.attempt, ref.sequence, ref.env_steps, ref.updates) == (2, 1, 250, 25)
    assert load(ref.uri).state == {"value": 3}


def test_ten_and_more_are_ordered_as_numbers(uri: str) -> None:
    store = CheckpointStore(uri, keep=3)
    refs = [store.save(checkpoint(n), n, n) for n in range(12)]
    assert list(store.refs()) == refs[:-4:-1]


def test_only_the_newest_and_the_pinned_are_kept(uri: str) -> None:
    store = CheckpointStore(uri, attempt=1, keep=2)
    best = store.save(checkpoint(1), 1, 1)
    store.pin(best)
    refs = [store.save(checkpoint(n), n, n) for n in range(2, 6)]
    assert list(store.refs()) == [refs[3], refs[2], best]
    assert CheckpointStore(uri, attempt=2).pinned() == {"best": best}
    store.pin(refs[2])
    store.save(checkpoint(6), 6, 6)
    assert best not in store.refs()
    assert store.pinned() == {"best": refs[2]}


def test_retention_reaches_over_attempts_and_counts_only_whole_ones(tmp_path: Path) -> None:
    old = CheckpointStore(str(tmp_path), attempt=1, keep=1).save(checkpoint(1), 1, 1)
    store = CheckpointStore(str(tmp_path), attempt=2, keep=2)
    broken = store.save(checkpoint(2), 2, 2)
    (Path(broken.uri) / "state.json").unlink()
    newest = store.save(checkpoint(3), 3, 3)
    assert list(store.refs()) == [newest, old], "the broken one must not push out the last whole ones"


def test_a_stale_attempt_is_refused_from_the_moment_a_higher_one_claims(uri: str) -> None:
    stale, fresh = CheckpointStore(uri, attempt=1), CheckpointStore(uri, attempt=2)
    stale.claim()
    ref = stale.save(checkpoint(), 1, 1)
    fresh.claim()
    for act in (lambda: stale.save(checkpoint(), 2, 2), stale.claim):
        with pytest.raises(StaleAttempt, match="attempt 2 has taken over"):
            act()
    assert fresh.highest_attempt() == 2
    assert fresh.latest() == ref


def test_an_attempt_that_turns_stale_while_it_writes_publishes_nothing(uri: str) -> None:
    class Late(dict):
        """Arrays that take so long to hand over that another attempt starts meanwhile."""

        def items(self):  # type: ignore[no-untyped-def]
            CheckpointStore(uri, attempt=2).claim()
            return super().items()

    stale = CheckpointStore(uri, attempt=1)
    with pytest.raises(StaleAttempt):
        stale.save(Checkpoint({}, Late(checkpoint().arrays)), 1, 1)
    assert stale.latest() is None


def test_two_drivers_of_one_attempt_do_not_overwrite_each_other(uri: str) -> None:
    one, two = CheckpointStore(uri), CheckpointStore(uri)
    one.save(checkpoint(1), 1, 1)
    two.save(checkpoint(2), 2, 2)
    with pytest.raises(CheckpointError, match="same attempt"):
        one.save(checkpoint(3), 3, 3)
    assert load(one.latest() or "").state == {"value": 2}


def test_a_checkpoint_a_store_and_a_run_folder_all_resolve(uri: str) -> None:
    store = CheckpointStore(uri)
    best, newest = store.save(checkpoint(1), 1, 1), store.save(checkpoint(2), 2, 2)
    store.pin(best)
    run = uri.removesuffix("/checkpoints")
    assert resolve(best.uri) == best
    assert [resolve(place) for place in (uri, run, run + "/")] == [newest] * 3
    assert [resolve(place, pinned="best") for place in (uri, run)] == [best] * 2
    assert resolve(run, pinned="other") == newest
    with pytest.raises(CheckpointNotFound, match=r"there is no whole checkpoint at .*nowhere"):
        resolve(run + "/nowhere")


def test_file_uris_and_home_are_local_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert CheckpointStore(f"file://{tmp_path}/a").uri == CheckpointStore("~/a").uri == f"{tmp_path}/a"


def test_groups_can_be_left_unread(uri: str) -> None:
    store = CheckpointStore(uri)
    ref = store.save(Checkpoint({}, {"policy/a/weights": {}, "policy/b/weights": {}, "replay": {}}), 1, 1)
    assert store.load(ref, groups=("policy/a/",)).arrays.keys() == {"policy/a/weights"}
    assert store.load(ref, groups=()).arrays == {}


def test_a_replaced_checkpoint_is_not_taken_for_the_one_that_was_meant(tmp_path: Path) -> None:
    ref = CheckpointStore(str(tmp_path / "a")).save(checkpoint(1), 1, 1)
    CheckpointStore(str(tmp_path / "b")).save(checkpoint(2), 1, 1)
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    with pytest.raises(CheckpointError, match="it was replaced"):
        load(ref)


def test_the_manifest_says_what_is_inside_and_who_wrote_it(tmp_path: Path) -> None:
    ref = CheckpointStore(str(tmp_path)).save(checkpoint(), 7, 3)
    manifest = json.loads((Path(ref.uri) / "manifest.json").read_text())
    assert (manifest["formatVersion"], manifest["envSteps"], manifest["updates"]) == (1, 7, 3)
    assert manifest["digest"] == ref.digest
    assert manifest["versions"].keys() == {"rl-platform", "python", "torch", "numpy"}
    entry = manifest["files"]["policy.default.weights.safetensors"]
    assert entry["group"] == "policy/default/weights"
    assert entry["bytes"] == (Path(ref.uri) / "policy.default.weights.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nosuch://x/y", "no file system is known for the scheme 'nosuch'"),
        ("gs://bucket/x", "the scheme 'gs' needs one more package: pip install gcsfs"),
        ("", "checkpoint.uri is empty"),
    ],
)
def test_an_unusable_uri_is_refused_with_what_to_do(uri: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        CheckpointStore(uri)


def test_a_pin_with_a_path_for_a_name_is_refused(uri: str) -> None:
    store = CheckpointStore(uri)
    with pytest.raises(CheckpointError, match=r"pin's name '\.\./x'"):
        store.pin(store.save(checkpoint(), 1, 1), "../x")


def test_loading_the_latest_falls_back_to_an_older_one_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = CheckpointStore(str(tmp_path))
    assert store.load_latest() is None
    older, newer = store.save(checkpoint(1), 1, 1), store.save(checkpoint(2), 2, 2)
    weights = Path(newer.uri) / "policy.default.weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    with caplog.at_level(logging.WARNING):
        found = store.load_latest()
    assert found is not None
    assert found[0] == older
    assert "was altered" in caplog.text
    (Path(older.uri) / "state.json").write_bytes(b"{}" + b" " * 9)
    with pytest.raises(CheckpointError, match="none of the checkpoints"):
        store.load_latest()


def test_a_number_taken_by_a_write_that_seemed_to_fail_is_passed_over(tmp_path: Path) -> None:
    """A store that went away may have kept what it did not answer for; the next checkpoint is not held up."""
    store = CheckpointStore(str(tmp_path))
    first = store.save(checkpoint(1), 1, 1)
    left = tmp_path / str(first.attempt) / str(first.sequence + 1)
    left.mkdir()
    (left / "state.json").write_text("{")
    with pytest.raises(CheckpointError):
        store.save(checkpoint(2), 2, 2)
    store.save(checkpoint(2), 2, 2)
    newest = store.latest()
    assert newest is not None
    assert newest.env_steps == 2
