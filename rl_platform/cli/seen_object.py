"""An object as the API server has it, read with care: any field may be absent or of another type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rl_platform.cli.amounts import plain


@dataclass(frozen=True, slots=True)
class SeenObject:
    """``document``: what the API server answered."""

    document: Mapping[str, Any]

    def at(self, *path: str) -> Any:
        """The value of a field; None where it, or what it is in, is absent."""
        value: Any = self.document
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def number(self, *path: str) -> float | None:
        value = self.at(*path)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def text(self, *path: str) -> str:
        """Fit for a terminal; empty where it is absent."""
        value = self.at(*path)
        return "" if value is None else plain(value)

    @property
    def name(self) -> str:
        return self.text("metadata", "name")

    @property
    def namespace(self) -> str:
        return self.text("metadata", "namespace")

    @property
    def uid(self) -> str:
        return self.text("metadata", "uid")

    @property
    def deleting(self) -> bool:
        return self.at("metadata", "deletionTimestamp") is not None
