"""How long it takes from ``kubectl apply`` to the first env step, by what each part wrote down of itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from rl_operator.runtime.resources import CONFIG_MAPS
from rl_operator.times import read
from tests.cluster.live_cluster import Json, LiveCluster

LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) INFO rl_platform\.driver: (\w+)", re.MULTILINE)


class StartUp:
    """Watches one job; the moments are epoch seconds of the cluster's clocks."""

    def __init__(self, jobs: LiveCluster, name: str) -> None:
        self._jobs, self._name = jobs, name
        self.moments: dict[str, float] = {"applied": read(jobs.job(name)["metadata"]["creationTimestamp"])}

    def look(self, status: Json) -> None:
        """Called again and again while the job comes up."""
        for pod in self._jobs.pods(self._name):
            conditions = {it["type"]: it for it in pod["status"].get("conditions", ())}
            for moment, kind in (("scheduled", "PodScheduled"), ("head up", "Ready")):
                if conditions.get(kind, {}).get("status") == "True":
                    self.moments.setdefault(moment, read(conditions[kind]["lastTransitionTime"]))
        driver = status.get("driver", {})
        if driver.get("startTime"):
            self.moments.setdefault("submitted", read(driver["startTime"]))

    def steps(self) -> dict[str, float]:
        """Seconds since apply, in order; import and first env step are in the driver's log."""
        moments = dict(self.moments)
        for day, millis, phase in LINE.findall(self._log()):
            moment = {"preflight": "imported", "training": "first env step"}.get(phase)
            if moment is not None:
                at = datetime.strptime(day, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
                moments.setdefault(moment, at.timestamp() + int(millis) / 1000)
        order = ("scheduled", "head up", "submitted", "imported", "first env step")
        return {name: round(moments[name] - moments["applied"], 1) for name in order if name in moments}

    def _log(self) -> str:
        for name in self._jobs.children(self._name).get("ConfigMap", ()):
            if name.endswith("-logs"):
                found = self._jobs.api.get(CONFIG_MAPS, self._jobs.namespace, name)
                return str((found or {}).get("data", {}).get("attempt-1.log", ""))
        return ""
