"""`load_policy`: a trained policy by URI, ready to act on observations as the environment gives them."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from rl_platform.checkpoints import reading
from rl_platform.checkpoints.checkpoint import Checkpoint
from rl_platform.checkpoints.errors import CheckpointError, CheckpointNotFound
from rl_platform.serving.actors import bundle_actor, saved_actor
from rl_platform.serving.bundle import DESCRIPTION, BundleError, open_bundle
from rl_platform.serving.model_versions import MODELS
from rl_platform.serving.reaching import why_away
from rl_platform.serving.registry import RegistryError, download
from rl_platform.serving.served_policy import PolicyState, ServedPolicy

MODEL_URI = re.compile(r"models:/([^/@]+(@[^/@]+|/[^/@]+)|m-[^/@]+)")
EXPECTED = "a run's folder, a checkpoint, a policy bundle, models:/NAME@ALIAS or models:/NAME/VERSION"


class PolicyNotFoundError(Exception):
    """There is no policy at the URI. The message says what was looked for and what a URI can be."""


def load_policy(
    uri: str | Path, *, tracking_uri: str | None = None, policy: str | None = None
) -> ServedPolicy:
    """Load a policy from a run's folder (its newest checkpoint), a checkpoint, a bundle, or the registry.

    ``uri``: a path, a checkpoint's URI, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``. The registry is
    ``tracking_uri``, else what MLflow is set to (MLFLOW_TRACKING_URI), else ``runs/NAME/mlflow.db``.
    ``policy``: which one, where a run has several.
    Raises PolicyNotFoundError, BundleError, CheckpointError, or RegistryError.
    """
    text = str(uri)
    if not text or (text.startswith(MODELS) and not MODEL_URI.fullmatch(text)):
        raise PolicyNotFoundError(f"{text!r} names no policy: expected {EXPECTED}")
    if text.startswith(MODELS):
        registry = tracking_uri or registry_of(text)
        away = why_away(registry)
        if away is not None:
            raise RegistryError(f"cannot load {text}: {away}")
        return _from_bundle(download(registry, text), text)
    folder = _bundle_folder(Path(text), policy)
    if folder is not None:
        return _from_bundle(folder, text)
    return _from_checkpoint(text, policy)


def _from_bundle(folder: Path, uri: str) -> ServedPolicy:
    bundle = open_bundle(folder)
    return ServedPolicy(bundle_actor(bundle), uri, lambda: bundle.weights()[0])


def _bundle_folder(folder: Path, policy: str | None) -> Path | None:
    """The folder itself or the subfolder of a policy, where it is a bundle."""
    for candidate in (folder, folder / policy) if policy else (folder,):
        if (candidate / DESCRIPTION).is_file():
            return candidate
    return None


def _from_checkpoint(uri: str, policy: str | None) -> ServedPolicy:
    place = _checkpoint_uri(uri)
    try:
        ref = reading.resolve(place)
    except CheckpointNotFound as error:
        raise PolicyNotFoundError(f"{uri} is no policy: expected {EXPECTED} ({error})") from error
    checkpoint = reading.load(ref, groups=["policy/"])
    name = _choose(checkpoint, policy, ref.uri)
    try:
        description = checkpoint.state["policies"][name]
        flat = checkpoint.arrays[f"policy/{name}/weights"]["flat"]
    except KeyError as error:
        raise CheckpointError(f"the checkpoint {ref.uri} holds no policy {name}: it lacks {error}") from error
    actor = saved_actor(description, flat, checkpoint.arrays.get(f"policy/{name}/knobs", {}))
    return ServedPolicy(actor, ref.uri, lambda: flat)


def _checkpoint_uri(uri: str) -> str:
    """Where the checkpoints of a run's folder are: in it, or at the URI that its result names."""
    result = Path(uri, "result.json")
    if Path(uri, "checkpoints").is_dir() or not result.is_file():
        return uri
    try:
        named = json.loads(result.read_text()).get("checkpoint")
    except (OSError, ValueError) as error:
        raise PolicyNotFoundError(
            f"{result} cannot be read ({error}), and {uri} has no folder checkpoints"
        ) from error
    return str(named or uri)


def _choose(checkpoint: Checkpoint, policy: str | None, uri: str) -> str:
    names = sorted(checkpoint.state.get("policies", {}))
    if policy is None and len(names) == 1:
        return str(names[0])
    if policy in names:
        return str(policy)
    asked = "say which" if policy is None else f"it has none called {policy!r}"
    raise PolicyNotFoundError(
        f"{uri} holds the policies {', '.join(names) or '(none)'}: {asked} with policy=NAME"
    )


def registry_of(uri: str) -> str:
    """What MLflow is set to, by code or environment, else the store of a run called as the model is."""
    if "mlflow" in sys.modules:
        import mlflow

        if mlflow.is_tracking_uri_set():  # type: ignore[no-untyped-call]  # it has no annotation
            return str(mlflow.get_tracking_uri())
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return os.environ["MLFLOW_TRACKING_URI"]
    name = uri.removeprefix(MODELS).partition("@")[0].partition("/")[0]
    database = Path("runs", name, "mlflow.db").resolve()
    if database.is_file():
        return f"sqlite:///{database}"
    raise PolicyNotFoundError(
        f"no registry is known for {uri}: set MLFLOW_TRACKING_URI, or give tracking_uri, "
        f"as sqlite:///FOLDER/mlflow.db for a run's own ({database} does not exist)"
    )


__all__ = ["BundleError", "PolicyNotFoundError", "PolicyState", "ServedPolicy", "load_policy"]
