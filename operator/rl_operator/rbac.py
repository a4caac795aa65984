"""Least privilege: what the modules that call the API server declare, as one Role or ClusterRole.

A module states the rules beside the calls that need them, in ``RULES``. Nothing is granted that no module
declares; a test compares what was used with what is declared, both ways.
"""

from __future__ import annotations

from dataclasses import dataclass

from rl_operator.runtime.resources import Resource


@dataclass(frozen=True, slots=True)
class Rule:
    """``verbs`` as RBAC names them. ``names``: these objects. ``own``: in the operator's namespace only."""

    resource: Resource
    verbs: tuple[str, ...]
    subresource: str = ""
    names: tuple[str, ...] = ()
    own: bool = False

    def __post_init__(self) -> None:
        if "*" in self.verbs or not self.verbs:
            raise ValueError(f"{self.resource.plural}: name the verbs")
        if self.names and {"create", "list", "watch"} & set(self.verbs):
            raise ValueError(f"{self.resource.plural}: RBAC can't bind create, list or watch to names")

    @property
    def target(self) -> str:
        return self.resource.plural + (f"/{self.subresource}" if self.subresource else "")
