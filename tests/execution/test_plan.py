from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from rl_platform.data.tree import Tree
from rl_platform.execution.concurrency import EnvStepsPerUpdate, concurrently
from rl_platform.execution.counters import Counters, Every
from rl_platform.execution.item import Item, Kind
from rl_platform.execution.parts import Op, PlanError
from rl_platform.execution.plan import HEARTBEAT_ENV_STEPS, IDLE, IDLE_SECONDS, Flow


@dataclass
class Numbers:
    """A source that counts."""

    name: str = "numbers"
    gives: Kind = Kind.ROLLOUT
    site: str = "driver"
    detail: str = ""
    steps: int = 10
    made: int = 0
    state: None = None
    depth: int = 0
    empty: bool = False

    def issue(self) -> None: ...

    def waits(self) -> list[Any]:
        return []

    def settle(self, counters: Counters) -> None: ...

    def take(self, counters: Counters, ready: Any = None) -> Item:
        self.made += 1
        counters.env_steps += self.steps
        return Item(self.gives, env_steps=self.steps, sequence=self.made)


@dataclass
class Pairs:
    held: list[int] = field(default_factory=list)

    @property
    def depth(self) -> int:
        return len(self.held)

    def snapshot(self) -> tuple[dict[str, Any], Tree]:
        return {"held": list(self.held)}, {}

    def restore(self, state: dict[str, Any], arrays: Tree) -> None:
        self.held = list(state["held"])


def op(name: str, fn: Any, takes: Kind = Kind.ROLLOUT, gives: Kind = Kind.RESULT, state: Any = None) -> Op:
    return Op(name, frozenset({takes}), gives, fn, state=state)


def passing(item: Item, counters: Counters) -> Sequence[Item]:
    item.kind = Kind.RESULT
    return [item]


def pairing(state: Pairs) -> Op:
    def fn(item: Item, counters: Counters) -> Sequence[Item]:
        state.held.append(item.sequence)
        if len(state.held) < 2:
            return []
        both, state.held = state.held, []
        return [Item(Kind.RESULT, info={"pair": both})]

    return op("pair", fn, state=state)


def test_a_wrong_kind_is_refused_with_both_names() -> None:
    with pytest.raises(PlanError, match="train takes Batch, but numbers gives Rollout"):
        Flow(Numbers()).then(op("train", passing, takes=Kind.BATCH))


def test_two_parts_of_one_name_are_refused_until_one_is_renamed() -> None:
    same = op("same", passing, gives=Kind.ROLLOUT)
    with pytest.raises(PlanError, match="two parts named p/same"):
        Flow(Numbers()).then(same, same, op("report", passing)).as_plan("p").validate()
    Flow(Numbers()).then(same, same.named("again"), op("report", passing)).as_plan("p").validate()


def test_an_output_that_gives_no_results_is_refused() -> None:
    with pytest.raises(PlanError, match="must end in report"):
        Flow(Numbers()).as_plan("p").validate()


def test_several_flows_need_a_pace() -> None:
    flow = Flow(Numbers()).then(op("report", passing))
    plan = concurrently(output="a", pace=EnvStepsPerUpdate(1, sample="a", learn="b"), a=flow, b=flow)
    plan.pace = None
    with pytest.raises(PlanError, match="in which ratio"):
        plan.validate()


def test_a_plan_that_trains_and_publishes_nothing_is_refused() -> None:
    train, report = op("train", passing, gives=Kind.UPDATE), op("report", passing, takes=Kind.UPDATE)
    publish = replace(op("publish", passing, takes=Kind.UPDATE, gives=Kind.UPDATE), publishes=True)
    with pytest.raises(
        PlanError, match=r"train trains, but nothing publishes: numbers would sample .* for ever"
    ):
        Flow(Numbers()).then(train, report).as_plan("p").validate()
    Flow(Numbers()).then(train, publish.named("again"), report).as_plan("p").validate()
    store = Flow(Numbers()).then(op("keep", passing, gives=Kind.ROLLOUT))
    learn = Flow(Numbers(name="replay", gives=Kind.SAMPLE))
    learn = learn.then(op("train", passing, takes=Kind.SAMPLE, gives=Kind.UPDATE), report)
    pace = EnvStepsPerUpdate(1, sample="store", learn="learn")
    with pytest.raises(PlanError, match=r"put publish_weights\(\) behind train"):
        concurrently(output="learn", pace=pace, store=store, learn=learn).validate()


def test_describe_names_every_part_and_where_it_runs() -> None:
    text = Flow(Numbers(detail="3 a time")).then(op("report", passing)).as_plan("p").describe()
    assert "numbers(3 a time)" in text
    assert "→ Rollout" in text
    assert "report()" in text


def test_what_an_operator_raises_arrives_with_its_own_traceback() -> None:
    def broken(item: Item, counters: Counters) -> Sequence[Item]:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        next(iter(Flow(Numbers()).then(op("report", broken)).as_plan("p")))
    assert caught.traceback[-1].name == "broken"


def test_a_restored_plan_goes_on_with_what_its_operators_held() -> None:
    whole = Flow(Numbers()).then(pairing(Pairs())).as_plan("p")
    expected = [item.info["pair"] for item in itertools.islice(iter(whole), 3)]

    source, state = Numbers(), Pairs()
    plan = Flow(source).then(pairing(state)).as_plan("p")
    got = [next(iter(plan)).info["pair"]]
    state.held.append(source.take(plan.counters).sequence)  # stopped with one of a pair in hand
    saved, arrays = plan.snapshot()

    other = Flow(Numbers(made=source.made)).then(pairing(Pairs())).as_plan("p")
    other.restore(saved, arrays)
    assert other.counters.env_steps == 30
    got += [item.info["pair"] for item in itertools.islice(iter(other), 2)]
    assert got == expected


def test_a_snapshot_of_another_plan_is_refused() -> None:
    saved, arrays = Flow(Numbers()).then(pairing(Pairs())).as_plan("p").snapshot()
    with pytest.raises(PlanError, match="stateful parts"):
        Flow(Numbers()).then(op("report", passing)).as_plan("p").restore(saved, arrays)


def test_the_pace_keeps_env_steps_per_update_and_waits_for_the_start() -> None:
    learned: list[int] = []

    def learn(item: Item, counters: Counters) -> Sequence[Item]:
        counters.updates += 2
        learned.append(counters.env_steps)
        return [Item(Kind.RESULT)]

    store = Flow(Numbers(steps=8)).then(op("keep", lambda item, counters: [item], gives=Kind.ROLLOUT))
    feed = Flow(Numbers(name="replay", gives=Kind.SAMPLE, steps=0)).then(
        op("learn", learn, takes=Kind.SAMPLE)
    )
    pace = EnvStepsPerUpdate(4, sample="store", learn="learn", after=100)
    plan = concurrently(output="learn", pace=pace, store=store, learn=feed)
    for _ in itertools.islice(iter(plan), 50):
        assert plan.counters.updates * 4 <= plan.counters.env_steps - 100 + 8
    assert min(learned) > 100
    assert plan.counters.updates * 4 == pytest.approx(plan.counters.env_steps - 100, abs=8)


def test_a_silent_output_still_gives_the_driver_a_heartbeat() -> None:
    store = Flow(Numbers(steps=512)).then(op("keep", lambda item, counters: [item], gives=Kind.ROLLOUT))
    feed = Flow(Numbers(name="replay", gives=Kind.SAMPLE)).then(op("learn", passing, takes=Kind.SAMPLE))
    pace = EnvStepsPerUpdate(1, sample="store", learn="learn", after=10**9)
    plan = concurrently(output="learn", pace=pace, store=store, learn=feed)
    first = next(iter(plan))
    assert first.kind is Kind.RESULT
    assert plan.counters.env_steps == HEARTBEAT_ENV_STEPS


def test_a_slow_output_without_results_hands_the_driver_the_clock() -> None:
    def slow(item: Item, counters: Counters) -> Sequence[Item]:
        time.sleep(IDLE_SECONDS / 4)
        return []

    running = iter(Flow(Numbers()).then(op("slow", slow)).as_plan("p"))
    began = time.monotonic()
    for _ in range(2):
        assert next(running).info == {IDLE: True}
    assert 1.9 <= (time.monotonic() - began) / IDLE_SECONDS < 4


def test_every_fires_once_per_period_however_far_a_step_reaches() -> None:
    every, counters, fired = Every(updates=10), Counters(), []
    for step in (4, 4, 4, 25, 1, 4):
        counters.updates += step
        fired.append(every.due(counters))
    assert fired == [False, False, True, True, False, True]


class Elsewhere:
    """A source that works in a thread pool, as one on Ray works in actors."""

    gives, site, detail, state = Kind.ROLLOUT, "rollouts", "", None
    depth, empty = 0, False

    def __init__(self, name: str, pool: ThreadPoolExecutor) -> None:
        self.name, self.pool = name, pool
        self.pending: list[Future[int]] = []
        self.issued = 0

    def issue(self) -> None:
        while len(self.pending) < 2:
            self.issued += 1
            self.pending.append(self.pool.submit(lambda number=self.issued: number))  # type: ignore[misc]

    def waits(self) -> list[Any]:
        return list(self.pending)

    def settle(self, counters: Counters) -> None: ...

    def take(self, counters: Counters, ready: Any = None) -> Item:
        counters.env_steps += 1
        self.pending.remove(ready)
        return Item(Kind.ROLLOUT, sequence=ready.result())


def first_ready(refs: list[Any], seconds: float) -> Any:
    done = wait(refs, timeout=seconds, return_when=FIRST_COMPLETED).done
    return next((ref for ref in refs if ref in done), None)


def test_the_runner_blocks_for_the_first_ready_reference_of_sources_that_work_elsewhere() -> None:
    with ThreadPoolExecutor(2) as pool:
        plan = Flow(Elsewhere("remote", pool)).then(op("report", passing)).as_plan("p")
        plan.wait = first_ready
        seen = [item.sequence for item in itertools.islice(iter(plan), 20)]
    assert sorted(seen)[:15] == list(range(1, 16))
    assert plan.counters.env_steps == 20


def test_a_source_that_has_nothing_for_long_lets_the_driver_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl_platform.execution.plan.IDLE_SECONDS", 0.01)
    go = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        source = Elsewhere("remote", pool)
        source.pending = [pool.submit(lambda: int(go.wait(60)))] * 2
        plan = Flow(source).then(op("report", passing)).as_plan("p")
        plan.wait = first_ready
        results = iter(plan)
        assert IDLE in next(results).info
        assert plan.counters.iterations == 0
        go.set()
        assert any(IDLE not in item.info for item in itertools.islice(results, 6000))
