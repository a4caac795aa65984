"""A policy bundle: one policy as a folder of data, without code.

policy.json           spaces, model, kind, recurrent state, noise: enough to run the graph or to rebuild it
policy.onnx           the whole policy as a graph with its weights (absent where the network needs torch)
weights.safetensors   the flat weights, the knobs (filters, epsilon), and the moments that filters go on from
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from rl_platform.data.spaces import Spaces
from rl_platform.data.tree import Tree
from rl_platform.models.build import PolicyKind, build_policy, initial_knobs
from rl_platform.models.policy import Policy
from rl_platform.spec.model import ModelSpec

DESCRIPTION, GRAPH, WEIGHTS = "policy.json", "policy.onnx", "weights.safetensors"
FORMAT_VERSION = 1
OWN_KIND = "own"
"""Of a policy that neither family of policies is built like."""
_FLAT, _KNOB, _MOMENT = "weights", "knobs/", "moments/"


class BundleError(ValueError):
    """A folder that is no policy bundle, or one that cannot be read here. The message names it and why."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk, described. Weights are read by `weights`, what filters go on from by `moments`."""

    folder: Path
    description: dict[str, Any]

    @property
    def spaces(self) -> Spaces:
        return Spaces.from_json(self.description["spaces"])

    @property
    def state(self) -> dict[str, tuple[int, ...]]:
        """Path below ``state/`` → shape of one row; empty for a policy without memory."""
        return {path: tuple(shape) for path, shape in self.description["state"].items()}

    @property
    def portable(self) -> bool:
        """Whether there is a graph that runs without this library."""
        return bool(self.description["portable"])

    def weights(self) -> tuple[np.ndarray, Tree]:
        """The flat weights f32 [size] and the knobs."""
        tensors = self._tensors()
        return tensors[_FLAT], _below(_KNOB, tensors)

    def moments(self) -> Tree:
        """See `PolicyFilters.snapshot`; empty for a policy without filters."""
        return _below(_MOMENT, self._tensors())

    def _tensors(self) -> Tree:
        from safetensors.numpy import load_file

        tensors: Tree = load_file(self.folder / WEIGHTS)
        return tensors


def _below(prefix: str, tensors: Tree) -> Tree:
    return {name.removeprefix(prefix): leaf for name, leaf in tensors.items() if name.startswith(prefix)}


def describe_policy(policy: Policy, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``policy.json``; ``recipe`` is what `rebuild` reads: ``kind`` and ``model``."""
    return {
        "formatVersion": FORMAT_VERSION,
        "spaces": policy.spaces.to_json(),
        "kind": recipe["kind"],
        "model": recipe["model"],
        "state": {path: list(shape) for path, shape in policy.net.state.items()},
        "noise": [[kind, width] for kind, width in policy.distribution.noise],
        "portable": policy.net.portable,
    }


def rebuild(description: Mapping[str, Any]) -> Policy:
    """The policy of a description (``spaces``, ``kind``, ``model``) from a bundle or a checkpoint's state.

    Imports the module of a custom network. Raises BundleError where that is absent here, and for a policy
    that only its algorithm can make.
    """
    if description["kind"] == OWN_KIND:
        raise BundleError(
            "the policy was made by a custom algorithm in a way of its own, which is not saved: only its "
            "graph can be loaded, from the registry (models:/NAME@ALIAS) or the folder policy/POLICY of a run"
        )
    model = ModelSpec.model_validate(description["model"])
    try:
        return build_policy(Spaces.from_json(description["spaces"]), model, description["kind"])
    except ImportError as error:
        raise BundleError(
            f"the policy's network is {model.entrypoint}, which cannot be imported here ({error}); "
            "add its folder to PYTHONPATH"
        ) from error


def kind_of(policy: Policy, model: ModelSpec) -> str:
    """How `rebuild` makes this policy again, or OWN_KIND where no family of policies has the same one."""
    return next((kind for kind in get_args(PolicyKind) if _is_of_kind(policy, model, kind)), OWN_KIND)


def _is_of_kind(policy: Policy, model: ModelSpec, kind: PolicyKind) -> bool:
    """Equal graphs are equal policies; without graphs their parameters and parts are compared."""
    from rl_platform.models.onnx_export import export_onnx

    try:
        built = build_policy(policy.spaces, model, kind)
    except ValueError:  # these spaces do not suit the kind
        return False
    shapes = (built.layout.shapes, built.value, built.filtered, built.net.portable)
    if shapes != (policy.layout.shapes, policy.value, policy.filtered, policy.net.portable):
        return False
    if not policy.net.portable:
        return type(built.distribution) is type(policy.distribution)
    flat, knobs = np.zeros(policy.layout.size, np.float32), initial_knobs(policy)
    return export_onnx(built, flat, knobs) == export_onnx(policy, flat, knobs)


def write_bundle(
    folder: Path | str,
    policy: Policy,
    flat: np.ndarray,
    knobs: Mapping[str, Any],
    recipe: Mapping[str, Any],
    moments: Mapping[str, np.ndarray],
) -> Bundle:
    """Write the bundle of one policy, replacing one that is there. A crash leaves none or a whole one.

    ``recipe``: ``kind`` (see `kind_of`) and ``model`` (JSON), as checkpoints hold them by policy.
    ``moments``: of its filters (`PolicyFilters.snapshot`), for who trains it on; empty without filters.
    Raises BundleError for a policy that has no graph and cannot be made again either.
    """
    from safetensors.numpy import save_file

    from rl_platform.models.onnx_export import export_onnx

    if recipe["kind"] == OWN_KIND and not policy.net.portable:
        raise BundleError(
            "the policy cannot be served: its network runs in PyTorch only, and it is neither actor-critic "
            "nor one of action values; write the network over the operations of rl_platform.models.ops"
        )
    folder = Path(folder)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {_FLAT: np.ascontiguousarray(flat, np.float32)}
    tensors |= {_KNOB + name: np.array(knob, np.float32) for name, knob in knobs.items()}
    tensors |= {_MOMENT + path: np.array(leaf, order="C") for path, leaf in moments.items()}
    save_file(tensors, partial / WEIGHTS)
    if policy.net.portable:
        (partial / GRAPH).write_bytes(export_onnx(policy, flat, knobs))
    description = describe_policy(policy, recipe)
    (partial / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return Bundle(folder, description)


def open_bundle(folder: Path | str) -> Bundle:
    """Raises BundleError where the folder is no bundle or was written by a later version."""
    folder = Path(folder)
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder} is no policy bundle: {DESCRIPTION} cannot be read ({error})") from error
    version = description.get("formatVersion")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise BundleError(
            f"{folder / DESCRIPTION} has formatVersion {version!r}; this version of rl-platform reads up to "
            f"{FORMAT_VERSION}"
        )
    return Bundle(folder, description)
