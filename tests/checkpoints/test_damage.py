"""Whatever is flipped, cut or lost on the way is noticed; a full or unwritable place ends in a sentence."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from rl_platform.checkpoints.checkpoint import Checkpoint, CheckpointRef
from rl_platform.checkpoints.errors import CheckpointError
from rl_platform.checkpoints.reading import load, resolve
from rl_platform.checkpoints.store import CheckpointStore

SMALL = Checkpoint(
    {"n": 1}, {"a": {"x": np.arange(4, dtype=np.float32)}, "b/c": {"y": np.zeros(3, np.uint8)}}
)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[CheckpointStore, CheckpointRef, CheckpointRef]:
    store = CheckpointStore(str(tmp_path / "store"))
    return store, store.save(SMALL, 1, 1), store.save(SMALL, 2, 2)


def test_every_flipped_bit_in_every_file_is_noticed(
    saved: tuple[CheckpointStore, CheckpointRef, CheckpointRef],
) -> None:
    store, _, newest = saved
    noise = random.Random(1)
    for file in sorted(Path(newest.uri).iterdir()):
        whole = file.read_bytes()
        for place in {*noise.sample(range(len(whole)), min(150, len(whole))), 0, len(whole) - 1}:
            damaged = bytearray(whole)
            damaged[place] ^= 1 << noise.randrange(8)
            file.write_bytes(damaged)
            with pytest.raises(CheckpointError, match=r"altered|not a whole manifest"):
                store.load(newest.uri)
        file.write_bytes(whole)
    store.load(newest)


@pytest.mark.parametrize("file", ["manifest.json", "state.json", "a.safetensors", "b.c.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "empty", "missing", "longer"])
def test_a_cut_or_missing_file_is_named_and_the_older_checkpoint_is_the_latest(
    saved: tuple[CheckpointStore, CheckpointRef, CheckpointRef], file: str, damage: str
) -> None:
    store, older, newest = saved
    place = Path(newest.uri) / file
    whole = place.read_bytes()
    if damage == "missing":
        place.unlink()
    else:
        place.write_bytes({"cut": whole[:-1], "empty": b"", "longer": whole + b"\n"}[damage])
    with pytest.raises(CheckpointError, match=file.replace(".", r"\.")):
        load(newest, verify=False)
    assert store.latest() == older
    assert resolve(store.uri) == older


@pytest.mark.parametrize("file", ["manifest.json", "a.safetensors"])
def test_where_none_is_whole_nobody_goes_on_as_if_there_had_been_none(
    saved: tuple[CheckpointStore, CheckpointRef, CheckpointRef], file: str
) -> None:
    store, *refs = saved
    for ref in refs:
        (Path(ref.uri) / file).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"none of the checkpoints.*to start afresh.*2"):
        store.load_latest()
    for ref in refs:
        (Path(ref.uri) / "manifest.json").unlink()  # as a run leaves it that was killed while saving
    assert store.load_latest() is None


def test_a_lost_folder_is_an_error_that_names_it(
    saved: tuple[CheckpointStore, CheckpointRef, CheckpointRef],
) -> None:
    _, _, newest = saved
    shutil.rmtree(newest.uri)
    with pytest.raises(
        CheckpointError, match=f"{newest.uri} is not a whole checkpoint: it has no manifest.json"
    ):
        load(newest)


def test_a_newer_format_is_refused_and_never_passed_over_in_silence(
    saved: tuple[CheckpointStore, CheckpointRef, CheckpointRef],
) -> None:
    store, _, newest = saved
    file = Path(newest.uri) / "manifest.json"
    body = json.loads(file.read_text())
    del body["digest"]
    body["formatVersion"] = 2
    digest = hashlib.sha256(json.dumps(body, indent=1).encode() + b"\n").hexdigest()
    file.write_text(json.dumps(body | {"digest": digest}, indent=1) + "\n")
    for act in (store.latest, lambda: load(newest.uri), lambda: resolve(store.uri)):
        with pytest.raises(
            CheckpointError, match="format version 2, and this version of rl-platform reads up to 1"
        ):
            act()


def test_without_verification_only_the_digests_of_files_are_skipped(
    saved: tuple[CheckpointStore, CheckpointRef, CheckpointRef],
) -> None:
    store, _, newest = saved
    file = Path(newest.uri) / "a.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + np.float32(9).tobytes())
    assert store.load(newest, verify=False).arrays["a"]["x"].tolist() == [0, 1, 2, 9]


def test_what_a_killed_driver_left_half_written_is_removed_by_the_next(tmp_path: Path) -> None:
    CheckpointStore(str(tmp_path), attempt=1).save(SMALL, 1, 1)
    for leftover in ("1/.2.partial", "1/5", "2/1"):
        (tmp_path / leftover).mkdir(parents=True)
        (tmp_path / leftover / "state.json").write_text("{}")
    store = CheckpointStore(str(tmp_path), attempt=3)
    store.claim()
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")}
    assert found == {"1/1", "3/claim.json"}


def test_the_same_in_a_store_without_renaming() -> None:
    store = CheckpointStore("memory://half-written/store", attempt=1)
    ref = store.save(SMALL, 1, 1)
    files = store._storage._files  # type: ignore[attr-defined]
    files.pipe_file("/half-written/store/1/2/state.json", b"{}")
    assert store.latest() == ref
    later = CheckpointStore(store.uri, attempt=2)
    later.claim()
    assert not files.exists("/half-written/store/1/2")
    assert later.latest() == ref


BIG = Checkpoint({}, {"replay": {"x": np.zeros(1 << 20, np.float32)}})


def assert_intact(store: CheckpointStore, ref: CheckpointRef) -> None:
    assert store.latest() == ref
    store.load(ref)
    assert [name for name in os.listdir(Path(store.uri) / "1") if "partial" in name] == []
    assert store.save(SMALL, 2, 2) == store.latest(), "a smaller checkpoint must still be possible"


def test_a_full_disk_is_a_sentence_and_the_previous_checkpoint_stays(tmp_path: Path) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip(
            "a small file system can be mounted only by root; the test with a file size limit stands in"
        )
    try:
        store = CheckpointStore(str(mount / "store"))
        ref = store.save(SMALL, 1, 1)
        with pytest.raises(
            CheckpointError, match=r"cannot write the checkpoint .*/1/2: No space left.*free some"
        ):
            store.save(BIG, 2, 2)
        assert_intact(store, ref)
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_disk_that_fills_up_in_mid_file_under_a_size_limit_is_a_sentence(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path / "store"))
    ref = store.save(SMALL, 1, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(CheckpointError, match=r"cannot write the checkpoint .*/1/2: File too large"):
            store.save(BIG, 2, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_intact(store, ref)


def test_a_path_under_a_file_is_refused_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = CheckpointStore(str(tmp_path / "file" / "store"))
    assert store.latest() is None
    for act in (store.claim, lambda: store.save(SMALL, 1, 1)):
        with pytest.raises(CheckpointError, match=r"Not a directory.*a part of this path is a file"):
            act()


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="/proc is a folder nobody may write to on Linux only"
)
def test_an_unwritable_folder_is_refused_when_the_run_starts() -> None:
    with pytest.raises(
        CheckpointError, match=r"cannot write checkpoints to /proc/rlp-store: .*/proc/rlp-store"
    ):
        CheckpointStore("/proc/rlp-store").claim()


def test_a_read_only_folder_is_refused_when_the_run_starts() -> None:
    nobody, user = 65534, os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        if user == 0:
            os.seteuid(nobody)  # root may write anywhere
        try:
            with pytest.raises(CheckpointError, match="permission is denied; give this user write access"):
                CheckpointStore(f"{folder}/store").claim()
        finally:
            os.seteuid(user)
