"""Which kernels are asked for on which processor, and that OpenBLAS then takes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rl_platform.workers.matrix_kernels import AVX512_KERNELS, NEEDED, VARIABLE, choose_matrix_kernels

FLAGS = "fpu sse2 avx2 avx512f avx512cd avx512bw avx512dq avx512vl avx512_bf16"
SEEN = """
import os
from rl_platform.workers.matrix_kernels import choose_matrix_kernels
choose_matrix_kernels(os.environ)
import json, numpy
product = numpy.ones((9, 70)) @ numpy.ones((70, 5))
print(json.dumps([os.environ.get("OPENBLAS_CORETYPE"), float(product.min())]))
"""


def listing(vendor: str, family: int, flags: str) -> str:
    """Two processors as Linux lists them."""
    lines = ["processor\t: 0", f"vendor_id\t: {vendor}", f"cpu family\t: {family}", f"flags\t\t: {flags}"]
    return "\n".join([*lines, "", "processor\t: 1", "vendor_id\t: other", ""])


@pytest.mark.parametrize(
    ("vendor", "family", "flags", "chosen"),
    [
        ("AuthenticAMD", 26, FLAGS, AVX512_KERNELS),
        ("AuthenticAMD", 27, FLAGS, AVX512_KERNELS),
        ("AuthenticAMD", 25, FLAGS, None),
        ("AuthenticAMD", 26, FLAGS.replace("avx512vl", ""), None),
        ("GenuineIntel", 26, FLAGS, None),
    ],
    ids=["zen5", "newer", "known-to-openblas", "without-avx512", "intel"],
)
def test_avx512_kernels_are_asked_for_where_openblas_would_not_see_them(
    vendor: str, family: int, flags: str, chosen: str | None, tmp_path: Path
) -> None:
    processors = tmp_path / "cpuinfo"
    processors.write_text(listing(vendor, family, flags))
    environment: dict[str, str] = {}
    choose_matrix_kernels(environment, processors)
    assert environment.get(VARIABLE) == chosen


def test_what_somebody_chose_stays(tmp_path: Path) -> None:
    processors = tmp_path / "cpuinfo"
    processors.write_text(listing("AuthenticAMD", 26, FLAGS))
    environment = {VARIABLE: "Zen"}
    choose_matrix_kernels(environment, processors)
    assert environment == {VARIABLE: "Zen"}


@pytest.mark.parametrize("text", [None, "", "Processor\t: ARMv8\n"], ids=["no-file", "empty", "arm"])
def test_other_lists_choose_nothing(text: str | None, tmp_path: Path) -> None:
    processors = tmp_path / "cpuinfo"
    if text is not None:
        processors.write_text(text)
    environment: dict[str, str] = {}
    choose_matrix_kernels(environment, processors)
    assert not environment


def test_numpy_multiplies_on_this_machine_with_what_is_chosen_for_it() -> None:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    ran = subprocess.run(
        [sys.executable, "-c", SEEN], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    chosen, product = json.loads(ran.stdout)
    assert product == 70.0
    assert chosen in (None, AVX512_KERNELS)
    assert not ran.stderr  # OpenBLAS says there what it does not know
    if chosen:
        assert set(Path("/proc/cpuinfo").read_text().split()) >= NEEDED


def test_the_process_of_a_rollout_worker_chooses_before_numpy_is_there() -> None:
    """Ray's own imports of a worker's process come first."""
    script = """
import sys
import ray._private.workers.default_worker
from rl_platform.workers import matrix_kernels
matrix_kernels.choose_matrix_kernels = lambda environment: print("numpy" in sys.modules)
import rl_platform.workers.rollout_process
assert "numpy" in sys.modules
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ran.stdout == "False\n", ran.stderr
