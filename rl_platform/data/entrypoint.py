"""What ``module:name`` names: code of the user's own, found beside where they stand or on PYTHONPATH."""

from __future__ import annotations

import difflib
import importlib
import traceback
from types import ModuleType
from typing import Any


class EntrypointError(ValueError):
    """There is no such thing, or its module cannot be imported; the message names the field."""


def load_entrypoint(entrypoint: str, field: str, default: str = "") -> Any:
    """The object; ``default`` is taken where only a module is named. Raises EntrypointError."""
    module_name, _, name = entrypoint.partition(":")
    name = name or default
    what = f"{field} {entrypoint!r}"
    module = import_module_of(module_name, what)
    try:
        return getattr(module, name)
    except AttributeError as error:
        near = difflib.get_close_matches(name, dir(module), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise EntrypointError(f"{what}: {module_name} has no {name!r}{hint}") from error


def import_module_of(name: str, what: str) -> ModuleType:
    """The module; ``what`` begins the message where that fails. Raises EntrypointError."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        raise EntrypointError(
            f"{what}: there is no module {missing!r}; install it, or add its folder to PYTHONPATH"
        ) from error
    except Exception as error:
        raise EntrypointError(
            f"{what}: importing {name} raised {type(error).__name__}: {error}{_place(error)}"
        ) from error


def _place(error: Exception) -> str:
    """Where it was raised; a SyntaxError says so itself."""
    frames = traceback.extract_tb(error.__traceback__)
    return "" if isinstance(error, SyntaxError) else f" ({frames[-1].filename}, line {frames[-1].lineno})"
