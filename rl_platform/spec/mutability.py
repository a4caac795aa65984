"""Which fields of a spec may change once the job exists, and the CEL rules that hold the others fast.

Mutable is what reaches a running driver, or what only decides when to wait, to retry and to give up. As in a
Kubernetes Job, that includes the retry budgets. All else needs a new job: its checkpoints can be taken along
by ``checkpoint.restoreFrom``. How many pods sample may change, but not whether any do: with none the driver
samples itself, and its plan and its cluster are others.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.fields import FieldInfo

from rl_platform.spec.cel_rules import CelRule
from rl_platform.spec.fields import SpecModel
from rl_platform.spec.training_job import TrainingJobSpec

EVERY = frozenset({"*"})
MUTABLE = {
    "stop": EVERY,
    "rollouts": frozenset({"replicas", "minReplicas", "maxReplicas"}),
    "runPolicy": frozenset(
        {
            "suspend",
            "backoffLimit",
            "infrastructureRetries",
            "activeDeadlineSeconds",
            "ttlSecondsAfterFinished",
        }
    ),
}
"""By section of the spec, as a manifest spells them."""
ANOTHER_JOB = "make another TrainingJob, whose checkpoint.restoreFrom may name a checkpoint of this one"


def change_rules() -> list[CelRule]:
    """Transition rules: they hold on updates alone. A field that comes or goes has changed too."""
    rules = []
    for path, optional in immutable_fields():
        now, before = f"self.{path}", f"oldSelf.{path}"
        same = f"{now} == {before}"
        if optional:
            same = f"has({now}) == has({before}) && (!has({now}) || {same})"
        rules.append(CelRule(path, same, f"cannot be changed; {ANOTHER_JOB}"))
    return [*rules, _who_samples_rule()]


def _who_samples_rule() -> CelRule:
    now, before = "self.rollouts.replicas", "oldSelf.rollouts.replicas"
    return CelRule(
        "rollouts.replicas",
        f"({now} == 0) == ({before} == 0)",
        f"cannot go from <{before}> to <{now}>: with 0 the driver samples, with more rollout workers do, and "
        f"a job keeps to one of them; <{before} == 0 ? '0' : '1 or more'>, or {ANOTHER_JOB}",
    )


def immutable_fields() -> Iterator[tuple[str, bool]]:
    """Sections, or fields of a section, that may not change, and whether they can be absent."""
    for section, info in _fields(TrainingJobSpec):
        mutable = MUTABLE.get(section, frozenset())
        if not mutable:
            yield section, False
        elif mutable != EVERY:
            assert isinstance(info.annotation, type)
            for field, inner in _fields(info.annotation):
                if field not in mutable:
                    yield f"{section}.{field}", inner.get_default(call_default_factory=True) is None


def _fields(model: type[SpecModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, info in model.model_fields.items():
        yield info.alias or name, info
