"""Every rule between fields is kept by the models as the cases say, and has its counterpart in CEL."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import rl_platform.spec
from rl_platform.spec.cel_rules import CelRule
from rl_platform.spec.crd import job_rules
from rl_platform.spec.fields import Fault
from rl_platform.spec.training_job import TrainingJobSpec
from tests.spec.rule_case import RuleCase, spec_with
from tests.spec.rule_cases import RULE_CASES

NAMES = [f"{case.path}: {case.says}" for case in RULE_CASES]


@pytest.mark.parametrize("case", RULE_CASES, ids=NAMES)
def test_the_models_keep_the_rule(case: RuleCase) -> None:
    assert min(len(case.keeps), len(case.breaks)) >= 2
    for sections in case.keeps:
        TrainingJobSpec.model_validate(spec_with(sections))
    for sections in case.breaks:
        with pytest.raises(ValidationError) as caught:
            TrainingJobSpec.model_validate(spec_with(sections))
        paths = [".".join(map(str, error["loc"])) for error in caught.value.errors()]
        assert any(path.startswith(case.path) for path in paths), (sections, paths)


def test_every_rule_in_cel_has_its_cases() -> None:
    def speaks_of(case: RuleCase, rule: CelRule) -> bool:
        return case.path == rule.path and bool(case.says) and case.says in rule.message

    for rule in job_rules():
        assert len([case for case in RULE_CASES if speaks_of(case, rule)]) == 1, rule.path


def test_every_fault_of_the_models_is_met_by_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written in the source and yielded for the cases: the same lines."""
    seen: set[tuple[str, int]] = set()
    make = Fault.__new__

    def recording(kind: Any, *arguments: Any) -> Fault:
        frame = sys._getframe(1)
        seen.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
        return make(kind, *arguments)

    monkeypatch.setattr(Fault, "__new__", recording)
    for case in RULE_CASES:
        for sections in case.breaks:
            with pytest.raises(ValidationError):
                TrainingJobSpec.model_validate(spec_with(sections))
    assert seen == written_faults()


def written_faults() -> set[tuple[str, int]]:
    """File and line of each ``Fault(...)`` in the models of the spec."""
    return {
        (file.name, node.lineno)
        for file in Path(rl_platform.spec.__path__[0]).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Fault"
    }
