"""Finding and reading checkpoints: needs no attempt and changes nothing.

A store's layout is ``<uri>/<attempt>/<sequence>/`` with ``manifest.json``, ``state.json`` and one safetensors
file per group of arrays; ``<uri>/pins/<name>.json`` names checkpoints that are kept whatever their age.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rl_platform.checkpoints.checkpoint import Checkpoint, CheckpointRef
from rl_platform.checkpoints.errors import CheckpointError, CheckpointNotFound, explained
from rl_platform.checkpoints.manifest import MANIFEST, FileEntry, Manifest, NewerFormat, decode_manifest
from rl_platform.checkpoints.opening import open_storage
from rl_platform.checkpoints.storage import Storage, read_json
from rl_platform.checkpoints.tensors import TensorFormatError, decode
from rl_platform.data.tree import Tree

log = logging.getLogger(__name__)


def load(uri: str | CheckpointRef, verify: bool = True, groups: Sequence[str] | None = None) -> Checkpoint:
    """Read a checkpoint, given by its own folder.

    ``groups``: read only the groups that start with one of these (``policy/``: no replay buffer is read);
    None reads all. ``verify=False`` skips the digests of the files, not their sizes.
    Raises CheckpointError: not there, not whole, altered, of a newer format, or, for a CheckpointRef, not the
    one that it meant.
    """
    place = uri.uri if isinstance(uri, CheckpointRef) else uri
    storage = open_storage(place)
    manifest, digest = _manifest(storage, "")
    if isinstance(uri, CheckpointRef) and digest != uri.digest:
        raise CheckpointError(
            f"{place} is not the checkpoint that was meant, it was replaced: its digest is {digest}, "
            f"not {uri.digest}"
        )
    state: dict[str, Any] = {}
    arrays: dict[str, Tree] = {}
    for name, entry in manifest.files.items():
        if entry.group is None:
            state = _state(storage, name, entry, verify)
        elif groups is None or entry.group.startswith(tuple(groups)):
            arrays[entry.group] = _tree(storage, name, entry, verify)
    return Checkpoint(state, arrays)


def resolve(uri: str, pinned: str | None = None) -> CheckpointRef:
    """The checkpoint meant by a checkpoint's folder, a store of them, or a run's folder (``checkpoints/``).

    Of a store it is the one pinned under the name ``pinned``, if that is given and there is one, else the
    newest. Raises CheckpointNotFound with what was looked for.
    """
    storage = open_storage(uri)
    with explained("read", uri):
        if MANIFEST in storage.names(""):
            return read_ref(storage, "")
    for place in (uri, f"{uri.rstrip('/')}/checkpoints"):
        found = _pinned(open_storage(place), pinned) or newest(open_storage(place))
        if found:
            return found
    raise CheckpointNotFound(
        f"there is no whole checkpoint at {uri}; it must be a checkpoint's folder (with {MANIFEST}), a "
        "folder of checkpoints (<attempt>/<sequence>), or a run's folder (with checkpoints/)"
    )


def newest(storage: Storage) -> CheckpointRef | None:
    """The newest whole checkpoint over all attempts, or None. Raises NewerFormat where that is one."""
    with explained("read the checkpoints of", storage.uri):
        return next(whole(storage), None)


def whole(storage: Storage, skipped: list[CheckpointError] | None = None) -> Iterator[CheckpointRef]:
    """All whole checkpoints, newest first; skips what has no valid manifest or not the files it names.

    Why is added to ``skipped``, but for those without a manifest: they were never finished.
    """
    for attempt in sorted(numbers(storage, ""), reverse=True):
        for sequence in sorted(numbers(storage, str(attempt)), reverse=True):
            try:
                yield read_ref(storage, f"{attempt}/{sequence}")
            except NewerFormat:
                raise
            except CheckpointNotFound:
                continue
            except CheckpointError as error:
                log.warning("skipping a checkpoint: %s", error)
                if skipped is not None:
                    skipped.append(error)


def read_ref(storage: Storage, path: str) -> CheckpointRef:
    """The checkpoint at ``path``, its files' presence and sizes checked. Raises CheckpointError."""
    manifest, digest = _manifest(storage, path)
    uri = f"{storage.uri}/{path}" if path else storage.uri
    sizes = storage.sizes(path)
    for name, entry in manifest.files.items():
        if sizes.get(name) != entry.bytes:
            raise CheckpointError(
                f"{uri}/{name} {_size_problem(sizes.get(name), entry)}; use another checkpoint"
            )
    return CheckpointRef(
        uri, digest, manifest.env_steps, manifest.updates, manifest.attempt, manifest.sequence
    )


def read_pins(storage: Storage) -> dict[str, CheckpointRef]:
    """The pinned checkpoints that are still whole, by name."""
    found = {}
    for file in storage.names("pins"):
        name, dot, kind = file.partition(".")
        pin = read_json(storage, f"pins/{file}") if (dot, kind) == (".", "json") else None
        if not isinstance(pin, dict):
            continue
        try:
            found[name] = read_ref(storage, f"{pin.get('attempt')}/{pin.get('sequence')}")
        except CheckpointError as error:
            log.warning("the checkpoint pinned as %r cannot be used: %s", name, error)
    return found


def numbers(storage: Storage, path: str) -> list[int]:
    """The attempts of a store, or the sequences of an attempt; in no order."""
    return [int(name) for name in storage.names(path) if name.isascii() and name.isdigit()]


def _pinned(storage: Storage, name: str | None) -> CheckpointRef | None:
    return read_pins(storage).get(name) if name else None


def _manifest(storage: Storage, path: str) -> tuple[Manifest, str]:
    uri = f"{storage.uri}/{path}" if path else storage.uri
    with explained("read the checkpoint", uri):
        try:
            text = storage.read(f"{path}/{MANIFEST}" if path else MANIFEST)
        except FileNotFoundError as error:
            raise CheckpointNotFound(f"{uri} is not a whole checkpoint: it has no {MANIFEST}") from error
        return decode_manifest(text.tobytes(), uri)


def _state(storage: Storage, name: str, entry: FileEntry, verify: bool) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(_file(storage, name, entry, verify).tobytes())
    except ValueError as error:
        raise CheckpointError(
            f"{storage.uri}/{name} is not JSON ({error}); use another checkpoint"
        ) from error
    return state


def _tree(storage: Storage, name: str, entry: FileEntry, verify: bool) -> Tree:
    try:
        return decode(_file(storage, name, entry, verify))
    except TensorFormatError as error:
        raise CheckpointError(f"{storage.uri}/{name}: {error}; use another checkpoint") from error


def _file(storage: Storage, name: str, entry: FileEntry, verify: bool) -> np.ndarray:
    with explained("read the checkpoint", storage.uri):
        try:
            data = storage.read(name)
        except FileNotFoundError:
            data = None
    size = None if data is None else len(data)
    if data is None or size != entry.bytes:
        raise CheckpointError(f"{storage.uri}/{name} {_size_problem(size, entry)}; use another checkpoint")
    if verify and hashlib.sha256(data.data).hexdigest() != entry.sha256:
        raise CheckpointError(
            f"{storage.uri}/{name} was altered after it was written: its sha256 is not that of the manifest; "
            "use another checkpoint"
        )
    return data


def _size_problem(size: int | None, entry: FileEntry) -> str:
    return "is missing" if size is None else f"has {size} bytes instead of {entry.bytes}"
