"""The package says what each of its modules is for; one that it does not name is not found."""

from __future__ import annotations

import pkgutil
import re

import rl_operator


def test_every_module_is_named() -> None:
    modules = {it.name for it in pkgutil.iter_modules(rl_operator.__path__) if not it.ispkg}
    assert modules - set(re.findall(r"\w+", rl_operator.__doc__ or "")) == set()
