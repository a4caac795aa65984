"""The API model of the simulation and a real API server see the same in every case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rl_operator.runtime.cluster_transport import connect
from rl_operator.runtime.resources import RAY_CLUSTERS
from rl_operator.runtime.transport import Transport
from tests.apiserver.calls import Place
from tests.apiserver.contract_cases import CASES
from tests.apiserver.control_plane import ControlPlane
from tests.apiserver.sample_crd import FREE_RAY_CLUSTER_CRD, IMMUTABLE, SAMPLE_CRD, SAMPLES
from tests.simulation.answers import Cause
from tests.simulation.api_model import ApiModel
from tests.simulation.model_kinds import Json, custom_kind


def fixed_is_immutable(new: Json, old: Json | None) -> Sequence[Cause]:
    """The sample's transition rule."""
    if old is None or new["spec"]["fixed"] == old["spec"]["fixed"]:
        return ()
    return [Cause("FieldValueInvalid", "spec.fixed", IMMUTABLE)]


def model_place() -> Place:
    kinds = [
        custom_kind(SAMPLES, SAMPLE_CRD, fixed_is_immutable),
        custom_kind(RAY_CLUSTERS, FREE_RAY_CLUSTER_CRD),
    ]
    model = ApiModel(kinds)
    model.namespaces.add("model")
    return Place(model, "model", model.store.compact)


@pytest.fixture(scope="module")
def real_transport(api_server: ControlPlane) -> Transport:
    for definition in (SAMPLE_CRD, FREE_RAY_CLUSTER_CRD):
        api_server.install_crd(definition)
    return connect(api_server.kubeconfig)


@pytest.mark.parametrize("name", CASES)
def test_model_and_server_agree(
    name: str, api_server: ControlPlane, real_transport: Transport, namespace: str
) -> None:
    case = CASES[name]
    real: Any = case(Place(real_transport, namespace, api_server.compact))
    assert case(model_place()) == real


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 80
