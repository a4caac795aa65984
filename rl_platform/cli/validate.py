"""``rlp validate``: every problem of every file, with its line."""

from __future__ import annotations

from collections.abc import Sequence

from rl_platform.cli.errors import say
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.spec.manifest import ManifestError, load_manifests


def validate(paths: Sequence[str]) -> int:
    """Exit code 2 where any file has a problem."""
    wrong = False
    for path in paths:
        try:
            for job in load_manifests(path):
                name, _ = job.spec.algorithm.selected
                environment = job.spec.environment.id or job.spec.environment.entrypoint or "external"
                print(f"{path}: {job.metadata.name} is valid ({name} on {environment})")
        except ManifestError as error:
            wrong = True
            say(str(error))
    return int(ExitCode.BAD_CONFIGURATION if wrong else ExitCode.DONE)
