"""``python -m rl_platform.driver``: run the job that a mounted file describes. Exit codes:
`spec.driver_protocol`.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from rl_platform.data.shortened import TRACEBACK_CHARACTERS, shortened
from rl_platform.spec.digest import spec_digest
from rl_platform.spec.driver_protocol import (
    HEAD_UID_ENV,
    JOB_FILE_ENV,
    OUTPUT_ENV,
    POD_UID_ENV,
    SPEC_DIGEST_ENV,
    ExitCode,
)
from rl_platform.spec.hiding import hide
from rl_platform.spec.manifest import ManifestError, load_manifest
from rl_platform.workers.matrix_kernels import choose_matrix_kernels


class _Lines(logging.Formatter):
    """Whoever may read a pod's log may not read its Secrets, and messages name stores by their URIs."""

    def format(self, record: logging.LogRecord) -> str:
        return hide(super().format(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - as logging calls it
        return shortened(super().formatException(ei), TRACEBACK_CHARACTERS)


def main() -> int:
    shown = logging.StreamHandler()
    shown.setFormatter(_Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[shown])
    log = logging.getLogger("rl_platform.driver")
    meant, here = os.environ.get(HEAD_UID_ENV), os.environ.get(POD_UID_ENV)
    if meant and here and meant != here:
        log.error("this driver was sent to the head pod with uid %s, and this is %s: it leaves", meant, here)
        return int(ExitCode.DRAINED)
    path = os.environ.get(JOB_FILE_ENV)
    if not path:
        log.error("%s is not set: it names the file of the TrainingJob", JOB_FILE_ENV)
        return int(ExitCode.BAD_CONFIGURATION)
    choose_matrix_kernels(os.environ)
    try:
        job = load_manifest(path)
    except ManifestError as error:
        log.error("%s", error)
        return int(ExitCode.BAD_CONFIGURATION)
    if os.environ.get(SPEC_DIGEST_ENV, digest := spec_digest(job.spec)) != digest:
        text = "%s is not what this cluster was made for: somebody else has made its ConfigMap; delete that"
        log.error(text, path)
        return int(ExitCode.BAD_CONFIGURATION)
    from rl_platform.driver.run_folder import RunFolderError
    from rl_platform.driver.settled import settled
    from rl_platform.driver.train import TrainingFailed, train

    try:
        on_phase = settled(lambda phase: log.info("%s", phase))
        result = train(job, os.environ.get(OUTPUT_ENV), taking="resume", on_phase=on_phase)
    except RunFolderError as error:
        log.error("%s", error)
        return int(ExitCode.APPLICATION_FAILURE)
    except TrainingFailed as failure:
        log.error("%s", failure, exc_info=failure.__cause__)
        result = failure.result
    if result.message and result.state != "Failed":
        log.warning("%s", result.message)
    log.info("%s: %s after %d env steps", result.state, result.reason, result.env_steps)
    return int(result.exit_code)


if __name__ == "__main__":
    sys.exit(main())
