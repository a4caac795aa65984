"""What rollout workers know, for checkpoints: asked of all of them, and put back into any number."""

from __future__ import annotations

import logging
from typing import Any

from rl_platform.data.tree import Tree
from rl_platform.workers.members import Members
from rl_platform.workers.worker_losses import first_line

log = logging.getLogger(__name__)


def states_of(members: Members) -> list[tuple[dict[str, Any], Tree]]:
    """Lanes and environments of each worker, by number; of one that is not there, only its sequence
    number.
    """
    asked = {member.number: member.actor.snapshot.remote() for member in members.present() if member.host}
    found: list[tuple[dict[str, Any], Tree]] = []
    for number in range(max(members.by_number, default=-1) + 1):
        state = None
        if number in asked:
            try:
                state = members.ray.get(asked[number])
            except members.ray.exceptions.RayError as error:
                log.warning("rollout worker %d gives no state: %s", number, first_line(error))
        sequence = members.by_number[number].sequence if number in members.by_number else 0
        found.append(state or ({"lost": True, "sequence": sequence}, {}))
    return found


def restore_states(members: Members, states: list[tuple[dict[str, Any], Tree]]) -> None:
    """Go on from a snapshot of any number of workers; those without a state begin new episodes."""
    members.gather_anew()
    for number, member in members.by_number.items():
        document, arrays = states[number] if number < len(states) else ({"lost": True, "sequence": 0}, {})
        member.sequence = document["sequence"]
        if document.get("lost") or member.actor is None:
            members.begin_anew(member)
        if not document.get("lost"):
            member.actor.restore.remote(document, arrays)
