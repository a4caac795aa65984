"""How many rows at a time a layer's product takes.

Numpy's OpenBLAS has a short way for products of no more than 10^6 multiplications on processors with AVX-512:
it does not copy the matrices into panels first (`sgemm_small_matrix_permit` of its Skylake kernels). With 64
units that makes a product a quarter faster; with kernels for AVX2 blocks cost up to 5 %.
"""

from __future__ import annotations

from functools import lru_cache

SHORT_WAY = 10**6
"""So many multiplications a product may have at most."""
FEWEST = 96
"""Rows below which a call costs more than the short way saves."""


@lru_cache(maxsize=1024)
def rows_per_block(rows: int, weights: int) -> int:
    """The largest divisor of ``rows`` that takes the short way through a matrix of so many weights.

    All ``rows`` where there is none with `FEWEST` rows.
    """
    most = SHORT_WAY // weights
    if rows <= most:
        return rows
    return next((n for n in range(most, FEWEST - 1, -1) if rows % n == 0), rows)
