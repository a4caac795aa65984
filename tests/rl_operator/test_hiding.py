"""What is hidden in whatever others say, and what is left to be read."""

from __future__ import annotations

import time

import pytest

from rl_operator.decide import decide
from rl_operator.observed import Pending
from rl_operator.status import compose
from rl_platform.spec.hiding import hide
from tests.rl_operator.observations import SETTINGS, job, seen, waiting

SECRET = "pa55-w0rd"
TOLD = [
    f"s3://bucket/runs?password={SECRET}",
    f"s3://bucket/runs?region=eu&access_key={SECRET}&secure=1",
    f"https://mlflow.example/?token={SECRET}#top",
    f"https://store.example/b?X-Amz-Expires=60&X-Amz-Signature={SECRET}",
    f"https://account.blob.core.windows.net/c?sv=2024&sig={SECRET}",
    f"gs://bucket?api_key={SECRET};retries=3",
    f"postgresql://mlflow@db/runs?sslpassword={SECRET}",
    f"mssql://db/runs?PWD={SECRET}",
    f"could not log in with AWS_SECRET_ACCESS_KEY={SECRET}",
    f"https://{SECRET}@git.example/team/walker",
    f"https://me:{SECRET}@mlflow.example",
    f"redis://:{SECRET}@cache.example",
    f"Authorization: Bearer {SECRET}",
    f"S3FileSystem({{'endpoint': 'store.example', 'secret': '{SECRET}'}})",
    f"connect(host='store.example', password='{SECRET}')",
]
LEFT = [
    "s3://bucket/runs?region=eu&secure=1",
    "num_tokens=12, keys=3 and monkey=4",
    "took it key=ns/a",
    "https://mlflow.example/path@1/x?monkey=3",
]


@pytest.mark.parametrize("text", TOLD)
def test_a_secret_in_a_uri_or_a_variable_is_hidden_and_the_rest_stays(text: str) -> None:
    shown = hide(text)
    assert SECRET not in shown
    assert len(shown) <= len(text)
    assert shown.startswith(text[:5])
    assert shown.endswith(text.partition(SECRET)[2])


@pytest.mark.parametrize("text", LEFT)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide(text) == text


@pytest.mark.parametrize("part", ["a", "://", "?password", "token=", "://a:", "bearer ", "&key", "@", "-_"])
def test_a_text_made_to_be_slow_is_not(part: str) -> None:
    """A driver's log is hidden whole, whoever wrote it."""
    begun = time.monotonic()
    hide(part * (200_000 // len(part)))
    assert time.monotonic() - begun < 5


def test_what_a_server_a_pod_or_an_event_says_is_hidden_in_conditions_too() -> None:
    registry = Pending("ImagePullFailed", f"pull https://robot:{SECRET}@registry.example/walker")
    broken = job(waiting(), tracking={"mlflowUri": f"ftp://me:{SECRET}@mlflow.example"})
    named = job(waiting(), tracking={"mlflowUri": f"https://mlflow.example?token={SECRET}"})
    for of in (
        seen(job(waiting()), pods=(), warning=registry),
        seen(broken, cluster=None, pods=()),
        seen(named),
    ):
        assert SECRET not in compose(of, decide(of, SETTINGS)).model_dump_json()
