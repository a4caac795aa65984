"""A policy as an MLflow model: this file, ``policy.onnx``, ``policy.json``; nothing else of this library.

MLflow copies the file into the model ("models from code") and runs it where only mlflow, numpy and
onnxruntime are installed. Loading by this library imports it too, for the class that runs a graph.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
}
_NOISE = "noise"
_MASK = "obs/action_mask"
_ACTION = "action"


class OnnxPolicy:
    """Runs the graph of a policy for batches of observations.

    Tensors go by path: ``obs`` or ``obs/<key>`` [B, ...], and for a policy with memory ``state/<path>``
    [B, ...], zeros at the start of an episode.
    """

    def __init__(self, folder: str | Path) -> None:
        # Else onnxruntime keeps an identifier and a database in ~/.cache and sends what it is used for.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime  # type: ignore[import-untyped]  # it ships no annotations

        document = json.loads(Path(folder, "policy.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(Path(folder, "policy.onnx")), options, providers=["CPUExecutionProvider"]
        )
        inputs = {each.name: _TYPES[each.type] for each in self._session.get_inputs()}
        self._draws = inputs.pop(_NOISE, None) is not None
        self._inputs = inputs
        self._outputs = [each.name for each in self._session.get_outputs()]
        self._action = document["spaces"]["action"]
        self.noise: list[tuple[str, int]] = [(kind, width) for kind, width in document["noise"]]

    def run(self, tensors: Mapping[str, Any], noise: np.ndarray | None) -> dict[str, np.ndarray]:
        """``action`` [B, ...] in the environment's scale and the next ``state/<path>`` [B, ...].

        ``noise`` [B, width]; None is the mode. Raises ValueError that names a tensor which is missing or
        unknown, or a row without a legal action.
        """
        if tensors.keys() != self._inputs.keys():
            raise ValueError(
                f"the policy takes the tensors {sorted(self._inputs)}, got {sorted(map(str, tensors))}"
            )
        feed = {path: np.asarray(tensors[path], dtype) for path, dtype in self._inputs.items()}
        if _MASK in feed:
            _refuse_rows_without_action(feed[_MASK], self._action)
        if self._draws:
            rows, width = len(next(iter(feed.values()))), sum(width for _, width in self.noise)
            feed[_NOISE] = np.zeros((rows, width), np.float32) if noise is None else noise
        values = self._session.run(None, feed)
        named = {name.removesuffix("/next"): value for name, value in zip(self._outputs, values, strict=True)}
        if self._action["kind"] == "box":
            named[_ACTION] = _in_dtype(named[_ACTION], np.dtype(self._action.get("box_dtype", "float32")))
        return named


def as_learned(tensors: Mapping[str, Any], leaves: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Tensors as the policy takes them, of observations as their environment gives them: its categories may
    begin at any number, and are learned as 0 and up.

    ``leaves``: the document of each observation by path. Raises ValueError that names tensor and row of what
    no environment of these spaces gives, and where tensors have not the same rows.
    """
    taken = {path: np.asarray(tensor) for path, tensor in tensors.items()}
    rows = {path: len(array) for path, array in taken.items() if array.ndim}
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{path} {count}" for path, count in sorted(rows.items()))
        raise ValueError(f"tensors have as many rows as there are observations; got {told}")
    for path, leaf in leaves.items():
        if path in taken:
            taken[path] = _learned(path, taken[path], leaf)
    for path in taken.keys() - leaves.keys():
        _refuse_rows(path, taken[path], ~np.isfinite(taken[path]), "finite numbers")
    return taken


def _learned(path: str, given: np.ndarray, leaf: Mapping[str, Any]) -> np.ndarray:
    if leaf["kind"] in ("discrete", "multi_discrete"):
        categories = np.reshape(leaf["categories"], leaf["shape"])
        first = np.reshape(leaf["start"] or np.zeros_like(categories), leaf["shape"])
        _refuse_rows(
            path,
            given,
            (given < first) | (given >= first + categories),
            f"whole numbers from {first.tolist()} to {(first + categories - 1).tolist()}",
        )
        return given - first
    if leaf["kind"] == "mask":
        _refuse_rows(path, given, (given != 0) & (given != 1), "0 or 1 for each action")
    elif leaf["kind"] == "count":
        most = float(leaf["high"])
        _refuse_rows(path, given, (given < 0) | (given > most), f"0 to {most:g} elements")
    else:
        _refuse_rows(path, given, ~np.isfinite(given), "finite numbers")
    return given


def _refuse_rows(path: str, given: np.ndarray, wrong: np.ndarray, expected: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong.reshape(len(given), -1).any(-1)))
        raise ValueError(f"{path} holds {given[row].tolist()!r:.100} in row {row}; expected {expected}")


def answer(
    policy: Any, tensors: Mapping[str, Any], deterministic: bool = True, seed: int | None = None
) -> dict[str, np.ndarray]:
    """What `OnnxPolicy.run` says; without ``deterministic`` actions are drawn, from ``seed`` if given."""
    if deterministic:
        return policy.run(tensors, None)  # type: ignore[no-any-return]
    rows = len(next(iter(tensors.values())))
    noise = draw_noise(policy.noise, np.random.default_rng(seed), rows)
    return policy.run(tensors, noise)  # type: ignore[no-any-return]


def draw_noise(groups: Sequence[tuple[str, int]], rng: np.random.Generator, rows: int) -> np.ndarray:
    """float32 [rows, width]; the column groups (kind, width) side by side, as training draws them."""
    return np.concatenate([_draw(kind, rng, (rows, width)) for kind, width in groups], axis=-1)


def _draw(kind: str, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    if kind == "normal":
        return rng.standard_normal(shape, np.float32)
    if kind == "uniform":
        return rng.random(shape, np.float32)
    # -log of an exponential variable has the Gumbel distribution; the bound keeps the logarithm finite.
    return -np.log(np.maximum(rng.standard_exponential(shape, np.float32), np.float32(1e-30)))


def _in_dtype(actions: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """As `rl_platform.data.spaces.in_dtype`: the nearest of whole numbers."""
    if dtype.kind in "iub":
        actions = np.rint(actions.astype(np.float64))
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        below = np.nextafter(float(limits.max), 0.0)
        actions = np.clip(actions, limits.min, limits.max if float(limits.max) <= limits.max else below)
    return actions.astype(dtype)


def _refuse_rows_without_action(mask: np.ndarray, action: Mapping[str, Any]) -> None:
    categories = action["categories"] if action["kind"] == "multi_discrete" else [mask.shape[-1]]
    starts = np.cumsum([0, *categories[:-1]])
    some = np.logical_or.reduceat(mask != 0, starts, axis=-1).all(-1)
    if not some.all():
        row = int(np.argmin(some))
        raise ValueError(f"{_MASK} has no legal action in row {row} of {len(mask)}: {mask[row].tolist()}")


# Under MLflow the file has another name. Only there it is a model, and only there mlflow is worth its time.
if __name__ != "rl_platform.serving.pyfunc_model":
    import mlflow

    class PolicyModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
        """predict(observations [B, ...] or tensors by path, params={"deterministic": True, "seed": 1}).

        Observations are as the environment gives them.
        """

        def load_context(self, context: Any) -> None:
            """Open the graph; a network that has none runs in torch, by the library's code in the model."""
            folder = Path(context.artifacts["bundle"])
            self._leaves = json.loads((folder / "policy.json").read_text())["spaces"]["obs"]
            if (folder / "policy.onnx").exists():
                self._policy: Any = OnnxPolicy(folder)
            else:
                from rl_platform.serving.actors import WeightsPolicy

                self._policy = WeightsPolicy(folder)

        # The annotation of model_input is one that MLflow makes no schema of: the signature is the schema.
        def predict(
            self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
        ) -> dict[str, np.ndarray]:
            """``action`` [B, ...] in the environment's scale, and ``state/<path>`` for the next call.

            Raises ValueError that names what is wrong with an observation.
            """
            del context
            named: Any = model_input if hasattr(model_input, "keys") else {"obs": model_input}
            chosen = params or {}
            seed = chosen.get("seed", -1)
            tensors = {str(path): named[path] for path in named.keys()}  # noqa: SIM118 (DataFrames have keys)
            return answer(
                self._policy,
                as_learned(tensors, self._leaves),
                deterministic=bool(chosen.get("deterministic", True)),
                seed=None if seed is None or seed < 0 else int(seed),
            )

    mlflow.models.set_model(PolicyModel())
