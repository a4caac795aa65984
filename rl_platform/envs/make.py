"""From the ``environment`` group of a job to an adapter, whatever the kind."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, Protocol

import gymnasium
from gymnasium.error import Error, UnregisteredEnv
from gymnasium.wrappers import TimeLimit

from rl_platform.data.entrypoint import EntrypointError, import_module_of, load_entrypoint
from rl_platform.envs.adapter import EnvironmentAdapter
from rl_platform.envs.faults import RAISED, BadEnvironment, fault_at
from rl_platform.envs.gymnasium_adapter import GymnasiumAdapter

ONE_POLICY = (("default", ("*",)),)


class WrapperSpec(Protocol):
    @property
    def entrypoint(self) -> str:
        """``module:callable``, called with the environment and ``kwargs``."""

    @property
    def kwargs(self) -> Mapping[str, Any]: ...


class EnvironmentSpec(Protocol):
    """The ``environment`` group of a TrainingJob."""

    @property
    def kind(self) -> str: ...

    @property
    def id(self) -> str | None: ...

    @property
    def entrypoint(self) -> str | None: ...

    @property
    def kwargs(self) -> Mapping[str, Any]: ...

    @property
    def wrappers(self) -> Sequence[WrapperSpec]: ...

    @property
    def max_episode_steps(self) -> int | None: ...

    @property
    def vectorized(self) -> bool: ...

    @property
    def max_set_size(self) -> int: ...


def make_adapter(
    spec: EnvironmentSpec, num_envs: int, policies: Sequence[tuple[str, Sequence[str]]] = ONE_POLICY
) -> EnvironmentAdapter:
    """``num_envs`` environments; ``policies`` are names with the glob patterns of their agents' names.

    Raises BadEnvironment or UnsupportedSpace for what the job must say differently, and EnvironmentFault
    for what goes wrong in the environment's own code.
    """
    name = spec.id or spec.entrypoint or spec.kind
    if spec.kind == "external":
        raise BadEnvironment(
            "environment.kind external is not supported yet; expected gymnasium, pettingzooParallel "
            "or pettingzooAec"
        )
    if spec.kind == "gymnasium":
        policy = next(
            (policy for policy, patterns in policies if any(fnmatchcase("", p) for p in patterns)), None
        )
        if policy is None or len(policies) > 1:
            raise BadEnvironment(
                f"policies {[policy for policy, _ in policies]}: {name} has a single agent without a name; "
                "expected one policy for the agents '*'"
            )
        if spec.vectorized:
            from rl_platform.envs.vector_adapter import VectorAdapter

            return VectorAdapter(
                _vector(spec, name, num_envs), name=name, policy=policy, max_set_size=spec.max_set_size
            )
        make = _maker(spec, name)
        return GymnasiumAdapter(make, num_envs, name=name, policy=policy, max_set_size=spec.max_set_size)
    return _pettingzoo(spec, name, num_envs, policies)


def load_callable(entrypoint: str, field: str) -> Callable[..., Any]:
    """The callable that ``module:callable`` names. Raises BadEnvironment naming the field and near misses."""
    try:
        found = load_entrypoint(entrypoint, field)
    except EntrypointError as error:
        raise BadEnvironment(str(error)) from error
    if not callable(found):
        raise BadEnvironment(f"{field} {entrypoint!r} is {found!r:.60}, which is not callable")
    return found  # type: ignore[no-any-return]  # checked right above


def _maker(spec: EnvironmentSpec, name: str) -> Callable[[], Any]:
    wrap = _wrapping(spec, lambda env: isinstance(env, gymnasium.Env), "a gymnasium.Env")
    if spec.id is not None:
        registered = _registered(spec.id)
        limit = _limit(spec)
        return lambda: wrap(gymnasium.make(registered, disable_env_checker=True, **limit, **spec.kwargs))
    make = load_callable(spec.entrypoint or "", "environment.entrypoint")

    def from_entrypoint() -> Any:
        env = make(**spec.kwargs)
        if not isinstance(env, gymnasium.Env):
            kind = (
                "a gymnasium.vector.VectorEnv"
                if isinstance(env, gymnasium.vector.VectorEnv)
                else repr(type(env))
            )
            hint = "set environment.vectorized" if "Vector" in kind else "check environment.kind"
            raise BadEnvironment(
                f"environment.entrypoint {name!r} made {kind}; expected a gymnasium.Env ({hint})"
            )
        return wrap(env if spec.max_episode_steps is None else TimeLimit(env, spec.max_episode_steps))

    return from_entrypoint


def _registered(name: str) -> Any:
    """The registration of an id, without the wrapper that enforces the order of calls: ours is right."""
    module, _, short = name.rpartition(":")
    try:
        if module:
            import_module_of(module, f"environment.id {name!r}")
        found = copy.deepcopy(gymnasium.spec(short))
    except EntrypointError as error:
        raise BadEnvironment(str(error)) from error
    except (UnregisteredEnv, Error) as error:
        near = _near(short, gymnasium.registry)
        raise BadEnvironment(f"environment.id {name!r} is not registered{near} ({error})") from error
    found.order_enforce = False
    return found


def _wrapping(spec: EnvironmentSpec, fits: Callable[[Any], bool], expected: str) -> Callable[[Any], Any]:
    """All wrappers in order; raises BadEnvironment where one returns what does not fit (a lost `return`)."""
    fields = [f"environment.wrappers[{i}].entrypoint" for i in range(len(spec.wrappers))]
    wrappers = [
        (f"{field} {wrapper.entrypoint!r}", load_callable(wrapper.entrypoint, field), dict(wrapper.kwargs))
        for field, wrapper in zip(fields, spec.wrappers, strict=True)
    ]

    def wrap(env: Any) -> Any:
        for title, wrapper, kwargs in wrappers:
            env = wrapper(env, **kwargs)
            if not fits(env):
                made = "None" if env is None else repr(type(env))
                raise BadEnvironment(f"{title} returned {made}; expected {expected} (check its return)")
        return env

    return wrap


def _vector(spec: EnvironmentSpec, name: str, num_envs: int) -> Any:
    kind = gymnasium.vector.VectorEnv
    wrap = _wrapping(spec, lambda env: isinstance(env, kind), "a gymnasium.vector.VectorEnv")
    with _blamed(name):
        if spec.id is not None:
            registered = _registered(spec.id)
            mode = "vector_entry_point" if registered.vector_entry_point else "sync"
            limit = _limit(spec)
            env = gymnasium.make_vec(registered, num_envs, vectorization_mode=mode, **limit, **spec.kwargs)
        else:
            make = load_callable(spec.entrypoint or "", "environment.entrypoint")
            if spec.max_episode_steps is not None:
                raise BadEnvironment(
                    "environment.maxEpisodeSteps cannot limit a vector environment from outside; give it the "
                    "limit in environment.kwargs"
                )
            env = make(num_envs=num_envs, **spec.kwargs)
    if not isinstance(env, kind):
        raise BadEnvironment(
            f"environment {name!r} made {type(env)!r}; expected a gymnasium.vector.VectorEnv, as "
            "environment.vectorized is set"
        )
    if env.num_envs != num_envs:
        raise BadEnvironment(
            f"environment {name!r} made {env.num_envs} environments; expected num_envs={num_envs}"
        )
    with _blamed(name):
        return wrap(env)


def _pettingzoo(
    spec: EnvironmentSpec, name: str, num_envs: int, policies: Sequence[tuple[str, Sequence[str]]]
) -> EnvironmentAdapter:
    kinds = ("gymnasium", "pettingzooParallel", "pettingzooAec")
    if spec.kind not in kinds:
        raise BadEnvironment(f"environment.kind {spec.kind!r} is unknown{_near(spec.kind, kinds)}")
    if spec.entrypoint is None:
        raise BadEnvironment(f"environment.kind {spec.kind} needs an environment.entrypoint, not an id")
    make_one = load_callable(spec.entrypoint, "environment.entrypoint")
    # Of either kind: a wrapper may turn one into the other, and what comes out last is looked at below.
    wrap = _wrapping(spec, _has_agents, "an environment of PettingZoo")

    def make() -> Any:
        with _blamed(name):
            env = wrap(make_one(**spec.kwargs))
        _refuse_other_kind(spec, name, env)
        return env

    if spec.kind == "pettingzooParallel":
        from rl_platform.envs.pettingzoo_adapter import ParallelAdapter as Adapter
    else:
        from rl_platform.envs.pettingzoo_aec_adapter import AecAdapter as Adapter  # type: ignore[assignment]
    limit, size = spec.max_episode_steps, spec.max_set_size
    return Adapter(make, num_envs, policies, name=name, max_episode_steps=limit, max_set_size=size)


def _has_agents(env: Any) -> bool:
    return all(hasattr(env, part) for part in ("possible_agents", "step"))


def _refuse_other_kind(spec: EnvironmentSpec, name: str, env: Any) -> None:
    """By what an environment has, as one need not inherit from PettingZoo: `last` is of those with turns."""
    parallel = spec.kind == "pettingzooParallel"
    expected = "pettingzoo.ParallelEnv" if parallel else "pettingzoo.AECEnv"
    needed = ("possible_agents", "step") if parallel else ("possible_agents", "step", "last")
    missing = [part for part in needed if not hasattr(env, part)]
    has_turns = parallel and hasattr(env, "last")
    if missing or has_turns:
        problem = f"without {' and '.join(missing)}" if missing else "whose agents take turns"
        raise BadEnvironment(
            f"environment.entrypoint {name!r} made {type(env)!r}, {problem}; expected a {expected}, as "
            f"environment.kind is {spec.kind} (check environment.kind)"
        )


@contextmanager
def _blamed(name: str) -> Iterator[None]:
    """What is raised within is the environment's fault, save for what the job must say differently."""
    try:
        yield
    except BadEnvironment:
        raise
    except RAISED as error:
        raise fault_at(name, 0, "start", error) from error


def _limit(spec: EnvironmentSpec) -> dict[str, Any]:
    return {} if spec.max_episode_steps is None else {"max_episode_steps": spec.max_episode_steps}


def _near(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, [str(each) for each in known], n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""
