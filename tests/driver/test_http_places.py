"""Where the endpoints can listen, and what is said where they can't."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from rl_platform.driver.http import DriverEndpoints, EndpointError

TOKEN = "s3cret-token"


def test_a_port_in_use_is_named_with_what_to_do() -> None:
    endpoints = DriverEndpoints(0, TOKEN, CollectorRegistry())
    message = (
        rf"cannot listen on 127\.0\.0\.1:{endpoints.port}: the port is in use; choose another driver\.port"
    )
    with pytest.raises(EndpointError, match=message):
        DriverEndpoints(endpoints.port, TOKEN, CollectorRegistry())
    endpoints.close()


@pytest.mark.parametrize(
    ("host", "port", "token", "message"),
    [
        ("203.0.113.1", 0, TOKEN, "this machine has no such address"),
        ("127.0.0.1", 70_000, TOKEN, "the port must be 0 to 65535"),
        ("0.0.0.0", 0, None, "without a token the driver's endpoints may not listen on 0.0.0.0"),
        ("::", 0, "", "without a token the driver's endpoints may not listen on ::"),
    ],
)
def test_a_place_that_cannot_be_listened_on_is_refused(
    host: str, port: int, token: str | None, message: str
) -> None:
    with pytest.raises(EndpointError, match=message):
        DriverEndpoints(port, token, CollectorRegistry(), host)
