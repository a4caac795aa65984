"""The garbage collector: what belongs to objects that are gone is deleted, a while later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.simulation.api_model import ApiModel

DELAY_SECONDS = 0.7


@dataclass
class Collector:
    """`step` does what is due."""

    model: ApiModel
    _seen: int = 0
    _at: float | None = None

    def due(self) -> float | None:
        if self._at is None and self._changed():
            return self.model.now() + DELAY_SECONDS
        return self._at

    def step(self) -> None:
        now = self.model.now()
        if self._at is None and self._changed():
            self._at = now + DELAY_SECONDS
        if self._at is not None and self._at <= now:
            self._at = None
            self._seen = self.model.store.version
            self._collect()

    def _changed(self) -> bool:
        """Something has lost its owner, or was made without one that exists."""
        return self.model.store.come_or_gone > self._seen

    def _collect(self) -> None:
        alive = {uid for uid, _ in self._objects()}
        for resource, objects in list(self.model.store.objects.items()):
            for name, stored in list(objects.items()):
                owners = stored.document["metadata"].get("ownerReferences")
                if owners and not any(owner["uid"] in alive for owner in owners):
                    if "deletionTimestamp" in stored.document["metadata"]:
                        continue
                    self.model.end(self.model.kinds[resource], name, stored, {})

    def _objects(self) -> list[tuple[str, Any]]:
        return [
            (stored.document["metadata"].get("uid", ""), stored)
            for objects in self.model.store.objects.values()
            for stored in objects.values()
        ]
