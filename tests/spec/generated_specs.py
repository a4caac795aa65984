"""Thousands of specs for the agreement of models, schema and API server: good, or spoiled in one place."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings

from rl_platform.spec.training_job import TrainingJobSpec
from tests.spec.jobs import MENDS, documents
from tests.spec.rule_case import spec_with
from tests.spec.rule_cases import RULE_CASES
from tests.spec.spoiling import Spoiled, model_in, spoilings

Spec = dict[str, Any]
DRAWN = 250


class BadSpec(NamedTuple):
    """``path``: where, as problems and refusals write it, from the root of the manifest."""

    spec: Spec
    path: str
    what: str


def good_specs(number: int, random_seed: int) -> list[Spec]:
    """Some are drawn by hypothesis; the others have each section from one of those."""
    drawn = _drawn(random_seed)
    random = Random(random_seed)
    mend = MENDS[TrainingJobSpec]
    mixed = (mend(copy.deepcopy(_mixed(drawn, random))) for _ in range(number - len(drawn)))
    return [_with_nulls(spec, random) for spec in (*drawn, *mixed)]


def bad_specs(good: list[Spec], random_seed: int) -> Iterator[BadSpec]:
    """Each good one, with one thing wrong: a field three times in four, else a rule between fields."""
    random = Random(random_seed)
    for spec in good:
        yield _with_broken_rule(spec, random) if random.random() < 0.25 else _spoiled(spec, random)


def _drawn(random_seed: int) -> list[Spec]:
    found: list[Spec] = []

    @seed(random_seed)
    @settings(
        max_examples=DRAWN,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(documents(TrainingJobSpec))
    def collect(spec: Spec) -> None:
        found.append(copy.deepcopy(spec))

    collect()
    return found


def _mixed(drawn: list[Spec], random: Random) -> Spec:
    """Every section as likely to be there as in what was drawn."""
    names = list(TrainingJobSpec.model_fields.values())
    taken = {info.alias: random.choice(drawn).get(info.alias) for info in names}
    return {str(name): section for name, section in taken.items() if section is not None}


def _with_nulls(spec: Spec, random: Random) -> Spec:
    """In a section here and there a null for an absent field, and in a map; they count as absent."""
    for info in TrainingJobSpec.model_fields.values():
        section, model = spec.get(str(info.alias)), model_in(info.annotation)
        if not isinstance(section, dict) or model is None or random.random() > 0.1:
            continue
        section |= {str(it.alias): None for it in model.model_fields.values() if it.alias not in section}
        if "nodeSelector" in section:
            section["nodeSelector"] = {"gone": None, **(section["nodeSelector"] or {})}
            section["podOverrides"] = {"spec": None, **(section["podOverrides"] or {})}
    return spec


def _with_broken_rule(spec: Spec, random: Random) -> BadSpec:
    case = random.choice(RULE_CASES)
    broken = spec_with(random.choice(case.breaks))
    return BadSpec({**spec, **copy.deepcopy(broken)}, f"spec.{case.path}", f"rule: {case.says}")


def _spoiled(spec: Spec, random: Random) -> BadSpec:
    """Every field is as likely as the next, whether it was given or not."""
    spec = copy.deepcopy(spec)
    chosen: Spoiled = random.choice(list(spoilings(TrainingJobSpec, spec, ("spec",), random)))
    chosen.apply()
    return BadSpec(spec, chosen.path, chosen.what)
