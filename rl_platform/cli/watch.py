"""``rlp watch``: a job's progress and events until its end, whatever restarts meanwhile."""

from __future__ import annotations

import argparse
import queue
from datetime import UTC, datetime

from rl_platform.cli.api_requests import Cluster
from rl_platform.cli.errors import failed, say
from rl_platform.cli.job_events import about, events_path, seen_event
from rl_platform.cli.job_feed import Change, ChangeKind, Feed, feed_into
from rl_platform.cli.job_progress import ending, progress_block, progress_line
from rl_platform.cli.jobs import cluster_of, find_job, jobs_path
from rl_platform.cli.screen import Screen
from rl_platform.cli.seen_job import SeenJob
from rl_platform.spec.conditions import Phase
from rl_platform.spec.driver_protocol import ExitCode

TICK_SECONDS = 1.0  # what depends on the clock is looked at again
JOB, EVENTS = "job", "events"


def watch(arguments: argparse.Namespace) -> int:
    """0 when it succeeds, 1 when it fails or is deleted. Raises ClusterError."""
    return watch_job(cluster_of(arguments), arguments.name)


def watch_job(cluster: Cluster, name: str) -> int:
    """As `watch`, in the cluster's namespace. Ctrl-C ends the watching and nothing else."""
    watching = Watching(find_job(cluster, name), Screen())
    try:
        return watching.run(cluster)
    except KeyboardInterrupt:
        watching.screen.close()
        hint = cluster.hint("suspend", name)
        say(f"{name} goes on without being watched; {hint} stops it with a checkpoint")
        raise


class Watching:
    """One job on a screen."""

    def __init__(self, job: SeenJob, screen: Screen) -> None:
        self.job, self.screen = job, screen
        self._told: dict[str, int] = {}  # event's uid → its count
        self._began = datetime.now(UTC)

    def run(self, cluster: Cluster) -> int:
        """The exit code of the end. Raises ClusterError where the API server goes on to refuse."""
        changes: queue.SimpleQueue[tuple[str, Change]] = queue.SimpleQueue()
        of_job = (("fieldSelector", f"metadata.name={self.job.name}"),)
        feed_into(changes, JOB, Feed(cluster, jobs_path(self.job.namespace), of_job))
        feed_into(changes, EVENTS, Feed(cluster, events_path(self.job.namespace), about(self.job)))
        while True:
            code = self._end()
            if code is not None:
                return code
            now = datetime.now(UTC)
            self.screen.show(progress_block(self.job, now), progress_line(self.job, now), now)
            try:
                source, change = changes.get(timeout=TICK_SECONDS)
            except queue.Empty:
                continue
            if source == JOB:
                gone = self.job_changed(change)
                if gone:
                    self.screen.close()
                    return failed(f"{self.job.name} was deleted")
            else:
                self._event_changed(change)

    def job_changed(self, change: Change) -> bool:
        """Whether it is gone."""
        if change.kind is ChangeKind.BROKEN and change.error:
            self.screen.close()
            raise change.error
        if change.kind in (ChangeKind.TROUBLE, ChangeKind.BACK):
            text = f"{change.error}; trying again" if change.error else "the API server answers again"
            self.screen.add(text, datetime.now(UTC))
            return False
        seen = SeenJob(change.document)
        if seen.uid != self.job.uid:  # the next one of the same name
            return change.kind is ChangeKind.PRESENT
        self.job = seen
        return change.kind is ChangeKind.GONE

    def _event_changed(self, change: Change) -> None:
        """Tell what is new. That events may not be read is no reason to stop watching."""
        if change.kind is ChangeKind.BROKEN:
            self.screen.add(f"events are not shown: {change.error}", datetime.now(UTC))
        if change.kind is not ChangeKind.PRESENT:
            return
        event = seen_event(change.document)
        if self._told.get(event.uid) == event.count:
            return
        self._told[event.uid] = event.count
        if event.moment >= self._began:
            self.screen.add(str(event), event.moment)

    def _end(self) -> int | None:
        if self.job.finished is None:
            return None
        self.screen.close(ending(self.job))
        done = self.job.finished is Phase.SUCCEEDED
        return int(ExitCode.DONE if done else ExitCode.APPLICATION_FAILURE)
