"""A run that a person stops with Ctrl-Z and goes on with later."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

SCRIPT = """
import faulthandler, time
from rl_platform.driver.drain import Drain
with Drain().on_signals():
    faulthandler.dump_traceback_later(1.5, exit=True)
    print("up", flush=True)
    time.sleep(2.5)
"""


def test_the_time_that_it_stands_still_is_no_hang_of_its_environment() -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTSTP)
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=10) == 0
