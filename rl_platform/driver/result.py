"""What a run came to: `result.json`, the last line of ``rlp run --json``, and what `train` returns."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic.alias_generators import to_camel

from rl_platform.spec.driver_protocol import ExitCode

COMMIT_FILE = "git-commit.txt"  # in the package, written by the image's build
State = Literal["Succeeded", "Failed", "Drained"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Greedy episodes of a policy that no learning has seen. Returns are sums over agents."""

    episodes: int
    return_mean: float
    return_std: float
    return_min: float
    return_max: float
    length_mean: float
    seed: int


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A version in the model registry. ``alias`` is champion, challenger or none."""

    name: str
    version: str
    uri: str
    alias: str | None = None
    message: str | None = None


@dataclass(slots=True)
class Result:
    """The end of a run; totals are over all its attempts."""

    state: State
    reason: str
    message: str = ""
    env_steps: int = 0
    agent_steps: dict[str, int] = field(default_factory=dict)
    updates: int = 0
    episodes: int = 0
    wall_seconds: float = 0.0
    startup_seconds: float | None = None  # process start to the first env step, of this attempt
    env_steps_per_second: float | None = None  # training only, of this attempt
    episode_return_mean: float | None = None  # of the last 100 episodes
    evaluation: Evaluation | None = None
    checkpoint: str | None = None
    model: RegisteredModel | None = None
    seed: int = 0
    weights_digest: str | None = None  # sha256 of the published weights of all policies
    dropped: dict[str, int] = field(default_factory=dict)  # agent steps not learned from, by reason
    workers_lost: int = 0  # rollout workers that were replaced
    learner_losses: int = 0  # of a process of the learner: each led back to a checkpoint
    abandoned_agent_steps: int = 0  # of open episodes that a restart ended: learned from, but in no return
    versions: dict[str, str | None] = field(default_factory=dict)
    folder: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        """0 done, 2 bad configuration, 3 drained, 1 anything else."""
        if self.state == "Succeeded":
            return ExitCode.DONE
        if self.state == "Drained":
            return ExitCode.DRAINED
        return (
            ExitCode.BAD_CONFIGURATION if self.reason == "BadConfiguration" else ExitCode.APPLICATION_FAILURE
        )

    def to_json(self) -> dict[str, Any]:
        """The document with camelCase names; policy names and drop reasons stay as they are."""
        document = {to_camel(name): value for name, value in asdict(self).items()}
        if self.evaluation:
            document["evaluation"] = {
                to_camel(name): value for name, value in asdict(self.evaluation).items()
            }
        return document

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Result:
        """What `to_json` gave, of this version or an earlier one. Raises TypeError or KeyError for others."""
        names = {to_camel(each.name): each.name for each in fields(Result)}
        known = {names[name]: value for name, value in document.items() if name in names}
        if known.get("evaluation"):
            spelled = {to_camel(each.name): each.name for each in fields(Evaluation)}
            known["evaluation"] = Evaluation(
                **{spelled[name]: value for name, value in known["evaluation"].items()}
            )
        if known.get("model"):
            known["model"] = RegisteredModel(**known["model"])
        return Result(**known)


def weights_digest(weights: Mapping[str, np.ndarray]) -> str:
    """sha256 over name and flat float32 vector of every policy, in the order of names."""
    digest = hashlib.sha256()
    for policy in sorted(weights):
        digest.update(policy.encode() + b"\0")
        digest.update(np.ascontiguousarray(weights[policy], np.float32).tobytes())
    return digest.hexdigest()


@cache
def versions() -> dict[str, str | None]:
    """Of this package, Python, torch, and the commit of a git checkout or of what an image was built from."""

    def installed(package: str) -> str | None:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return None

    return {
        "package": installed("rl-platform"),
        "python": platform.python_version(),
        "torch": installed("torch"),
        "gitCommit": _git_commit(),
    }


def _git_commit() -> str | None:
    here = Path(__file__).resolve().parents[2]
    noted = here / "rl_platform" / COMMIT_FILE
    if noted.is_file():
        return noted.read_text().strip() or None
    if not (here / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(here), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
