"""One Ray for all tests of a process; runs that find it here use it and leave it running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rl_platform.workers.ray_session import RaySession


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    session = RaySession(store_bytes=100 * 2**20, cpus=4)
    session.open()
    yield
    session.close()
