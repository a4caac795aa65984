"""Hosts that are still wanted: a pod that has given up its workers may go once nothing of it is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from weakref import WeakSet

from rl_platform.workers.fragment import RemoteTrajectory


@dataclass(slots=True)
class Places:
    """What was asked for at each host and has not come, and what lies there until it is learned from."""

    leaving: set[str] = field(default_factory=set)  # without a worker that stays, and not free yet
    _asked: Counter[str] = field(default_factory=Counter)
    _lying: dict[str, WeakSet[RemoteTrajectory]] = field(default_factory=dict)

    def asked(self, host: str) -> None:
        self._asked[host] += 1

    def received(self, host: str, staying: Iterable[RemoteTrajectory] = ()) -> None:
        """An answer, or that there will be none. ``staying``: of which the data stays where it is."""
        self._asked[host] -= 1
        if not self._asked[host]:
            del self._asked[host]
        for each in staying:
            self._lying.setdefault(host, WeakSet()).add(each)

    def wanted(self, present: Set[str]) -> list[str]:
        """Hosts of the workers that are ``present``, and those of workers that were let go as long as
        something is awaited from there.
        """
        self.leaving = {host for host in self.leaving - present if self._asked[host] or self._lying.get(host)}
        self._lying = {host: those for host, those in self._lying.items() if those}
        return sorted(present | self.leaving)
