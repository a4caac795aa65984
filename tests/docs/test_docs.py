"""The documents are true: what is generated is current, what the operator says is explained, files exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from docs.reference import reference
from helm.authoring.observability import AlertName
from rl_platform.spec.conditions import ConditionType
from tests.contracts.source_files import ROOT
from tests.docs.reasons import reasons

DOCS = ROOT / "docs"
OPERATIONS = (DOCS / "operations.md").read_text()
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "helm" / "rl-platform" / "README.md"]
SUFFIXES = ("py", "yaml", "md", "toml", "txt")


def section(name: str, level: str = "##") -> str:
    return OPERATIONS.partition(f"\n{level} {name}\n")[2].partition(f"\n{level} ")[0]


def test_the_reference_is_made_from_the_models() -> None:
    assert (DOCS / "trainingjob.md").read_text() == reference(), "run make docs"


def test_every_reason_that_the_operator_writes_is_explained_and_no_other() -> None:
    explained = set(re.findall(r"^\| `([A-Za-z]+)` \|", section("Conditions"), re.MULTILINE))
    assert reasons() - explained == set()
    assert explained - reasons() == set()


def test_reasons_are_found_where_they_are_made() -> None:
    assert {"HeadLost", "Suspending", "BackOff", "Completed", "QuotaExceeded", "NotANumber"} <= reasons()


def test_every_condition_has_a_section() -> None:
    assert set(re.findall(r"^### (\w+)$", section("Conditions"), re.MULTILINE)) == set(ConditionType)


def test_every_alert_has_a_section_that_its_link_finds() -> None:
    assert sorted(re.findall(r"^### (\w+)$", section("Alerts"), re.MULTILINE)) == sorted(get_args(AlertName))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    quoted = re.findall(r"`([A-Za-z0-9_./-]+/[A-Za-z0-9_./-]+)`", page.read_text())
    named = {it for it in quoted if it.rpartition(".")[2] in SUFFIXES}
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [it for it in sorted(named) if not (ROOT / it).exists()] == []
    assert [it for it in links if not (page.parent / it).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_say_that_they_need_a_cluster_and_name_what_exists(page: Path) -> None:
    """What `helm` and `kubectl` are told here is run by tests/cluster/test_chart.py, or only looks."""
    for kind, block in re.findall(
        r"^```(console\S*[^\n]*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL
    ):
        assert kind == "console cluster"
        for line in block.splitlines():
            assert re.match(r"\$ (kubectl (get|describe)|helm (install|test)) ", line), line
            for chart in re.findall(r" (helm/\S+)", line):
                assert (ROOT / chart / "Chart.yaml").exists()
