"""``rlp algorithms``: every algorithm with its fields, defaults and plan."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from rl_platform.algorithms import ALGORITHMS
from rl_platform.cli.errors import failed
from rl_platform.driver.building import assemble
from rl_platform.spec.algorithms import AlgorithmSpec
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.spec.fields import SpecModel
from rl_platform.spec.training_job import TrainingJob

EXAMPLE_ENVIRONMENT = "CartPole-v1"


def algorithms(name: str | None) -> int:
    """A line each, or one algorithm in full."""
    if name is None:
        for each in ALGORITHMS:
            print(f"{each:<12} {_summary(each)}")
        print(f"{'custom':<12} An algorithm of your own: see helm/examples/custom/.")
        print("\n`rlp algorithms NAME` shows fields, defaults and the plan.")
        return int(ExitCode.DONE)
    if name not in ALGORITHMS:
        near = difflib.get_close_matches(name, ALGORITHMS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(ALGORITHMS)}"
        return failed(f"there is no algorithm {name}: {hint}", ExitCode.BAD_CONFIGURATION)
    print(f"{_summary(name)}\n")
    for field, default, text in _fields(AlgorithmSpec.model_fields[name].annotation):
        print(f"  {field:<35} {default:<10} {text}")
    print(f"\nIts plan, as on {EXAMPLE_ENVIRONMENT} with all defaults:\n")
    document = {
        "metadata": {"name": f"example-{name}"},
        "spec": {
            "environment": {"id": EXAMPLE_ENVIRONMENT},
            "algorithm": {name: {}},
            "stop": {"envSteps": 100_000},
        },
    }
    assembly = assemble(TrainingJob.model_validate(document))
    print(assembly.plan.describe())
    assembly.close()
    return int(ExitCode.DONE)


def _summary(name: str) -> str:
    module = importlib.import_module(f"rl_platform.algorithms.{name}")
    return (module.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _fields(annotation: object, prefix: str = "") -> list[tuple[str, str, str]]:
    """(field path, default, description) of a spec model, nested models flattened."""
    rows: list[tuple[str, str, str]] = []
    for field in _model_in(annotation).model_fields.values():
        name, nested = f"{prefix}{field.alias}", _model_in(field.annotation)
        if nested is None or field.default is None:
            default = field.get_default(call_default_factory=True, validated_data={})
            rows.append((name, "none" if default is None else str(default).lower(), field.description or ""))
        if nested is not None:
            rows += _fields(nested, f"{name}.")
    return rows


def _model_in(annotation: object) -> Any:
    """The spec model that a field holds, or may hold, if any."""
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((each for each in candidates if isinstance(each, type) and issubclass(each, SpecModel)), None)
