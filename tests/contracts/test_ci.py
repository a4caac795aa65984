"""What CI does with tests that fail once, and with a real cluster that it can't have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.source_files import ROOT

ONCE = """
from pathlib import Path

def test_first():
    marker = Path(__file__).with_name("seen")
    seen = marker.exists()
    marker.touch()
    assert seen

def test_good():
    pass
"""
ALWAYS = "def test_bad():\n    assert False\n"
KUBE = """#!/bin/bash
echo "$1 ${@: -2:1}" >> calls
case "$1" in
  status) echo "kube-apiserver ${APISERVER:-not running}" ;;
  up) echo "export KUBECONFIG=somewhere" ;;
  image) echo "registry/${@: -2:1}" ;;
esac
[ "$1" != "${BROKEN:-}" ]
"""
MAKEFILE = """
prometheus test test-ray test-long:
\t@echo "$@" >> calls
test-cluster e2e:
\t@echo "$@ $(KUBECONFIG) $(RLP_TEST_IMAGE) $(RLP_TEST_OPERATOR_IMAGE)" >> calls; [ "$(BROKEN)" != tests ]
"""


def twice(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / ".ci" / "pytest_twice.py")
    return subprocess.run(
        [sys.executable, script, "-q", "-p", "xdist.plugin", *arguments, str(folder)],
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_test_that_passes_alone_is_named_and_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "test_once.py").write_text(ONCE)
    ran = twice(tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert "UNSTEADY, failed beside others, passed alone: test_once.py::test_first" in ran.stdout
    assert "FAILED twice" not in ran.stdout


def test_a_test_that_fails_twice_counts_beside_one_that_does_not(tmp_path: Path) -> None:
    (tmp_path / "test_once.py").write_text(ONCE)
    (tmp_path / "test_always.py").write_text(ALWAYS)
    ran = twice(tmp_path, "-n", "1")
    assert ran.returncode == 1, ran.stdout
    assert "FAILED twice: test_always.py::test_bad" in ran.stdout
    assert "passed alone: test_once.py::test_first" in ran.stdout


def test_what_cannot_be_collected_counts(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text("import nothing_of_this_name\n")
    assert twice(tmp_path).returncode != 0


def ci(folder: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """``.ci/run`` in a project whose tests and whose cluster only write down that they were called."""
    project, kube = folder / "project", folder / "shared" / "kube" / "kube"
    shutil.copytree(ROOT / ".ci", project / ".ci")
    (project / "Makefile").write_text(MAKEFILE)
    kube.parent.mkdir(parents=True)
    kube.write_text(KUBE)
    kube.chmod(0o755)
    given = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}
    given |= {"KUBEBUILDER_ASSETS": "there", "HELM": "there", "PROMETHEUS_ASSETS": "there"}
    ran = subprocess.run(
        [project / ".ci" / "run"],
        env=given | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran, (project / "calls").read_text().splitlines()


def test_the_cluster_is_brought_up_used_and_taken_down(tmp_path: Path) -> None:
    ran, calls = ci(tmp_path, RLP_CI_FAULTS="1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    images = "registry/rl-platform/training:ci registry/rl-platform/operator:ci"
    assert f"test-cluster somewhere {images}" in calls
    assert f"e2e somewhere {images}" in calls
    assert calls[-1].startswith("down")
    assert "SKIPPED" not in ran.stdout


def test_tests_that_fail_on_the_cluster_count_and_it_is_taken_down(tmp_path: Path) -> None:
    ran, calls = ci(tmp_path, BROKEN="tests")
    assert ran.returncode == 1
    assert calls[-1].startswith("down")


def test_an_hour_that_ends_first_is_no_failure(tmp_path: Path) -> None:
    clock = tmp_path / "programs" / "timeout"
    clock.parent.mkdir()
    program = '[[ "$*" != *test-cluster* ]] || exit 124\n[[ $1 != -* ]] || shift\nexec "${@:2}"\n'
    clock.write_text("#!/bin/bash\n" + program)
    clock.chmod(0o755)
    ran, calls = ci(tmp_path, PATH=f"{clock.parent}:{os.environ['PATH']}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "CUT OFF, as the hour is over: make test-cluster" in ran.stdout
    assert calls[-1].startswith("down")


@pytest.mark.parametrize("broken", ["build", "up", "image"])
def test_a_cluster_that_cannot_be_had_is_skipped_by_name(tmp_path: Path, broken: str) -> None:
    ran, calls = ci(tmp_path, BROKEN=broken)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "SKIPPED: every test on a real cluster" in ran.stdout
    assert not any(it.startswith("test-cluster") for it in calls)


@pytest.mark.parametrize("environment", [{"RLP_CI_CLUSTER": "0"}, {"APISERVER": "4711"}])
def test_a_cluster_that_is_not_wanted_or_is_in_use_is_left_alone(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    ran, calls = ci(tmp_path, **environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "SKIPPED: every test on a real cluster" in ran.stdout
    assert not any(it.startswith(("up", "down", "test-cluster")) for it in calls)
