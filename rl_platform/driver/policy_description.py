"""What is saved of a policy so that it can be built again, and whether saved weights are those of a policy.

The same numbers mean something else in another network, so everything counts that says what the network is
and what it sees, equal sizes or not. How it is trained may differ: the return filter, the steps that
gradients flow back. Filtered and raw observations are different inputs, so switching ``observationFilter``
is another network too: the weights would act on numbers that they never saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from rl_platform.data.spaces import Spaces
from rl_platform.driver.building import Assembly
from rl_platform.driver.fixed_fields import changed_fields
from rl_platform.spec.model import ModelSpec

OF_TRAINING = frozenset({"returnFilter", "recurrent.sequenceLength"})
BESIDE_ENTRYPOINT = frozenset({"entrypoint", "kwargs", "observationFilter"})
"""What matters where an entrypoint builds the network."""


def describe(assembly: Assembly, name: str) -> dict[str, Any]:
    """What it takes to build the policy again without the job."""
    model = assembly.job.spec.model.model_dump(mode="json", by_alias=True)
    spaces = assembly.policies[name].spaces.to_json()
    return {"spaces": spaces, "kind": assembly.kinds[name], "model": model}


def refuse_other_policies(
    described: Mapping[str, Mapping[str, Any]], assembly: Assembly, names: Iterable[str]
) -> None:
    """``described``: by policy what `describe` said when it was saved.

    Raises ValueError that names the policy, or the fields of the model, with both values.
    """
    for name in names:
        if name not in described:
            raise ValueError(f"it has no policy {name}, only {', '.join(sorted(described))}")
        then, now = described[name], describe(assembly, name)
        saved = {"spaces": Spaces.from_json(then["spaces"]), "kind": then["kind"]}
        own = {"spaces": assembly.policies[name].spaces, "kind": now["kind"]}
        for part in ("spaces", "kind"):
            if saved[part] != own[part]:
                raise ValueError(f"policy {name} had other {part}: {then[part]} then, {now[part]} now")
        changed = changed_fields(network_fields(then["model"]), network_fields(now["model"]))
        if changed:
            raise ValueError(
                f"{changed}. The weights would mean something else: set the model as it was, or begin "
                "without them"
            )


def network_fields(model: Mapping[str, Any]) -> dict[str, Any]:
    """What says how the weights are read, by path in the spec; what is absent has its default.

    Raises ValueError for a model that this version doesn't know.
    """
    try:
        known = ModelSpec.model_validate(model).model_dump(mode="json", by_alias=True)
    except ValidationError as error:
        raise ValueError(f"it was saved with a model that this version doesn't know: {error}") from error
    memory = known.pop("recurrent")
    fields = known | {f"recurrent.{part}": value for part, value in memory.items()}
    if memory["kind"] == "none":
        del fields["recurrent.size"]
    matter = BESIDE_ENTRYPOINT if known["entrypoint"] else fields.keys() - OF_TRAINING
    return {f"model.{path}": value for path, value in fields.items() if path in matter}
