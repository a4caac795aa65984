"""`python -m rl_operator`: settings, a cluster, the operator, until SIGTERM.

Exit codes: 0 stopped as asked; 1 a fault, or the Lease was lost; 2 wrong settings; 3 no cluster, or it does
not answer; 4 the CustomResourceDefinition is not installed; 5 a right is missing; 143 a second signal.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from rl_operator.logs import Redactor, start_logging
from rl_operator.process import Operator
from rl_operator.runtime.api import Api, ApiError, Forbidden, KindMissing, Unauthorized
from rl_operator.runtime.cluster_transport import ClusterTransport, NoCluster, connect
from rl_operator.runtime.garbage import collect_seldom
from rl_operator.runtime.resources import TRAINING_JOBS
from rl_operator.settings import BadSettings, Settings, read_settings

OK, FAULT, WRONG_SETTINGS, NO_CLUSTER, NO_KIND, NO_RIGHT, SECOND_SIGNAL = 0, 1, 2, 3, 4, 5, 143
CRD_FILE: Final = "helm/rl-platform/files/trainingjobs.rlplatform.io.yaml"
FIRST_CALL_SECONDS = 10.0
SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})
SIGNAL_LOOK_SECONDS = 0.1
SWITCH_SECONDS = 0.001
"""A scrape of 10,000 jobs is long work in Python. With the usual 5 ms, an event that comes meanwhile waits
that long for the interpreter at each step of its way to a pass."""

log = logging.getLogger("rl_operator")


class CannotStart(Exception):
    """For a person: what is wrong and what to do. ``code``: the exit status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        settings = read_settings(sys.argv[1:] if arguments is None else arguments, os.environ)
        return run(settings)
    except BadSettings as error:
        return _say(WRONG_SETTINGS, error)
    except NoCluster as error:
        return _say(NO_CLUSTER, error)
    except CannotStart as error:
        return _say(error.code, error)


def run(settings: Settings) -> int:
    """Raises NoCluster and CannotStart; afterwards faults end the process."""
    collect_seldom()
    sys.setswitchinterval(SWITCH_SECONDS)
    redact = Redactor()
    redact.add(lambda: (settings.token_key.get_secret_value().decode("latin-1"),))
    start_logging(settings.log_level, settings.log_format, redact)
    transport = connect(settings.kubeconfig, settings.context)
    redact.add(transport.secrets)
    check_cluster(transport, settings)
    threading.excepthook = _thread_failed
    # Waited for instead of handled: a handler may come while another is at work and holds a lock.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        operator = Operator(settings, transport, redact, die=lambda: _die(FAULT))
    except OSError as error:
        raise CannotStart(WRONG_SETTINGS, f"--port: {settings.port} can't be had: {error.strerror}") from None
    operator.start()
    signal.sigwait(SIGNALS)
    log.info("stopping")
    with ThreadPoolExecutor(1) as executor:
        stopping = executor.submit(operator.stop)
        while not stopping.done():
            if signal.sigtimedwait(SIGNALS, SIGNAL_LOOK_SECONDS) is not None:
                _die(SECOND_SIGNAL)
        return OK if stopping.result() else FAULT


def check_cluster(transport: ClusterTransport, settings: Settings) -> None:
    """One look at what nothing works without. Raises CannotStart with the sentence that helps."""
    api = Api(transport, timeout_seconds=FIRST_CALL_SECONDS)
    try:
        for namespace in settings.namespaces or [None]:
            next(api.pages(TRAINING_JOBS, namespace, limit=1))
    except KindMissing:
        raise CannotStart(
            NO_KIND,
            f"{transport.host} knows no TrainingJobs: kubectl apply -f {CRD_FILE} (or install the chart)",
        ) from None
    except Forbidden as error:
        raise CannotStart(NO_RIGHT, f"a right is missing: {error.message}") from None
    except Unauthorized:
        raise CannotStart(
            NO_CLUSTER, f"{transport.host} does not know the credentials: they are wrong or have run out"
        ) from None
    except ApiError as error:
        raise CannotStart(NO_CLUSTER, f"{transport.host} does not answer: {error.message}") from None


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """A loop without which the operator only seems to run: Kubernetes restarts what ends."""
    kind, error, trace = failure.exc_type, failure.exc_value, failure.exc_traceback
    name = failure.thread.name if failure.thread else "?"
    log.critical("thread %s failed", name, exc_info=(kind, error or kind(), trace))
    _die(FAULT)


def _die(code: int) -> None:
    """At once: no other thread may do anything more."""
    logging.shutdown()
    os._exit(code)


def _say(code: int, error: Exception) -> int:
    for line in str(error).splitlines():
        sys.stderr.write(f"error: {line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
