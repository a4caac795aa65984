from __future__ import annotations

import pytest
from ray.exceptions import ObjectStoreFullError, OutOfDiskError, RayTaskError

from rl_platform.driver.outcome import _message, _reason
from rl_platform.spec.conditions import FailureReason

ERRORS = [ObjectStoreFullError("/tmp is full"), OutOfDiskError("/tmp is full")]


@pytest.mark.parametrize("error", ERRORS)
def test_a_full_object_store_is_named_with_the_fields_that_give_it_room(error: Exception) -> None:
    of_a_task = RayTaskError("add", "traceback", error).as_instanceof_cause()
    for each in (error, of_a_task):
        assert _reason(each) == FailureReason.OUT_OF_MEMORY
        assert "object-store memory is full" in _message(each)
        assert "resources.memory of spec.rollouts" in _message(each)
