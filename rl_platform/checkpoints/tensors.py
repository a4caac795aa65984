"""Trees of arrays to and from the safetensors format, without a copy of the data in between.

A file is the header's length (u64, little endian), the header (JSON: path → dtype, shape, byte range), and
the bytes. Written here rather than by the safetensors package because that holds a second copy of what it
writes, which a replay buffer cannot afford; the tests hold the two against each other.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from rl_platform.data.tree import Tree

_CODES = {
    "bool": "BOOL",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
}
_DTYPES = {code: np.dtype(name).newbyteorder("<") for name, code in _CODES.items()}
_RESERVED = "__metadata__"


class TensorFormatError(ValueError):
    """Bytes that are not a safetensors file, or an array that cannot be in one."""


def encode(tree: Mapping[str, np.ndarray]) -> list[memoryview]:
    """The parts of the file, in order; views of the arrays where these are contiguous: write them at once."""
    header: dict[str, dict[str, Any]] = {}
    parts: list[memoryview] = []
    end = 0
    # Larger items first keeps every array aligned to its own item size.
    for path, leaf in sorted(tree.items(), key=lambda pair: (-pair[1].dtype.itemsize, pair[0])):
        code = _CODES.get(leaf.dtype.name)
        if code is None or path == _RESERVED:
            problem = (
                "reserved by the format"
                if code
                else f"of dtype {leaf.dtype}; possible are {', '.join(_CODES)}"
            )
            raise TensorFormatError(f"the array {path!r} is {problem}")
        dense = np.ascontiguousarray(leaf, dtype=_DTYPES[code])
        header[path] = {"dtype": code, "shape": list(leaf.shape), "data_offsets": [end, end + leaf.nbytes]}
        end += leaf.nbytes
        parts.append(dense.reshape(-1).view(np.uint8).data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [memoryview(struct.pack("<Q", len(text)) + text), *parts]


def decode(file: np.ndarray) -> Tree:
    """Arrays that look into ``file`` (u8 [bytes], writable if it is). Raises TensorFormatError."""
    if len(file) < 8:
        raise TensorFormatError(f"the file has {len(file)} bytes, fewer than the 8 of the header's length")
    (size,) = struct.unpack("<Q", file[:8].tobytes())
    if size > len(file) - 8:
        raise TensorFormatError(f"the header is said to have {size} bytes, but only {len(file) - 8} follow")
    try:
        header = json.loads(file[8 : 8 + size].tobytes())
        header.pop(_RESERVED, None)
        return {path: _leaf(path, entry, file[8 + size :]) for path, entry in header.items()}
    except TensorFormatError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TensorFormatError(f"the header cannot be read: {error}") from error


def _leaf(path: str, entry: dict[str, Any], data: np.ndarray) -> np.ndarray:
    dtype = _DTYPES.get(entry["dtype"])
    if dtype is None:
        raise TensorFormatError(f"the array {path!r} has the unknown dtype {entry['dtype']!r}")
    begin, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not 0 <= begin <= end <= len(data) or end - begin != math.prod(shape) * dtype.itemsize:
        raise TensorFormatError(
            f"the array {path!r} of shape {list(shape)} and dtype {dtype.name} cannot be the bytes {begin} "
            f"to {end} of {len(data)}"
        )
    return np.frombuffer(data, dtype, math.prod(shape), begin).reshape(shape)
