"""pytest, and what failed beside others once more alone: only what fails twice counts. Takes its arguments.

One test in thousands may fail because the machine was busy. It must not hide the others, nor be hidden.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

TESTS_FAILED = 1  # pytest's exit status; with any other, running tests again would tell nothing
MOST = 30  # more than these fail for a reason


def failed(cache: Path) -> set[str]:
    """The tests that pytest remembers as failed."""
    memory = cache / "v" / "cache" / "lastfailed"
    return set(json.loads(memory.read_text())) if memory.exists() else set()


def pytest(cache: Path, arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", *arguments]
    return subprocess.run(command, check=False).returncode


def main(arguments: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        code = pytest(cache, arguments)
        first = failed(cache)
        if code != TESTS_FAILED or not 0 < len(first) <= MOST:
            return code
        print(f"\nOnce more, alone: the {len(first)} tests that failed", flush=True)
        code = pytest(cache, [*arguments, "-n", "0", "--last-failed", "--last-failed-no-failures", "none"])
        second = failed(cache)
    for test in sorted(first - second):
        print(f"UNSTEADY, failed beside others, passed alone: {test}")
    for test in sorted(first & second):
        print(f"FAILED twice: {test}")
    return code or bool(first & second)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
