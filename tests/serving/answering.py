"""Runs where only mlflow, numpy and onnxruntime are: answers recorded observations with registered models.

``python answering.py TRACKING_URI RECORDINGS``: RECORDINGS holds ``<name>.npz`` per registered model, with
the observations by path [T, B, ...] and the actions [T, B, ...] that are right. Writes the largest deviation
by name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mlflow
import numpy as np


def deviation(model: mlflow.pyfunc.PyFuncModel, recorded: dict[str, np.ndarray]) -> float:
    actions = recorded.pop("action")
    rows = actions.shape[1]
    names = (
        model.metadata.signature.inputs.input_names()
        if model.metadata.signature.inputs.has_input_names()
        else []
    )
    shapes = {spec.name: spec.shape[1:] for spec in model.metadata.signature.inputs.inputs}
    state = {name: np.zeros((rows, *shapes[name]), np.float32) for name in names if name.startswith("state/")}
    worst = 0.0
    for step, right in enumerate(actions):
        tensors = {path: leaf[step] for path, leaf in recorded.items()} | state
        said = model.predict(tensors if names else tensors["obs"])
        state = {name: said[name] for name in state}
        worst = max(worst, float(np.abs(said["action"].astype(np.float64) - right).max()))
    return worst


def main() -> None:
    mlflow.set_tracking_uri(sys.argv[1])
    worst = {}
    for file in sorted(Path(sys.argv[2]).glob("*.npz")):
        model = mlflow.pyfunc.load_model(f"models:/{file.stem}@champion")
        with np.load(file) as recorded:
            worst[file.stem] = deviation(model, dict(recorded))
    foreign = sorted({"rl_platform", "ray", "torch", "gymnasium", "onnx"} & set(sys.modules))
    sys.stdout.write(json.dumps({"worst": worst, "foreign": foreign}) + "\n")


main()
