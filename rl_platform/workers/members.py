"""Who belongs to a group of rollout workers: they are made, greeted, replaced where lost, more or fewer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rl_platform.workers.losses import LearnerLost
from rl_platform.workers.remote_worker import Broken
from rl_platform.workers.replacement import Record, refuse_hopeless
from rl_platform.workers.worker_losses import first_line, lost_errors

log = logging.getLogger(__name__)

Ref = Any
WARN_SECONDS = 60.0
GROUP_SECONDS = 300.0
"""How long the first request waits for the last workers, once one is there."""


@dataclass(slots=True)
class Member:
    """One worker over all its replacements."""

    number: int
    actor: Any = None
    sequence: int = 0  # of the fragment that comes next
    known: dict[str, int] = field(default_factory=dict)  # policy → version sent last
    record: Record = field(default_factory=Record)
    hello: Ref | None = None  # its first answer, while that is awaited
    host: str = ""  # where it is, once it has answered
    warned: bool = False
    end: str = ""  # how it was lost


class Members:
    """``count`` workers, none of them made before `start`.

    ``together``: they learn as one, so none is replaced without the others: LearnerLost is raised instead.
    """

    ray: Any  # the module
    make_actor: Callable[[Member], Any]
    needs: str

    def __init__(self, count: int) -> None:
        self.by_number = {number: Member(number) for number in range(count)}
        self.together = False
        self._gathered = False  # all have been there, or were waited for long enough
        self._losses = 0

    def start(self, ray: Any, make_actor: Callable[[Member], Any], needs: str) -> None:
        """``make_actor`` starts the process of one; ``needs`` says what of the cluster it takes."""
        self.ray, self.make_actor, self.needs = ray, make_actor, needs
        self.revive()

    def present(self) -> list[Member]:
        """Those that have a process, in order."""
        return [member for _, member in sorted(self.by_number.items()) if member.actor is not None]

    def ready(self) -> list[int]:
        """Numbers of those that are up, in order, once the group has gathered."""
        up = [member.number for member in self.present() if member.host]
        if not self._gathered:
            late = [it for it in self.by_number.values() if not it.host and not it.record.failures]
            oldest = min([it.record.made for it in late], default=0.0)
            self._gathered = not late or (bool(up) and time.monotonic() - oldest > GROUP_SECONDS)
        return up if self._gathered else []

    def gather_anew(self) -> None:
        """Wait for all again."""
        self._gathered = False

    def revive(self) -> None:
        """Make those that are not there, once their time has come, and see who has come up.

        Raises as `failed` does, and LearnerLost.
        """
        for member in self.by_number.values():
            if member.actor is None and time.monotonic() >= member.record.due:
                if self.together and member.record.failures:
                    raise LearnerLost(f"rollout worker {member.number} was lost, which learns: {member.end}")
                self.make(member)
        awaited = {member.hello: member for member in self.by_number.values() if member.hello is not None}
        if awaited:
            there, _ = self.ray.wait(list(awaited), num_returns=len(awaited), timeout=0, fetch_local=False)
            for hello in there:
                self._greeted(awaited[hello])

    def make(self, member: Member) -> None:
        """Start its process, which goes on at its present sequence number."""
        member.actor = self.make_actor(member)
        member.hello, member.known, member.host = member.actor.hello.remote(), {}, ""
        member.record.made, member.warned = time.monotonic(), False

    def renew(self) -> None:
        """Make all anew, whatever they are doing."""
        self.gather_anew()
        for member in self.by_number.values():
            self.kill(member)
            self.make(member)

    def begin_anew(self, member: Member) -> None:
        """New episodes, in a new process where that may be."""
        if self.together:
            member.actor.begin.remote(member.sequence)
        else:
            self.kill(member)
            self.make(member)

    def failed(self, member: Member, how: str, broken: Broken | None) -> str:
        """Note a loss; what is to be said of it. Raises as `refuse_hopeless` does."""
        self.kill(member)
        self._losses += 1
        delay, member.end = member.record.lost(time.monotonic()), how
        if not self.together:
            refuse_hopeless(how, broken, self.by_number.values())
        elif broken is not None:  # one that cannot be made holds up all
            refuse_hopeless(how, broken, [member], 2)
        again = f"again in {delay:.0f} s" if delay else "at once"
        return f"rollout worker {member.number} is replaced {again}: {how}"

    def kill(self, member: Member) -> None:
        """End its process at once."""
        if member.actor is not None:
            self.ray.kill(member.actor)
            member.actor, member.hello, member.host = None, None, ""

    def losses(self) -> int:
        """How many were lost since it was asked last."""
        lost, self._losses = self._losses, 0
        return lost

    def close(self) -> None:
        """End all at once."""
        for member in self.present():
            self.kill(member)
        self.by_number.clear()

    def resize(self, count: int) -> list[Member]:
        """Make more, or let some go once they have finished what they were asked for: first those that never
        answered, then all of a host together, that of the highest number first. Returns whom it lets go.
        """
        everyone = [member for _, member in sorted(self.by_number.items())]
        highest = {each.host: each.number for each in everyone}
        order = sorted(everyone, key=lambda each: (bool(each.host), -highest[each.host], -each.number))
        leaving = order[: max(0, len(order) - count)]
        for member in leaving:
            # Without a handle to it an actor ends when its last call is finished.
            del self.by_number[member.number]
        free = (number for number in range(count) if number not in self.by_number)
        for number in list(islice(free, count - len(self.by_number))):
            self.by_number[number] = Member(number)
        self.revive()
        return leaving

    def wait(self, refs: list[Ref], seconds: float) -> Ref | None:
        """The first of ``refs`` that is ready; None after so many seconds, and when a worker has come up or
        may be made again.
        """
        now = time.monotonic()
        due = [member.record.due - now for member in self.by_number.values() if member.actor is None]
        limit = max(0.05, min([seconds, *due]))
        hellos = [member.hello for member in self.by_number.values() if member.hello is not None]
        if not refs and not hellos:
            time.sleep(limit)
            return None
        ready, _ = self.ray.wait([*refs, *hellos], num_returns=1, timeout=limit, fetch_local=False)
        if not ready:
            self._warn_of_waiting()
        return ready[0] if ready and ready[0] not in hellos else None

    def _greeted(self, member: Member) -> None:
        """Take the first answer of a worker: where it is, or why it cannot be made."""
        hello, member.hello = member.hello, None
        try:
            answer = self.ray.get(hello)
        except lost_errors(self.ray) as error:
            log.warning("%s", self.failed(member, first_line(error), None))
            return
        if isinstance(answer, Broken):
            log.warning("%s", self.failed(member, answer.message, answer))
        else:
            member.host = answer

    def _warn_of_waiting(self) -> None:
        """Once for each worker that does not come up."""
        text = "rollout worker %d is not up after %.0f s: has the cluster room for it (%s)?"
        for member in self.present():
            waited = time.monotonic() - member.record.made
            if not member.host and not member.warned and waited > WARN_SECONDS:
                member.warned = True
                log.warning(text, member.number, WARN_SECONDS, self.needs)
