"""``rlp flush``: send MLflow what it did not take while a run was going on."""

from __future__ import annotations

from pathlib import Path

from rl_platform.cli.errors import failed
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.tracking.mlflow_tracker import TrackingError
from rl_platform.tracking.mlflow_tracker import flush as send


def flush(folder: str) -> int:
    try:
        send(Path(folder))
    except TrackingError as error:
        return failed(str(error))
    print(f"MLflow has all of {folder}")
    return int(ExitCode.DONE)
