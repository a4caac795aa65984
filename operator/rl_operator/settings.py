"""How this operator runs: one model, filled from flags, then ``RLP_OPERATOR_*`` variables, then defaults."""

from __future__ import annotations

import argparse
import hmac
import os
import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretBytes,
    ValidationError,
)

from rl_platform.spec import patterns

ENVIRONMENT_PREFIX = "RLP_OPERATOR_"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
KEY_BYTES = 32
SHORTEST_KEY_BYTES = 16

Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]
Port = Annotated[int, Field(ge=0, le=65535)]


class BadSettings(Exception):
    """A flag, a variable or the key file is wrong. The message has a line for each, and names it."""


def _names(value: object) -> object:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


def _are_names(names: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [it for it in names if not re.fullmatch(patterns.DNS_LABEL, it)]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: no name of a namespace; separate names by commas")
    return names


def in_cluster() -> bool:
    """Whether this process runs in a pod that has a service account."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (SERVICE_ACCOUNT / "token").exists()


def _operator_namespace() -> str:
    file = SERVICE_ACCOUNT / "namespace"
    return file.read_text().strip() if in_cluster() and file.exists() else ""


def _reach() -> str:
    return "direct" if in_cluster() else "proxy"


def _key_file() -> Path:
    if in_cluster():
        return Path("/etc/rl-operator/token-key")
    return Path("~/.config/rl-operator/token-key").expanduser()


class Settings(BaseModel):
    """Every field but the key is a flag (``--key-file``) and a variable (``RLP_OPERATOR_KEY_FILE``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token_key: SecretBytes = Field(description="From the key file: what the jobs' tokens are made with.")

    kubeconfig: Path | None = Field(
        default=None, description="File; absent: KUBECONFIG, pod, ~/.kube/config."
    )
    context: str | None = Field(default=None, description="Of the kubeconfig; absent: its current one.")
    namespaces: Annotated[tuple[str, ...], BeforeValidator(_names), AfterValidator(_are_names)] = Field(
        default=(), description="Comma-separated; none: all."
    )
    operator_namespace: str = Field(
        default_factory=_operator_namespace, description="Where the operator runs; holds its Lease."
    )
    identity: str = Field(
        default_factory=lambda: f"{socket.gethostname()}_{secrets.token_hex(4)}",
        description="Name of this process in the Lease.",
    )
    leader_election: bool = Field(default=True, description="Wait for the Lease before anything is done.")
    lease_name: str = Field(default="rl-operator", description="Of the Lease.")
    reach: Literal["direct", "proxy"] = Field(
        default_factory=_reach, validate_default=True, description="How head pods are reached."
    )
    image: str = Field(default="rl-platform/training:0.1.0", description="Of pods whose job names none.")
    key_file: Path = Field(
        default_factory=_key_file, description="Key of the jobs' tokens; outside a cluster made if absent."
    )
    concurrency: Annotated[int, Field(ge=1, le=64)] = Field(default=4, description="Jobs reconciled at once.")
    pollers: Annotated[int, Field(ge=1, le=256)] = Field(default=8, description="Drivers looked at at once.")
    qps: Annotated[float, Field(gt=0)] = Field(default=50.0, description="Calls to the API server, a second.")
    burst: Annotated[int, Field(ge=1)] = Field(default=100, description="Calls that may come at once.")
    provisioning_deadline_seconds: Seconds = Field(
        default=1800.0, description="Until the head is ready, or the attempt failed."
    )
    unreachable_deadline_seconds: Seconds = Field(
        default=300.0, description="Until a head that does not answer counts as lost."
    )
    drain_grace_seconds: Seconds = Field(default=60.0, description="For a driver to save a checkpoint.")
    stop_grace_seconds: Seconds = Field(default=30.0, description="For a stopped driver to end.")
    host: str = Field(default="", description="Address that health and metrics listen on; empty: all.")
    port: Port = Field(default=8080, description="Of /healthz, /readyz and /metrics; 0: any free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least told.")
    log_format: Literal["json", "text"] = Field(default="json", description="text: for people.")

    @property
    def lease_namespace(self) -> str:
        return self.operator_namespace or "default"

    def token(self, uid: str) -> str:
        """What a job's Ray head and driver ask for, made of key and uid. Logs know its shape and hide it."""
        return "rlp_" + hmac.digest(self.token_key.get_secret_value(), uid.encode(), "sha256").hex()


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Raises BadSettings; argparse's own exits for ``--help`` and unknown flags."""
    given: dict[str, Any] = {}
    flags = vars(_parser().parse_args(arguments))
    for name in _flags():
        value = flags.get(name)
        if value is None:
            value = environment.get(_variable(name))
        if value not in (None, ""):
            given[name] = value
    try:
        settings = Settings(token_key=SecretBytes(b""), **given)
    except ValidationError as error:
        raise BadSettings("\n".join(_sentence(it, flags) for it in error.errors())) from None
    key = read_key(settings.key_file, create=not in_cluster())
    return settings.model_copy(update={"token_key": SecretBytes(key)})


def read_key(file: Path, *, create: bool) -> bytes:
    """The key in ``file``, which is made (mode 0600) where it is absent and ``create`` says so."""
    if create and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
                new.write(secrets.token_hex(KEY_BYTES).encode())
        except OSError as error:
            raise BadSettings(f"--key-file: {file} can't be made: {error.strerror}") from None
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise BadSettings(f"--key-file: {file} can't be read: {error.strerror}") from None
    if len(key) < SHORTEST_KEY_BYTES:
        raise BadSettings(
            f"--key-file: {file} holds {len(key)} bytes; at least {SHORTEST_KEY_BYTES} are needed"
        )
    return key


def _flags() -> list[str]:
    return [name for name in Settings.model_fields if name != "token_key"]


def _variable(name: str) -> str:
    return ENVIRONMENT_PREFIX + name.upper()


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rl_operator",
        description="Turns TrainingJobs into running, recoverable trainings on KubeRay.",
        epilog=f"Each flag is also a variable: --key-file is {_variable('key_file')}.",
        allow_abbrev=False,
    )
    for name in _flags():
        field = Settings.model_fields[name]
        shown = (
            "" if field.default in (None, "", ()) or field.default_factory else f" Default: {field.default}."
        )
        parser.add_argument(_flag(name), dest=name, metavar="VALUE", help=f"{field.description}{shown}")
    return parser


def _sentence(error: Any, flags: Mapping[str, Any]) -> str:
    name = str(error["loc"][0])
    where = _flag(name) if flags.get(name) is not None else _variable(name)
    return f"{where}={error['input']}: {error['msg']}"
