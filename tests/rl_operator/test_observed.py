"""What is read from the server's documents."""

from __future__ import annotations

from typing import Any

import pytest

from rl_operator.desired import driver_environment
from rl_operator.observed import pod_from
from rl_platform.spec.driver_protocol import IMAGE_ENV, Desired
from tests.rl_operator.observations import job

IMAGE = "registry.example/training@sha256:0123"


@pytest.mark.parametrize(
    ("containers", "image"),
    [
        ([{"name": "mesh", "imageID": "mesh@sha256:1"}, {"name": "ray-head", "imageID": IMAGE}], IMAGE),
        ([{"name": "ray-head", "imageID": f"docker-pullable://{IMAGE}"}], IMAGE),
        ([{"name": "ray-head"}], ""),
        ([], ""),
    ],
)
def test_a_driver_is_told_which_image_its_pod_runs(containers: list[dict[str, Any]], image: str) -> None:
    pod = pod_from({"metadata": {"name": "head", "uid": "1"}, "status": {"containerStatuses": containers}})
    assert dict(driver_environment(job(), Desired(generation=1), pod))[IMAGE_ENV] == image
