"""``rlp plan``: the execution plan of a job, printed. The environment is made once to learn its spaces."""

from __future__ import annotations

from collections.abc import Sequence

from rl_platform.cli.errors import Refused, failed, leave, load_job
from rl_platform.driver.building import BadConfiguration, assemble
from rl_platform.driver.preflight import preflight
from rl_platform.envs.adapter import EnvironmentFault
from rl_platform.envs.watchdog import Watchdog
from rl_platform.spec.driver_protocol import ExitCode


def plan(path: str, overrides: Sequence[str]) -> int:
    try:
        job = load_job(path, overrides)
        watchdog = Watchdog(job.spec.environment.step_timeout_seconds, leave)
        preflight(job, watchdog)
        assembly = assemble(job, watchdog)
    except Refused:
        return int(ExitCode.BAD_CONFIGURATION)
    except BadConfiguration as error:
        return failed(str(error), ExitCode.BAD_CONFIGURATION, error)
    except EnvironmentFault as error:
        return failed(str(error), cause=error)
    try:
        print(assembly.plan.describe())
    finally:
        assembly.close()
    return int(ExitCode.DONE)
