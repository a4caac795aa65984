"""The API server with a kind of our own, and calls to it without limits."""

from __future__ import annotations

import pytest

from rl_operator.runtime.api import Api
from rl_operator.runtime.cluster_transport import connect
from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.sample_crd import SAMPLE_CRD


@pytest.fixture
def api(api_server: ControlPlane) -> Api:
    """As system:masters; samples are served."""
    api_server.install_crd(SAMPLE_CRD)
    return Api(connect(api_server.kubeconfig))
