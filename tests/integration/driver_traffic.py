"""What passes the process of the driver by value, counted where Ray serializes, sends and inlines it."""

from __future__ import annotations

import inspect
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from ray._private.serialization import SerializationContext
from ray.actor import ActorHandle
from ray.experimental import get_local_object_locations


@dataclass
class Traffic:
    """``by_value``: bytes that this process has got or sent, by what they were. ``sampled``: bytes of
    fragments' trajectories, wherever they lie.

    An argument or a `ray.put` is seen where it is serialized. A result is counted where Ray keeps it in this
    process, read or not; what lies in an object store, where it is read. A reference as an argument is what
    it refers to, where Ray sends that along.
    """

    by_value: Counter[str] = field(default_factory=Counter)
    sampled: int = 0
    fragments: int = 0
    counting: bool = False
    _calling: str = "put"
    _names: dict[Any, str] = field(default_factory=dict)  # what a reference is the result of
    _passed: list[tuple[str, Any]] = field(default_factory=list)  # references that were arguments

    @property
    def share(self) -> float:
        return sum(self.by_value.values()) / self.sampled

    def begin(self) -> None:
        self._names.clear()
        self._passed.clear()
        self.counting = True

    def end(self) -> None:
        self.account()
        self.counting = False

    def account(self) -> None:
        """Look at what has come. References are held until then: call it before memory is full."""
        refs = [*self._names, *(ref for _, ref in self._passed)]
        there = {ref for ref, it in get_local_object_locations(refs).items() if it["object_size"]}
        time.sleep(0.02)  # Ray learns where something lies a moment after it learns its size
        found = get_local_object_locations(list(there))
        for name, ref in self._passed:
            if ref in found and not found[ref]["node_ids"]:
                self.by_value[f"{name}("] += found[ref]["object_size"]
        self._passed = [each for each in self._passed if each[1] not in found]
        for ref, name in [each for each in self._names.items() if each[0] in found]:
            size = found[ref]["object_size"]
            if not found[ref]["node_ids"]:
                self.by_value[f"{name})"] += size
            if name == "sample[1]":
                self.sampled += size
                self.fragments += 1
            del self._names[ref]

    def hook(self, monkeypatch: pytest.MonkeyPatch) -> Traffic:
        serialize, deserialize = SerializationContext.serialize, SerializationContext.deserialize_objects
        call = ActorHandle._actor_method_call

        def counted_serialize(context: Any, value: Any) -> Any:
            serialized = serialize(context, value)
            if self.counting:
                self.by_value[f"{self._calling}("] += serialized.total_bytes
            return serialized

        def counted_deserialize(context: Any, objects: Any, refs: Any, *others: Any) -> Any:
            if self.counting:
                places = get_local_object_locations(list(refs))
                for (data, _, _), ref in zip(objects, refs, strict=True):
                    if data is not None and places.get(ref, {}).get("node_ids"):
                        self.by_value["get"] += memoryview(data).nbytes
            return deserialize(context, objects, refs, *others)

        def counted_call(actor: Any, /, *given: Any, **named: Any) -> Any:
            asked = inspect.signature(call).bind(actor, *given, **named).arguments
            name, args = asked["method_name"], asked.get("args") or ()
            self._calling = name
            try:
                results = call(actor, *given, **named)
            finally:
                self._calling = "put"
            if self.counting:
                listed = results if isinstance(results, list) else [results]
                self._names |= {ref: f"{name}[{position}]" for position, ref in enumerate(listed)}
                self._passed += [(name, each) for each in args if hasattr(each, "is_nil")]
            return results

        monkeypatch.setattr(SerializationContext, "serialize", counted_serialize)
        monkeypatch.setattr(SerializationContext, "deserialize_objects", counted_deserialize)
        monkeypatch.setattr(ActorHandle, "_actor_method_call", counted_call)
        return self

    def between(self, first: int, last: int) -> Callable[[Any], None]:
        """For reports: counts from one to another, without what comes before and after."""
        number = 0

        def heard(report: Any) -> None:
            del report
            nonlocal number
            number += 1
            if number == first:
                self.begin()
            elif first < number < last:
                self.account()
            elif number == last:
                self.end()

        return heard

    def told(self) -> str:
        top = ", ".join(f"{name} {size / self.sampled:.2%}" for name, size in self.by_value.most_common(8))
        each = self.sampled / max(1, self.fragments)
        return f"{self.share:.2%} beside {self.fragments} fragments of {each / 1024:.1f} KiB: {top}"
