"""The manifest: written last, it makes a folder a checkpoint. It names every file, its size, its sha256."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from typing import Any

from rl_platform.checkpoints.errors import CheckpointError

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
_PACKAGES = ("rl-platform", "torch", "numpy")


class NewerFormat(CheckpointError):
    """A checkpoint that only a later version of rl-platform can read."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a checkpoint. ``group`` is the group of arrays in it, None for the JSON state."""

    sha256: str
    bytes: int
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Counts are totals over all attempts of the run."""

    attempt: int
    sequence: int
    env_steps: int
    updates: int
    files: dict[str, FileEntry]
    created: str
    versions: dict[str, str]


def new_manifest(
    attempt: int, sequence: int, env_steps: int, updates: int, files: dict[str, FileEntry]
) -> Manifest:
    """A manifest of now and of the versions that run here."""
    created = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Manifest(attempt, sequence, env_steps, updates, files, created, dict(_versions()))


def encode_manifest(manifest: Manifest) -> tuple[bytes, str]:
    """The manifest's text and its digest."""
    body: dict[str, Any] = {
        "formatVersion": FORMAT_VERSION,
        "created": manifest.created,
        "attempt": manifest.attempt,
        "sequence": manifest.sequence,
        "envSteps": manifest.env_steps,
        "updates": manifest.updates,
        "versions": manifest.versions,
        "files": {
            name: {"sha256": entry.sha256, "bytes": entry.bytes, "group": entry.group}
            for name, entry in manifest.files.items()
        },
    }
    digest = _digest(body)
    return _text(body | {"digest": digest}), digest


def decode_manifest(text: bytes, where: str) -> tuple[Manifest, str]:
    """The manifest and its digest. Raises CheckpointError: not whole, altered, or of a newer format."""
    try:
        body = json.loads(text)
        digest = body.pop("digest")
        # Every format version keeps this rule, so a flipped bit in the version is not taken for a newer one.
        if digest != _digest(body) or _text(body | {"digest": digest}) != text:
            raise CheckpointError(
                f"{where}/{MANIFEST} was altered after it was written; use another checkpoint"
            )
        if body["formatVersion"] > FORMAT_VERSION:
            raise NewerFormat(
                f"the checkpoint {where} has format version {body['formatVersion']}, and this version of "
                f"rl-platform reads up to {FORMAT_VERSION}: use the version that wrote it or a later one"
            )
        files = {name: FileEntry(**entry) for name, entry in body["files"].items()}
        counts = (body["attempt"], body["sequence"], body["envSteps"], body["updates"])
        return Manifest(*counts, files, body["created"], body["versions"]), digest
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{where}/{MANIFEST} is not a whole manifest ({error}); use another checkpoint"
        ) from error


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(_text(body)).hexdigest()


def _text(body: dict[str, Any]) -> bytes:
    return json.dumps(body, indent=1).encode() + b"\n"


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = [("python", platform.python_version())]
    for package in _PACKAGES:
        try:
            found.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            found.append((package, "absent"))
    return tuple(found)
