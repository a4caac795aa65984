"""What was packed comes back as it was, whatever came first and whoever packed at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from rl_operator.runtime.packing import WINDOW_BYTES, Packing

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda it: st.lists(it, max_size=4) | st.dictionaries(st.text(max_size=9), it, max_size=4),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(st.text(max_size=9), VALUES, max_size=5)


@given(st.lists(DOCUMENTS, min_size=1, max_size=5))
def test_it_comes_back(documents: list[dict[str, Any]]) -> None:
    packing = Packing()
    packed = [packing.pack(it) for it in documents]
    assert [packing.unpack(it) for it in packed] == documents


def alike(number: int, size: int = 60) -> dict[str, Any]:
    """Incompressible in itself, and the same but for a number in each."""
    words = {f"field {each}": sha256(str(each).encode()).hexdigest() for each in range(size)}
    return {**words, "number": number}


def test_what_is_alike_takes_little_room() -> None:
    packing = Packing()
    packed = [packing.pack(alike(number)) for number in range(20)]
    assert max(map(len, packed[1:])) < len(to_json(alike(0))) / 20


def test_first_ones_longer_than_the_window_are_no_harm() -> None:
    packing, long = Packing(), alike(0, 2000)
    assert len(to_json(long)) > 2 * WINDOW_BYTES
    assert packing.unpack(packing.pack(long)) == long
    assert packing.unpack(packing.pack(alike(1))) == alike(1)


def test_many_threads_may_pack_the_first() -> None:
    documents = [alike(number) for number in range(8)]
    with ThreadPoolExecutor(len(documents)) as pool:
        for _ in range(50):
            packing = Packing()
            packed = list(pool.map(packing.pack, documents))
            assert [packing.unpack(it) for it in packed] == documents
