"""MLflow's sqlite database, made beside its place and moved there: it is found whole or not at all.

MLflow makes its tables in many steps and cannot go on from the middle: a disk that fills up, or a signal,
would leave a database that nothing can be written to any more. Imports MLflow.
"""

from __future__ import annotations

import fcntl
from pathlib import Path

from rl_platform.spec.tracking_uri import sqlite_file


def make_store(tracking_uri: str) -> None:
    """Make the database unless it is there; another store is its server's affair.

    Several processes may do this at once. Raises what MLflow and sqlite raise, and OSError.
    """
    database = sqlite_file(tracking_uri)
    if database is None or database.exists():
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = database.with_name(database.name + ".lock")
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not database.exists():
            _make(tracking_uri, database)
        # Only now: whoever waits for the removed file finds the database when it is their turn.
        lock.unlink(missing_ok=True)


def _make(tracking_uri: str, database: Path) -> None:
    partial = database.with_name(database.name + ".partial")
    _remove(partial)
    try:
        _fill(tracking_uri + ".partial")
        partial.replace(database)
    finally:
        _remove(partial)


def _fill(uri: str) -> None:
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    try:
        # MLflow has no annotation for it.
        SqlAlchemyStore(uri, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)  # type: ignore[no-untyped-call]
    finally:
        # MLflow keeps connections by URI, and the next attempt would write to a file that is removed.
        engine = SqlAlchemyStore._engine_map.pop(uri, None)
        if engine is not None:
            engine.dispose()


def _remove(partial: Path) -> None:
    """With what sqlite keeps beside it, which it would apply to the next file of this name."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        partial.with_name(partial.name + suffix).unlink(missing_ok=True)
