"""Where an attempt's log is: with Ray on the head pod while that lives, then in the operator's ConfigMap.

The names are the spec's, and KubeRay's.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from rl_platform.cli.api_requests import Cluster
from rl_platform.cli.cluster_errors import ApiRefusal, ClusterError, Forbidden, NotFound
from rl_platform.cli.seen_job import SeenJob
from rl_platform.cli.seen_object import SeenObject
from rl_platform.spec.child_names import (
    DASHBOARD_PORT,
    JOB_LABEL,
    TOKEN_KEY,
    child_name,
    log_key,
    logs_name,
    submission_id,
)

HEAD_SELECTOR = JOB_LABEL + "={},ray.io/node-type=head"
TOKEN_HEADER = "x-ray-authorization"  # the API server keeps Authorization to itself
LEAST_OVERLAP = 8  # characters that do not meet by chance, as a line's end does
OVERLAP = 4096  # characters by which the end of what was shown is found again


class LogUnavailable(ClusterError):
    """Why there is nothing to show from one of the two places."""


@dataclass(frozen=True, slots=True)
class DriverLogs:
    """The logs of one job's drivers."""

    cluster: Cluster
    job: SeenJob

    def live(self, attempt: int) -> str:
        """All that the driver of this attempt has written so far. Raises LogUnavailable, Unreachable."""
        token = self._token()
        pod = self._head()
        submission = submission_id(self.job.uid, attempt)
        path = self._path("pods", f"{pod}:{DASHBOARD_PORT}", f"/proxy/api/jobs/{submission}/logs")
        try:
            document = self.cluster.get(path, headers={TOKEN_HEADER: f"Bearer {token}"})
        except ApiRefusal as error:
            if error.status in (401, 403) and not error.by_server:
                raise LogUnavailable("Ray does not accept the job's token") from error
            if error.status == 404 and not error.by_server:
                raise LogUnavailable(f"Ray on the head pod knows no attempt {attempt}") from error
            raise LogUnavailable(f"Ray on the head pod cannot be asked: {error}") from error
        return str(document.get("logs") or "")

    def kept(self, attempt: int) -> str:
        """The end of an ended attempt's log. Raises LogUnavailable, Unreachable."""
        logs = self._kept_logs()
        if log_key(attempt) not in logs:
            numbers = sorted(int(key[len("attempt-") : -len(".log")]) for key in logs if key == _key_of(key))
            there_are = (
                f"there are those of attempts {', '.join(map(str, numbers))}" if numbers else "none is"
            )
            raise LogUnavailable(f"the log of attempt {attempt} is not kept: {there_are}")
        return logs[log_key(attempt)]

    def _kept_logs(self) -> dict[str, str]:
        path = self._path("configmaps", logs_name(self.job.name, self.job.uid))
        try:
            data = self.cluster.get(path).get("data") or {}
        except NotFound:
            return {}
        except Forbidden as error:
            raise LogUnavailable(f"kept logs cannot be read: {error}") from error
        return {str(key): str(value) for key, value in data.items()}

    def _token(self) -> str:
        try:
            secret = self.cluster.get(self._path("secrets", child_name(self.job.name, self.job.uid)))
        except Forbidden as error:
            raise LogUnavailable(f"the job's token cannot be read: {error}") from error
        except NotFound as error:
            raise LogUnavailable("the job has no cluster") from error
        return base64.b64decode((secret.get("data") or {}).get(TOKEN_KEY, "")).decode().strip()

    def _head(self) -> str:
        """Name of the running head pod."""
        query = (("labelSelector", HEAD_SELECTOR.format(self.job.name)),)
        try:
            pods, _ = self.cluster.items(self._path("pods"), query)
        except Forbidden as error:
            raise LogUnavailable(f"pods cannot be listed: {error}") from error
        own = child_name(self.job.name, self.job.uid)
        for pod in map(SeenObject, pods):
            labelled = pod.text("metadata", "labels", "ray.io/cluster") or own
            if labelled == own and pod.text("status", "phase") == "Running" and not pod.deleting:
                return pod.name
        raise LogUnavailable("the head pod does not run" if pods else "there is no head pod")

    def _path(self, plural: str, name: str = "", subresource: str = "") -> str:
        return f"/api/v1/namespaces/{self.job.namespace}/{plural}{f'/{name}' if name else ''}{subresource}"


def _key_of(key: str) -> str:
    """The key itself where it is one of an attempt's log."""
    number = key.removeprefix("attempt-").removesuffix(".log")
    return log_key(int(number)) if number.isdecimal() else ""


def unseen_part(shown: str, kept: str) -> tuple[str, bool]:
    """What to show of ``kept``, the end of a log that begins with ``shown``, which has been shown already.

    And whether the two meet: if not, something between them is lost.
    """
    if kept.startswith(shown):
        return kept[len(shown) :], True
    end = shown[-OVERLAP:]
    at = kept.rfind(end)
    if at >= 0:
        return kept[at + len(end) :], True
    # The kept end may begin in the middle of what was shown.
    for overlap in range(min(len(end), len(kept)), LEAST_OVERLAP - 1, -1):
        if end.endswith(kept[:overlap]):
            return kept[overlap:], True
    return kept, False
