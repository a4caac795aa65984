"""What is raised where a process elsewhere is gone, or fails."""

from __future__ import annotations

from typing import Any


class WorkerLost(Exception):
    """A worker is gone, and with it what it was asked for. ``at_work``: it may have worked on just that."""

    def __init__(self, message: str, at_work: bool) -> None:
        super().__init__(message)
        self.at_work = at_work


class WorkersLost(Exception):
    """All workers are lost again and again; the message says how the last one ended."""


class RemoteTraceback(Exception):
    """The text of a traceback in another process; the cause of what is raised here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def lost_errors(ray: Any) -> tuple[type[Exception], ...]:
    """What Ray raises where a process or an object is gone."""
    errors = ray.exceptions
    return (
        errors.RayActorError,
        errors.ObjectLostError,
        errors.WorkerCrashedError,
        errors.OutOfMemoryError,
    )


def first_line(error: Exception) -> str:
    """What Ray says in a line; the rest of it is about Ray."""
    return str(error).strip().partition("\n")[0]
