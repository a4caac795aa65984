"""Our safetensors files against the safetensors package, and against damage."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rl_platform.checkpoints.tensors import TensorFormatError, decode, encode

DTYPES = ["?", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
leaves = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
trees = st.dictionaries(st.text(max_size=12).filter(lambda path: path != "__metadata__"), leaves, max_size=6)


def joined(tree: dict[str, np.ndarray]) -> bytes:
    return b"".join(encode(tree))


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for path, leaf in wanted.items():
        assert found[path].dtype == leaf.dtype
        assert found[path].shape == leaf.shape
        assert found[path].tobytes() == leaf.tobytes()


@given(trees)
def test_a_tree_comes_back_to_the_bit_from_ours_and_from_the_safetensors_package(
    tree: dict[str, np.ndarray],
) -> None:
    file = joined(tree)
    assert_same(decode(np.frombuffer(file, np.uint8)), tree)
    assert_same(safetensors.numpy.load(file), tree)


@given(trees)
def test_a_file_of_the_safetensors_package_is_read(tree: dict[str, np.ndarray]) -> None:
    dense = {path: np.asarray(leaf, order="C") for path, leaf in tree.items()}
    file = safetensors.numpy.save(dense, metadata={"made": "elsewhere"})
    assert_same(decode(np.frombuffer(file, np.uint8)), tree)


def test_strided_transposed_and_big_endian_arrays_keep_their_values() -> None:
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    found = decode(
        np.frombuffer(joined({"t": base.T, "s": base[::2, ::-1], "b": base.astype(">f4")}), np.uint8)
    )
    np.testing.assert_array_equal(found["t"], base.T)
    np.testing.assert_array_equal(found["s"], base[::2, ::-1])
    np.testing.assert_array_equal(found["b"], base)


def test_loaded_arrays_are_aligned_and_can_be_written_to() -> None:
    tree = {"a": np.ones(3, np.uint8), "b": np.ones(5, np.float64), "c": np.ones(3, np.int16)}
    found = decode(np.frombuffer(bytearray(joined(tree)), np.uint8))
    for leaf in found.values():
        assert leaf.flags.aligned
        leaf += leaf.dtype.type(1)


@pytest.mark.parametrize("leaf", [np.array(["a"]), np.array([None]), np.array([1j])])
def test_an_array_that_the_format_cannot_hold_is_refused_by_its_path(leaf: np.ndarray) -> None:
    with pytest.raises(TensorFormatError, match="the array 'obs/x' is of dtype"):
        encode({"obs/x": leaf})


def test_the_reserved_path_is_refused() -> None:
    with pytest.raises(TensorFormatError, match="'__metadata__' is reserved"):
        encode({"__metadata__": np.zeros(1)})


def file_with(header: str, data: bytes = b"") -> np.ndarray:
    return np.frombuffer(struct.pack("<Q", len(header)) + header.encode() + data, np.uint8)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (np.zeros(3, np.uint8), "3 bytes, fewer than the 8"),
        (np.full(16, 255, np.uint8), "but only 8 follow"),
        (file_with("{"), "header cannot be read"),
        (file_with("[]"), "header cannot be read"),
        (file_with('{"a": {"dtype": "F32"}}'), "header cannot be read"),
        (
            file_with('{"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}', b"1234"),
            "unknown dtype 'F99'",
        ),
        (
            file_with('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', b"123"),
            "cannot be the bytes",
        ),
        (
            file_with('{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}', b"1234"),
            "cannot be the bytes",
        ),
        (
            file_with('{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}', b"1234"),
            "cannot be the bytes",
        ),
    ],
)
def test_a_damaged_file_is_refused_with_what_is_wrong(file: np.ndarray, message: str) -> None:
    with pytest.raises(TensorFormatError, match=message):
        decode(file)
