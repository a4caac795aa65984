"""Generated TrainingJobs: any field may be there, within its bounds, and the rules between fields hold."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from rl_platform.spec import algorithms, environment, fields, model, resources, running, runtime, training_job

Document = dict[str, Any]

# What YAML readers and writers like to take for something else than text.
TRICKY = [
    *("3", "3e-4", "1e6", "+1", ".5", "1.", "1_000", "0x1F", "0o17", "017", "0b1", ".inf", "-.INF", ".nan"),
    *("y", "No", "on", "OFF", "true", "False", "null", "~", "", "=", "<<", "*a", "&a", "!t", "%", "@", "`"),
    *("2026-01-02", "2026-01-02T03:04:05Z", "12:30:45", "a: b", "a #b", "- a", "? a", "[a", "{a", "|", ">"),
    *(
        " a",
        "a ",
        "a\nb",
        "a\n",
        "\n",
        "\t",
        "'",
        '"',
        "\\",
        "\0",
        "\x85",
        "\u2028",
        "\ufeff",
        "é",
        "😀",
        "---",
    ),
]
TEXT = st.sampled_from(TRICKY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = (
    st.integers(-(2**63), 2**63 - 1)
    # Beyond 2**53 whole floats are read by their shortest digits: tests/spec/test_yaml_reading.py.
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda it: not 2**53 <= abs(it) < 2**63)
    | st.sampled_from([0.0, -0.0, 1e6, 1e21, 3e-4, 1e-7, 5e-324, 1.7e308, 0.1])
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
JSON_MAPS = st.dictionaries(TEXT, JSON, max_size=3)


ALGORITHMS: dict[str, type[fields.SpecModel]] = {
    str(info.alias): get_args(info.annotation)[0] for info in algorithms.AlgorithmSpec.model_fields.values()
}


def limits_of(metadata: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in metadata:
        parts = item.metadata if isinstance(item, FieldInfo) else [item]
        for part in parts:
            for name in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern"):
                if (value := getattr(part, name, None)) is not None:
                    found[name] = value
    return found


def _text(limits: dict[str, Any]) -> st.SearchStrategy[str]:
    low, high = limits.get("min_length", 0), limits.get("max_length", 1024)
    if "pattern" in limits:
        found = st.from_regex(limits["pattern"].replace("$", r"\Z"), alphabet=st.characters(codec="ascii"))
    else:
        found = TEXT
    return found.filter(lambda text: low <= len(text) <= min(high, 60))


def values(annotation: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    """JSON values that a field of this type takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(arguments[0], [*metadata, *arguments[1:]])
    if origin in (Union, types.UnionType):
        (only,) = (argument for argument in arguments if argument is not types.NoneType)
        return values(only, metadata)
    if origin is Literal:
        return st.sampled_from(arguments)
    limits = limits_of(metadata)
    if origin is tuple:
        return st.lists(values(arguments[0], []), min_size=limits.get("min_length", 0), max_size=2)
    if origin is dict and arguments[1] is Any:
        return JSON_MAPS
    if origin is dict:
        return st.dictionaries(values(arguments[0], []), values(arguments[1], []), max_size=2)
    return _plain(annotation, limits)


def _plain(annotation: type, limits: dict[str, Any]) -> st.SearchStrategy[Any]:
    if issubclass(annotation, fields.SpecModel):
        return documents(annotation)
    if issubclass(annotation, bool):
        return st.booleans()
    if issubclass(annotation, int):
        return st.integers(limits.get("ge"), limits.get("le"))
    if issubclass(annotation, float):
        low, high = limits.get("ge", limits.get("gt")), limits.get("le")
        return st.floats(low, high, exclude_min="gt" in limits, allow_nan=False, allow_infinity=False)
    assert annotation is str, annotation
    return _text(limits)


def documents(kind: type[fields.SpecModel], leave_out: tuple[str, ...] = ()) -> st.SearchStrategy[Document]:
    """Documents of a model as a manifest has them, keeping its rules."""
    if kind is algorithms.AlgorithmSpec:
        return st.one_of(
            st.fixed_dictionaries({name: documents(member)}) for name, member in ALGORITHMS.items()
        )
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for info in kind.model_fields.values():
        assert info.alias is not None
        if info.alias not in leave_out:
            chosen = required if info.is_required() else optional
            chosen[info.alias] = values(info.annotation, info.metadata)
    return st.fixed_dictionaries(required, optional=optional).map(MENDS.get(kind, lambda document: document))


def _only(document: Document, names: tuple[str, ...], default: Any) -> Document:
    """Exactly one of the members ``names``."""
    given = [name for name in names if name in document]
    for name in given[1:]:
        del document[name]
    return document if given else {**document, names[0]: default}


def _mend_environment(document: Document) -> Document:
    kind = document.get("kind", "gymnasium")
    if kind != "gymnasium":
        document.pop("id", None)
        document.pop("vectorized", None)
    if kind == "external":
        document.pop("entrypoint", None)
        return document
    default = "an_environment:make"
    return _only(document, ("id", "entrypoint") if kind == "gymnasium" else ("entrypoint",), default)


def _mend_rollouts(document: Document) -> Document:
    names = ("minReplicas", "replicas", "maxReplicas")
    found = sorted(document.get(name, 0) for name in names)
    return {**document, **dict(zip(names, found, strict=True))}


def _mend_minibatches(document: Document, batch_size: int) -> Document:
    return {
        **document,
        "minibatchSize": min(document.get("minibatchSize", 256), document.get("batchSize", batch_size)),
    }


def _mend_replay_sizes(document: Document, buffer_size: int) -> Document:
    held = document.get("bufferSize", buffer_size)
    starts, batch = document.get("learningStarts", 1000), document.get("batchSize", 128)
    return {**document, "learningStarts": min(held, starts), "batchSize": min(held, batch)}


def _mend_toleration(document: Document) -> Document:
    if document.get("operator") == "Exists":
        document.pop("value", None)
        return document
    return {"key": "dedicated", **document}


def _mend_checkpoint(document: Document) -> Document:
    if document.get("exact"):
        document.pop("everySeconds", None)
        document.setdefault("everyUpdates", 20)
    return document


def _mend_schedule(document: Document) -> Document:
    return {**document, "final": document.get("final") or 1e-9}


def _mend_evaluation(document: Document) -> Document:
    return {**document, "episodes": document.get("episodes") or 1}


def _distinct(items: list[Document]) -> list[Document]:
    return list({item["name"]: item for item in items}.values())


def _mend_runtime(document: Document) -> Document:
    for name in ("env", "volumes"):
        if name in document:
            document[name] = _distinct(document[name])
    return document


def _mend_model(document: Document) -> Document:
    if "entrypoint" not in document:
        document.pop("kwargs", None)
    return document


def _mend_replay(document: Document) -> Document:
    return {**document, "shards": 1} if document.get("placement", "driver") == "driver" else document


def _mend_schedules(document: Document, name: str) -> None:
    if name == "custom":
        known = {info.alias for info in running.Schedules.model_fields.values()}
    else:
        known = {info.alias for info in ALGORITHMS[name].model_fields.values()}
    document["schedules"] = {
        field: {"steps": 1000, **schedule}
        for field, schedule in document["schedules"].items()
        if field in known
    }
    entropy = document["schedules"].get("entropyCoefficient", {})
    if name != "custom" and entropy.get("kind") == "exponential":
        own = document["algorithm"][name]
        own["entropyCoefficient"] = own.get("entropyCoefficient") or 1e-9


def _mend_spec(document: Document) -> Document:
    algorithm = document["algorithm"]
    (name,) = algorithm
    rollouts = document.get("rollouts", {})
    if name in ("ppo", "appo", "ddppo"):
        # Never more than a minibatch.
        document.get("model", {}).get("recurrent", {})["sequenceLength"] = 1
    if name == "ddppo":
        document.get("learner", {}).pop("replicas", None)
    if name in ("ppo", "ddppo"):
        workers = max(1, rollouts.get("replicas", 0) * rollouts.get("workersPerPod", 1))
        lanes = workers * rollouts.get("envsPerWorker", 8)
        if algorithm[name].get("batchSize", 1024) < lanes:
            document["rollouts"] = {"envsPerWorker": 1}
    if name in ("dqn", "apex") and "envSteps" in document["stop"]:
        starts = algorithm[name].get("learningStarts", 1000)
        algorithm[name]["learningStarts"] = min(starts, document["stop"]["envSteps"])
    if document.get("rollouts", {}).get("replicas", 0) == 0:
        document.pop("replay", None)
    if "policies" in document:
        document["policies"] = _distinct(document["policies"])
        if document["policies"]:
            document["policies"][0]["trained"] = True
    if "schedules" in document:
        _mend_schedules(document, name)
    return document


MENDS: dict[type[fields.SpecModel], Callable[[Document], Document]] = {
    algorithms.DQN: lambda it: _mend_replay_sizes(it, 10_000),
    algorithms.ApeX: lambda it: _mend_replay_sizes(it, 100_000),
    algorithms.PPO: lambda it: _mend_minibatches(it, 1024),
    algorithms.DDPPO: lambda it: _mend_minibatches(it, 1024),
    algorithms.APPO: lambda it: _mend_minibatches(it, 512),
    environment.EnvironmentSpec: _mend_environment,
    model.ModelSpec: _mend_model,
    runtime.EnvVar: lambda it: _only(it, ("value", "secret"), ""),
    resources.ReplaySpec: _mend_replay,
    resources.RolloutsSpec: _mend_rollouts,
    runtime.RuntimeSpec: _mend_runtime,
    resources.Toleration: _mend_toleration,
    runtime.Volume: lambda it: _only(it, ("claim", "configMap", "secret"), "data"),
    running.CheckpointSpec: _mend_checkpoint,
    running.EvaluationSpec: _mend_evaluation,
    running.Schedule: _mend_schedule,
    running.RateSchedule: _mend_schedule,
    running.StopSpec: lambda it: {"updates": 5, **it},
    training_job.TrainingJobSpec: _mend_spec,
}

JOBS = documents(training_job.TrainingJob, leave_out=("status",)).map(
    lambda it: {"apiVersion": training_job.API_VERSION, "kind": training_job.KIND, **it}
)
