"""The kernels of numpy's matrix products, on processors that its OpenBLAS does not know.

OpenBLAS up to 0.3.31 knows AMD's processors up to family 25 (Zen 4). It takes newer ones for a Haswell,
without AVX-512, and multiplies at half of their speed (OpenMathLib/OpenBLAS issue 6029, mended by pull
request 6033). It reads the kernels' name from the environment when numpy is imported, and never again.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"
AVX512_KERNELS = "SkylakeX"
NEEDED = frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})
NEWEST_KNOWN_FAMILY = 25
PROCESSORS = Path("/proc/cpuinfo")
ONE_PROCESSOR = 8192
"""Characters that hold the first processor's entry; the file has one for each of perhaps hundreds."""


def choose_matrix_kernels(environment: MutableMapping[str, str], processors: Path = PROCESSORS) -> None:
    """Name the kernels in ``environment`` if OpenBLAS would choose slow ones and nobody has chosen yet.

    To be called before numpy is imported. Does nothing where ``processors`` is not Linux's list of them.
    """
    if VARIABLE in environment:
        return
    try:
        with processors.open() as listing:
            processor = _fields(listing.read(ONE_PROCESSOR))
    except OSError:
        return
    by_amd = processor.get("vendor_id") == "AuthenticAMD"
    unknown = by_amd and int(processor["cpu family"]) > NEWEST_KNOWN_FAMILY
    if unknown and set(processor.get("flags", "").split()) >= NEEDED:
        environment[VARIABLE] = AVX512_KERNELS


def _fields(listing: str) -> dict[str, str]:
    """``name : value`` of the first processor."""
    lines = (line.partition(":") for line in listing.partition("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
