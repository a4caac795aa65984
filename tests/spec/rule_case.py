"""A rule between fields, with specs that keep it and specs that break it."""

from __future__ import annotations

from typing import Any, NamedTuple

Spec = dict[str, Any]

SMALL: Spec = {
    "environment": {"id": "CartPole-v1"},
    "algorithm": {"ppo": {}},
    "stop": {"envSteps": 100_000},
}


class RuleCase(NamedTuple):
    """``keeps`` and ``breaks``: sections that replace those of `SMALL`. ``says``: a part of the message."""

    path: str
    says: str
    keeps: list[Spec]
    breaks: list[Spec]


def spec_with(sections: Spec) -> Spec:
    return {**SMALL, **sections}
