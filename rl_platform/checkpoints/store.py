"""A run's checkpoints: saving with fencing between attempts, finding the newest, keeping few."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rl_platform.checkpoints import reading
from rl_platform.checkpoints.checkpoint import Checkpoint, CheckpointRef, encode_state
from rl_platform.checkpoints.errors import CheckpointError, StaleAttempt, explained
from rl_platform.checkpoints.manifest import MANIFEST, FileEntry, encode_manifest, new_manifest
from rl_platform.checkpoints.opening import open_storage
from rl_platform.checkpoints.storage import Folder, read_json
from rl_platform.checkpoints.tensors import TensorFormatError, encode

log = logging.getLogger(__name__)

STATE = "state.json"
_CLAIM = "claim.json"
_PIN_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


class CheckpointStore:
    """Checkpoints at ``uri`` (a path, or any URI that fsspec knows), written by the driver of ``attempt``.

    ``keep``: how many of the newest stay, at least 1; pinned ones stay besides. ``owner``: noted in the
    claim, for whoever comes next. Opening writes nothing.
    A SIGKILL at any moment leaves every earlier checkpoint whole.
    Raises CheckpointError for an unknown scheme.
    """

    def __init__(
        self, uri: str, attempt: int = 1, keep: int = 3, owner: Mapping[str, str | int] | None = None
    ) -> None:
        if attempt < 1 or keep < 1:
            raise CheckpointError(f"attempt is {attempt} and keep is {keep}; both must be at least 1")
        with explained("open the checkpoints of", uri):
            self._storage = open_storage(uri)
        self.attempt = attempt
        self.keep = keep
        self._claim = {**(owner or {}), "attempt": attempt}
        self._sequence: int | None = None

    @property
    def uri(self) -> str:
        """Absolute, without a slash at the end."""
        return self._storage.uri

    def highest_attempt(self) -> int:
        """The highest attempt that has claimed this store or written to it; 0 where none has."""
        with explained("read the checkpoints of", self.uri):
            return max(reading.numbers(self._storage, ""), default=0)

    def claim(self) -> None:
        """Fence off lower attempts and remove what they left half-written; called before training starts.

        Shows an unwritable place at once instead of at the first checkpoint.
        Raises StaleAttempt where a higher attempt was here, CheckpointError where nothing can be written.
        """
        self._refuse_if_stale()
        with explained("write checkpoints to", self.uri):
            self._storage.put(f"{self.attempt}/{_CLAIM}", json.dumps(self._claim).encode())
            for attempt in reading.numbers(self._storage, ""):
                if attempt <= self.attempt:
                    self._remove_half_written(str(attempt))
        self._refuse_if_stale()

    def newest_claim(self) -> dict[str, object]:
        """What the driver of the highest attempt noted of itself; empty where it noted nothing."""
        with explained("read the checkpoints of", self.uri):
            highest = max(reading.numbers(self._storage, ""), default=0)
            claim = read_json(self._storage, f"{highest}/{_CLAIM}")
        return claim if isinstance(claim, dict) else {}

    def save(self, checkpoint: Checkpoint, env_steps: int, updates: int) -> CheckpointRef:
        """Write a checkpoint, then remove those beyond ``keep``. Counts are totals over all attempts.

        Raises StaleAttempt, or CheckpointError (disk full, not writable, a value that cannot be saved); then
        nothing of it stays and what was there before is untouched.
        """
        self._refuse_if_stale()
        sequence = self._next_sequence()
        try:
            ref = self._write_checkpoint(checkpoint, env_steps, updates, sequence)
        except CheckpointError as error:
            # A higher attempt removes what this one has half-written: then that is the reason.
            self._refuse_if_stale()
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _TAKEN:
                # Left by a write whose answer never came, from a store that went away: its number is used up.
                self._sequence = sequence + 1
            raise
        self._sequence = sequence + 1
        self._remove_old()
        return ref

    def refs(self) -> Iterator[CheckpointRef]:
        """All whole checkpoints of all attempts, newest first."""
        return reading.whole(self._storage)

    def latest(self) -> CheckpointRef | None:
        """The newest whole checkpoint over all attempts; what has no valid manifest is skipped."""
        return reading.newest(self._storage)

    def load(
        self, checkpoint: CheckpointRef | str, verify: bool = True, groups: Sequence[str] | None = None
    ) -> Checkpoint:
        """See `rl_platform.checkpoints.reading.load`."""
        return reading.load(checkpoint, verify, groups)

    def load_latest(self) -> tuple[CheckpointRef, Checkpoint] | None:
        """The newest checkpoint whose digests are right; a warning is logged for each newer one passed over.

        Raises CheckpointError where there are checkpoints and none of them can be read.
        """
        problems: list[CheckpointError] = []
        for ref in reading.whole(self._storage, problems):
            try:
                return ref, reading.load(ref)
            except CheckpointError as error:
                log.warning("falling back to an older checkpoint: %s", error)
                problems.append(error)
        if problems:
            raise CheckpointError(
                f"none of the checkpoints at {self.uri} can be read (to start afresh, remove them, or run "
                f"with --overwrite); the newest: {problems[0]}"
            ) from problems[0]
        return None

    def pin(self, ref: CheckpointRef, name: str = "best") -> None:
        """Keep this checkpoint whatever its age; the one that had the name before is kept no longer."""
        if not _PIN_NAME.fullmatch(name):
            raise CheckpointError(
                f"the pin's name {name!r} must be lower-case letters, digits and dashes, at most 63"
            )
        text = json.dumps({"attempt": ref.attempt, "sequence": ref.sequence, "digest": ref.digest}).encode()
        with explained("pin the checkpoint", ref.uri):
            self._storage.put(f"pins/{name}.json", text)

    def pinned(self) -> dict[str, CheckpointRef]:
        """The pinned checkpoints by name."""
        with explained("read the pins of", self.uri):
            return reading.read_pins(self._storage)

    def _write_checkpoint(
        self, checkpoint: Checkpoint, env_steps: int, updates: int, sequence: int
    ) -> CheckpointRef:
        path = f"{self.attempt}/{sequence}"
        uri = f"{self.uri}/{path}"
        with explained("write the checkpoint", uri), self._storage.folder(path) as folder:
            files = _write_files(folder, checkpoint)
            text, digest = encode_manifest(new_manifest(self.attempt, sequence, env_steps, updates, files))
            self._refuse_if_stale()
            folder.write(MANIFEST, [text])
            folder.commit()
        return CheckpointRef(uri, digest, env_steps, updates, self.attempt, sequence)

    def _refuse_if_stale(self) -> None:
        highest = self.highest_attempt()
        if highest > self.attempt:
            raise StaleAttempt(
                f"attempt {self.attempt} may not write to {self.uri}: attempt {highest} has taken over; "
                "this driver must stop"
            )

    def _next_sequence(self) -> int:
        if self._sequence is None:
            with explained("read the checkpoints of", self.uri):
                self._sequence = max(reading.numbers(self._storage, str(self.attempt)), default=0) + 1
        return self._sequence

    def _remove_half_written(self, attempt: str) -> None:
        for path in self._storage.partial(attempt):
            self._storage.remove_folder(path)
        for sequence in reading.numbers(self._storage, attempt):
            if MANIFEST not in self._storage.names(f"{attempt}/{sequence}"):
                self._storage.remove_folder(f"{attempt}/{sequence}")

    def _remove_old(self) -> None:
        """A checkpoint that cannot be removed costs space and not the run, so that is only a warning."""
        try:
            kept = {(ref.attempt, ref.sequence) for ref in self.pinned().values()}
            for ref in list(self.refs())[self.keep :]:
                if (ref.attempt, ref.sequence) not in kept:
                    path = f"{ref.attempt}/{ref.sequence}"
                    with explained("remove the old checkpoint", ref.uri):
                        # Without its manifest it is no checkpoint any more, however far the removal gets.
                        self._storage.remove_file(f"{path}/{MANIFEST}")
                        self._storage.remove_folder(path)
        except CheckpointError as error:
            log.warning("old checkpoints stay: %s", error)


def _write_files(folder: Folder, checkpoint: Checkpoint) -> dict[str, FileEntry]:
    files: dict[str, FileEntry] = {}
    for group, tree in checkpoint.arrays.items():
        try:
            chunks = encode(tree)
        except TensorFormatError as error:
            raise CheckpointError(f"the group {group!r} cannot be saved: {error}") from error
        _write(folder, _file_name(group, files), chunks, group, files)
    _write(folder, STATE, [encode_state(checkpoint.state)], None, files)
    return files


def _write(
    folder: Folder,
    name: str,
    chunks: Sequence[bytes | memoryview],
    group: str | None,
    files: dict[str, FileEntry],
) -> None:
    digest = hashlib.sha256()

    def hashed() -> Iterable[bytes | memoryview]:
        for chunk in chunks:
            digest.update(chunk)
            yield chunk

    folder.write(name, hashed())
    files[name] = FileEntry(digest.hexdigest(), sum(len(chunk) for chunk in chunks), group)


def _file_name(group: str, taken: dict[str, FileEntry]) -> str:
    """``policy/default/weights`` → ``policy.default.weights.safetensors``; the manifest tells the group."""
    stem = re.sub(r"[^a-z0-9._-]", "_", group.lower().replace("/", "."))[:120].lstrip(".") or "group"
    number, name = 1, f"{stem}.safetensors"
    while name in taken:
        number += 1
        name = f"{stem}-{number}.safetensors"
    return name
