"""``rlp logs``: what a driver writes, from Ray while the head pod lives, then as the operator kept it."""

from __future__ import annotations

import argparse
import sys
import time

from rl_platform.cli.api_requests import Cluster
from rl_platform.cli.cluster_errors import InputRefused, Unreachable
from rl_platform.cli.driver_logs import DriverLogs, LogUnavailable, unseen_part
from rl_platform.cli.errors import failed, say
from rl_platform.cli.jobs import cluster_of, find_job
from rl_platform.cli.seen_job import SeenJob
from rl_platform.spec.driver_protocol import ExitCode
from rl_platform.spec.status import DriverState

LOOK_SECONDS = 2.0
REST_PER_READ, LONGEST_REST_SECONDS = 5.0, 30.0  # Ray sends all of the log: a long one is read less often


def logs(arguments: argparse.Namespace) -> int:
    """0 when there was a log to show, 1 when not. Raises ClusterError."""
    cluster = cluster_of(arguments)
    job = find_job(cluster, arguments.name)
    if arguments.follow:
        return Following(cluster, job, arguments.attempt, arguments.tail).run()
    attempt = arguments.attempt or job.attempt
    if attempt > job.attempt or attempt == 0:
        raise InputRefused(_not_yet(job, attempt))
    text, remark = _read(DriverLogs(cluster, job), attempt)
    if remark:
        say(remark)
    show(last_lines(text, arguments.tail))
    return int(ExitCode.DONE)


def last_lines(text: str, count: int | None) -> str:
    """The last ``count`` lines; all of them where it is None."""
    if count is None:
        return text
    return "".join(text.splitlines(keepends=True)[-count:]) if count else ""


def show(text: str) -> None:
    """As it is, with a line's end at the end."""
    sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")
    sys.stdout.flush()


def _not_yet(job: SeenJob, attempt: int) -> str:
    if job.attempt == 0:
        return f"{job.name} has not begun ({job.state}): there is no log yet"
    return f"{job.name} has had {job.attempt} attempts: there is no attempt {attempt}"


def _read(source: DriverLogs, attempt: int) -> tuple[str, str]:
    """The log and a remark on where it comes from. Raises LogUnavailable with both reasons."""
    try:
        return source.live(attempt), ""
    except LogUnavailable as not_live:
        try:
            kept = source.kept(attempt)
        except LogUnavailable as not_kept:
            raise LogUnavailable(f"no log of attempt {attempt}: {not_live}; {not_kept}") from not_live
        return kept, f"attempt {attempt}: the end of its log, as the operator has kept it ({not_live})"


class Following:
    """A log as it grows, through the attempts that follow, until the job ends or rests."""

    def __init__(self, cluster: Cluster, job: SeenJob, attempt: int | None, tail: int | None) -> None:
        self.cluster, self.job, self.only, self.tail = cluster, job, attempt, tail
        self.attempt = attempt or job.attempt
        self._shown = ""
        self._said = ""
        self._rest_seconds = LOOK_SECONDS

    def run(self) -> int:
        """0 at the end of the job or of the one attempt that was asked for; 1 where the job is deleted."""
        while True:
            self._rest_seconds = LOOK_SECONDS
            try:
                code = self._look()
            except Unreachable as error:
                code = None
                self._say_once(f"{error}; trying again")
            if code is not None:
                return code
            time.sleep(self._rest_seconds)

    def _look(self) -> int | None:
        """The exit code, at the end."""
        # The job before the log: what an ended driver wrote is then whole.
        try:
            self.job = find_job(self.cluster, self.job.name)
        except InputRefused:
            return failed(f"{self.job.name} was deleted")
        over = self._over()
        if self.attempt:
            self._advance(over)
        else:
            self._say_once(_not_yet(self.job, 0))
        if over and (self.only or self.job.finished or self.job.suspended):
            return int(ExitCode.DONE)
        if over and self.job.attempt > self.attempt:
            self._begin(self.job.attempt)
        return None

    def _over(self) -> bool:
        ended = self.job.text("status", "driver", "state") == DriverState.ENDED
        return self.job.attempt > self.attempt or ended or self.job.finished is not None

    def _begin(self, attempt: int) -> None:
        self.attempt, self._shown, self.tail = attempt, "", None
        say(f"attempt {attempt}")

    def _advance(self, over: bool) -> None:
        """Show what is new. A log that cannot be had live is waited for, and taken as kept at the end."""
        source = DriverLogs(self.cluster, self.job)
        began = time.monotonic()
        try:
            self._show(source.live(self.attempt))
            took = time.monotonic() - began
            self._rest_seconds = min(max(LOOK_SECONDS, REST_PER_READ * took), LONGEST_REST_SECONDS)
        except LogUnavailable as not_live:
            self._say_once(f"attempt {self.attempt}: {not_live}")
            if not over:
                return
            try:
                self._show(source.kept(self.attempt))
            except LogUnavailable as not_kept:
                self._say_once(f"attempt {self.attempt}: {not_kept}")

    def _show(self, text: str) -> None:
        new, meets = unseen_part(self._shown, text)
        if not meets:
            say("some lines between these are not kept")
        new = last_lines(new, self.tail)
        self.tail = None
        sys.stdout.write(new)
        sys.stdout.flush()
        self._shown = text

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            say(text)
