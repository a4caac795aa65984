"""The series of single jobs, written line by line from the job cache: 10,000 jobs are never held as samples.

At most 40 series a job: `trainingjob_info`, one for each condition it has, and four figures. A series
vanishes with its job, and one of a condition when its status changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rl_operator.job_facts import JobFacts
from rl_operator.runtime.cache import Cache, Indexed

Sample = tuple[str, float]
"""Labels after namespace and name, as text that begins with a comma; and the value."""


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    text: str
    samples: Callable[[Indexed, JobFacts], Iterable[Sample]]


def _info(job: Indexed, facts: JobFacts) -> Iterable[Sample]:
    labels = (("uid", job.uid), ("algorithm", facts.algorithm), ("queue", facts.queue))
    yield _labels(*labels), 1.0


def _conditions(job: Indexed, facts: JobFacts) -> Iterable[Sample]:
    for kind, status in facts.conditions:
        yield _labels(("condition", kind), ("status", status)), 1.0


def _figure(field: str) -> Callable[[Indexed, JobFacts], Iterable[Sample]]:
    def samples(job: Indexed, facts: JobFacts) -> Iterable[Sample]:
        value = getattr(facts, field)
        if value is not None:
            yield "", value

    return samples


FAMILIES = (
    _Family("trainingjob_info", "1 for each job.", _info),
    _Family("trainingjob_status_condition", "1 for the status that a condition has.", _conditions),
    _Family("trainingjob_last_env_steps", "Env steps, over all attempts.", _figure("env_steps")),
    _Family(
        "trainingjob_last_episode_return_mean",
        "Mean return of the last 100 episodes.",
        _figure("episode_return_mean"),
    ),
    _Family(
        "trainingjob_last_env_steps_per_second",
        "Env steps a second, lately.",
        _figure("env_steps_per_second"),
    ),
    _Family(
        "trainingjob_last_checkpoint_env_steps",
        "Env steps of the newest checkpoint.",
        _figure("checkpoint_env_steps"),
    ),
)


def job_series(jobs: Cache) -> Iterator[str]:
    """Lines of Prometheus' text format, each with its line break."""
    known = jobs.indexed()
    for family in FAMILIES:
        yield f"# HELP {family.name} {family.text}\n# TYPE {family.name} gauge\n"
        for job in known:
            if not isinstance(job.facts, JobFacts):
                continue
            of = _labels(("namespace", job.key[0]), ("name", job.key[1]))[1:]
            for labels, value in family.samples(job, job.facts):
                yield f"{family.name}{{{of}{labels}}} {value!r}\n"


def _labels(*pairs: tuple[str, str]) -> str:
    return "".join(f',{name}="{_escaped(value)}"' for name, value in pairs)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
