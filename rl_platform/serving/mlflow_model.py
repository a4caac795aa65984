"""A bundle as an MLflow model folder: signature, requirements, the single-file pyfunc; no pickles.

Imports MLflow, so it belongs into a process that does not train.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import rl_platform
from rl_platform.data.spaces import Spaces
from rl_platform.data.tree import ACTION, OBS, STATE
from rl_platform.serving.bundle import Bundle, BundleError

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

ARTIFACT = "bundle"
_GRAPH_REQUIREMENTS = ("mlflow>=3.4,<4", "numpy>=1.26,<3", "onnxruntime>=1.20,<2")
_CODE_REQUIREMENTS = (
    "mlflow>=3.4,<4",
    "numpy>=2.0,<3",
    "torch>=2.9,<3",
    "safetensors>=0.6,<1",
    "pydantic>=2.13,<3",
    "pyyaml>=6.0.2,<7",
)


def signature(bundle: Bundle) -> ModelSignature:
    """Tensors by path with a free batch dimension; an observation that is one array needs no name."""
    from mlflow.models import ModelSignature
    from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    spaces = bundle.spaces
    inputs, state = _inputs(spaces), _state(bundle)
    if list(inputs) == [OBS] and not state:
        dtype, shape = inputs[OBS]
        input_schema = Schema([TensorSpec(dtype, shape)])
    else:
        input_schema = Schema([TensorSpec(*spec, name=path) for path, spec in (inputs | state).items()])
    action = (np.dtype(spaces.action.env_dtype), (-1, *spaces.action.shape))
    output_schema = Schema(
        [TensorSpec(*spec, name=path) for path, spec in ({ACTION: action} | state).items()]
    )
    params = ParamSchema(
        [ParamSpec("deterministic", DataType.boolean, True), ParamSpec("seed", DataType.long, -1)]
    )
    return ModelSignature(inputs=input_schema, outputs=output_schema, params=params)


def save_model(folder: Path, bundle: Bundle, run_id: str | None = None, model_id: str | None = None) -> None:
    """Write the MLflow model. Raises BundleError where a network's own code cannot be found to go with it."""
    import mlflow
    from mlflow.models import Model

    spaces = bundle.spaces
    metadata: dict[str, Any] = {"spaces": spaces.to_json(), "state": bundle.description["state"]}
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*input example was not provided"
        )  # the signature is given
        mlflow.pyfunc.save_model(
            folder,
            mlflow_model=Model(run_id=run_id, model_id=model_id),
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={ARTIFACT: str(bundle.folder)},
            signature=signature(bundle),
            pip_requirements=list(_GRAPH_REQUIREMENTS if bundle.portable else _CODE_REQUIREMENTS),
            code_paths=None if bundle.portable else _code(bundle),
            metadata=metadata,
        )


def bundle_in(model: Path) -> Path:
    """The bundle's folder in an MLflow model's. Raises BundleError where the model is of another make."""
    import yaml

    try:
        flavour = yaml.safe_load((model / "MLmodel").read_text())["flavors"]["python_function"]
        return model / str(flavour["artifacts"][ARTIFACT]["path"])
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise BundleError(f"{model} is no policy: its MLmodel names no policy bundle ({error!r})") from error


def _inputs(spaces: Spaces) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    return {path: (np.dtype(leaf.dtype), (-1, *leaf.shape)) for path, leaf in spaces.obs.items()}


def _state(bundle: Bundle) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    return {f"{STATE}/{path}": (np.dtype("float32"), (-1, *shape)) for path, shape in bundle.state.items()}


def _code(bundle: Bundle) -> list[str]:
    """This library, and the module or package of the network where it is the user's own."""
    paths = [str(Path(rl_platform.__file__).parent)]
    entrypoint = bundle.description["model"].get("entrypoint")
    package = entrypoint.partition(":")[0].partition(".")[0] if entrypoint else rl_platform.__name__
    if package != rl_platform.__name__:
        spec = importlib.util.find_spec(package)
        origin = Path(spec.origin) if spec and spec.origin else None
        if origin is None:
            raise BundleError(
                f"the network {entrypoint} cannot be served: its module {package} has no file here"
            )
        paths.append(str(origin.parent if origin.name == "__init__.py" else origin))
    return paths
