"""Every contract case: a function of a `Place` that returns what it saw, alike on model and server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.apiserver import cases_of_deletes, cases_of_reads, cases_of_schemas, cases_of_writes
from tests.apiserver.calls import Place

Case = Callable[[Place], Any]

CASES: dict[str, Case] = {
    name: case
    for module in (cases_of_writes, cases_of_deletes, cases_of_reads, cases_of_schemas)
    for name, case in module.CASES.items()
}
