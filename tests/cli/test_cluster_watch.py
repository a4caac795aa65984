"""``rlp watch``: to the end of the job, whatever restarts in between."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rl_platform.cli.job_feed import Change, ChangeKind
from rl_platform.cli.screen import Screen
from rl_platform.cli.seen_job import SeenJob
from rl_platform.cli.watch import Watching
from tests.cli.cluster_jobs import ClusterJobs, condition, ended, meanwhile, training, with_environment
from tests.cli.commands import RLP

SECONDS = 60.0  # that anything may take on a busy machine


class Watcher:
    """``rlp watch`` as a process; what it writes is in ``text``."""

    def __init__(self, jobs: ClusterJobs, *, terminal: bool) -> None:
        command = [RLP, "watch", "cartpole", "-n", jobs.namespace]
        environment = with_environment(
            KUBECONFIG=str(jobs.kubeconfig()), TERM="xterm", COLUMNS="80", LINES="24"
        )
        self._reading, writing = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, env=environment
        )
        os.close(writing)
        self.text = ""

    def until(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + SECONDS
        while True:
            match = re.search(pattern, self.text)
            if match:
                return match
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.text!r}"
            self._read(0.2)

    def end(self) -> int:
        """Its exit code, when everything has been read."""
        deadline = time.monotonic() + SECONDS
        while self._read(0.5) or self.process.poll() is None:
            assert time.monotonic() < deadline, self.text
        return self.process.wait()

    def _read(self, seconds: float) -> bool:
        if not select.select([self._reading], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._reading, 65536)
        except OSError:  # a terminal whose other side is closed
            return False
        self.text += data.decode()
        return bool(data)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._reading)


@pytest.fixture
def watched(jobs: ClusterJobs, request: pytest.FixtureRequest) -> Iterator[Watcher]:
    """A job that trains, and who watches it; with a terminal where the test says so."""
    jobs.submit()
    jobs.report(training())
    watcher = Watcher(jobs, terminal=getattr(request, "param", False))
    yield watcher
    watcher.close()


def screen(text: str) -> list[str]:
    """What a terminal shows after this output: only what we write is understood."""
    lines, at = [""], 0
    for part in re.split(r"(\r\n|\x1b\[\d+F|\x1b\[J)", text):
        if part == "\r\n":
            at += 1
            lines += [""] if at == len(lines) else []
        elif part.endswith("F") and part.startswith("\x1b["):
            at -= int(part[2:-1])
        elif part == "\x1b[J":
            lines = [*lines[:at], ""]
        else:
            assert "\x1b" not in part
            lines[at] = part or lines[at]
    return lines


def test_a_job_that_succeeds_ends_it_with_0_and_a_line_per_change(
    jobs: ClusterJobs, watched: Watcher
) -> None:
    watched.until(
        r"Training, attempt 2 · 70,144 of 140,000 env steps \(50 %\) · return 210.2 · 12,346 steps/s"
    )
    jobs.report(training(100_000))
    watched.until(r"100,000 of 140,000 env steps \(71 %\)")
    jobs.event("CheckpointSaved", "at 100000 env steps")
    watched.until(r"CheckpointSaved: at 100000 env steps")
    jobs.report(ended("True", "EnvStepsReached", "all env steps are done"))
    assert watched.end() == 0
    assert "Succeeded (EnvStepsReached: all env steps are done)" in watched.text
    assert "\x1b" not in watched.text
    assert watched.text.count("70,144 of") == 2, "once while it trained, once at the end"


def test_a_job_that_fails_ends_it_with_1_and_its_traceback(jobs: ClusterJobs, watched: Watcher) -> None:
    watched.until("Training")
    jobs.report(ended("False", "EnvironmentFault", "reset() raised", traceback="KeyError: 'x'"))
    assert watched.end() == 1
    assert "Failed (EnvironmentFault: reset() raised)" in watched.text
    assert "KeyError: 'x'" in watched.text


def test_a_job_that_is_deleted_ends_it_with_1(jobs: ClusterJobs, watched: Watcher) -> None:
    watched.until("Training")
    jobs.request("DELETE", jobs.path())
    assert watched.end() == 1
    assert "cartpole was deleted" in watched.text


def test_a_finished_job_is_told_at_once(jobs: ClusterJobs) -> None:
    jobs.submit()
    jobs.report(ended("True", "EnvStepsReached", model={"name": "m", "version": "3", "uri": "models:/m/3"}))
    ran = jobs.rlp("watch", "cartpole")
    assert ran.code == 0
    assert "models:/m/3 (version 3)" in ran.out


def test_submitting_can_go_on_to_watch(jobs: ClusterJobs) -> None:
    with meanwhile(lambda: jobs.report(ended("False", "BadConfiguration"), "cartpole-ppo"), pause_seconds=4):
        ran = jobs.rlp("submit", str(Path("helm/examples/cartpole-ppo.yaml").resolve()), "--watch")
    assert ran.code == 1
    assert "is submitted" in ran.out
    assert "Failed (BadConfiguration)" in ran.out


def test_why_nothing_happens_is_said(jobs: ClusterJobs, watched: Watcher) -> None:
    pull = condition("ClusterReady", "False", "ImagePullFailed", "registry/x:1 cannot be pulled")
    jobs.report(training() | {"phase": "Provisioning", "conditions": [pull]})
    watched.until("Provisioning.* · ImagePullFailed: registry/x:1 cannot be pulled")
    jobs.report(training() | {"phase": "Suspended", "conditions": [condition("Suspended", "True", "Asked")]})
    watched.until("Suspended.* · it is suspended: `rlp resume` goes on")


def test_interrupting_it_leaves_the_job_alone(jobs: ClusterJobs, watched: Watcher) -> None:
    watched.until("Training")
    before = jobs.job()
    watched.process.send_signal(signal.SIGINT)
    assert watched.end() == 130
    assert "cartpole goes on without being watched" in watched.text
    assert "Traceback" not in watched.text
    assert jobs.job() == before


def test_it_survives_a_restart_of_the_api_server_and_a_compacted_history(
    jobs: ClusterJobs, watched: Watcher
) -> None:
    watched.until("70,144")
    jobs.event("CheckpointSaved", "told once")
    watched.until("told once")
    jobs.server.server.kill()
    time.sleep(3)
    jobs.server.start_server()
    jobs.report(training(90_000))
    watched.until("90,000 of 140,000")
    for steps in range(90_001, 90_005):
        jobs.report(training(steps))
    jobs.server.compact()
    jobs.server.restart_server(kill=True)
    jobs.report(training(95_000))
    watched.until("95,000 of 140,000")
    jobs.report(ended("True", "EnvStepsReached"))
    assert watched.end() == 0
    assert "was deleted" not in watched.text
    assert watched.text.count("told once") == 1


def test_a_job_deleted_and_made_anew_while_the_server_is_away_is_another_job(
    jobs: ClusterJobs, watched: Watcher
) -> None:
    """The watch ends between the two, so that only a new list can tell."""
    watched.until("Training")
    watched.process.send_signal(signal.SIGSTOP)
    jobs.request("DELETE", jobs.path())
    jobs.submit()
    jobs.server.compact()
    jobs.server.restart_server(kill=True)
    watched.process.send_signal(signal.SIGCONT)
    assert watched.end() == 1
    assert "cartpole was deleted" in watched.text


def test_a_job_made_anew_before_the_first_look_is_another_job() -> None:
    screen = Screen(io.StringIO())
    watching = Watching(SeenJob({"metadata": {"name": "cartpole", "uid": "1"}}), screen)
    assert watching.job_changed(Change(ChangeKind.PRESENT, {"metadata": {"name": "cartpole", "uid": "2"}}))
    assert not watching.job_changed(Change(ChangeKind.GONE, {"metadata": {"name": "cartpole", "uid": "2"}}))
    assert watching.job.uid == "1"


@pytest.mark.parametrize("watched", [True], indirect=True)
def test_on_a_terminal_the_block_is_redrawn_in_place(jobs: ClusterJobs, watched: Watcher) -> None:
    watched.until(r"\[#{12}\.{12}\] 70,144 of 140,000")
    jobs.report(training(140_000))
    watched.until(r"\[#{24}\] 140,000 of 140,000 env steps \(100 %\)")
    jobs.event("CheckpointSaved", "x" * 200)
    watched.until("CheckpointSaved")
    jobs.report(training() | {"phase": "Retrying", "attempt": 3})
    watched.until("cartpole: Retrying, attempt 3")
    shown = screen(watched.text)
    assert "CheckpointSaved" in shown[0], "an event stays above"
    assert [line.strip() for line in shown if "cartpole:" in line] == ["cartpole: Retrying, attempt 3"]
    jobs.report(ended("True", "EnvStepsReached"))
    assert watched.end() == 0
    left = [line for line in screen(watched.text) if line.strip()]
    assert len(left) == 4, left
    assert "Succeeded" in left[1]


@pytest.mark.parametrize("watched", [True], indirect=True)
def test_a_long_line_does_not_wrap(jobs: ClusterJobs, watched: Watcher) -> None:
    watched.until("Training")
    quota = condition("ClusterReady", "False", "QuotaExceeded", "q" * 300)
    jobs.report(training() | {"phase": "Provisioning", "conditions": [quota]})
    watched.until("QuotaExceeded")
    assert max(map(len, screen(watched.text))) < 80
