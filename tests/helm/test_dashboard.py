"""The Grafana dashboard, and that it and the alerts ask only for metrics that exist."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.helm.chart import CHART, only, render
from tests.helm.exported_metrics import exported
from tests.helm.promql import metric_names

COLUMNS = 24


def dashboard() -> dict[str, Any]:
    document = only(render("everything"), "ConfigMap", "trial-rl-platform-dashboard")
    assert document["metadata"]["namespace"] == "monitoring"
    assert document["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert document["metadata"]["annotations"] == {"grafana_folder": "RL"}
    (text,) = document["data"].values()
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded


def queries() -> list[str]:
    rows = yaml.safe_load((CHART / "files" / "dashboard.yaml").read_text())["rows"]
    asked = [query for row in rows for panel in row["panels"] for query in panel["queries"]]
    groups = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"]
    return asked + [rule["expr"] for group in groups for rule in group["rules"]]


def test_every_panel_has_queries_and_a_place_of_its_own() -> None:
    panels = dashboard()["panels"]
    assert len({it["id"] for it in panels}) == len(panels) > 15
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or all(it["expr"] for it in panel["targets"])


def test_panels_ask_the_chosen_source_and_only_known_variables() -> None:
    loaded = dashboard()
    variables = {it["name"] for it in loaded["templating"]["list"]}
    assert variables == {"datasource", "namespace", "name"}
    panels = [it for it in loaded["panels"] if it["type"] != "row"]
    assert {it["datasource"]["uid"] for it in panels} == {"${datasource}"}
    assert [target["expr"] for it in panels for target in it["targets"]] == queries()[
        : sum(len(it["targets"]) for it in panels)
    ]


def test_queries_ask_only_for_metrics_that_operator_or_driver_export() -> None:
    asked = {name for query in queries() for name in metric_names(query) if not name.startswith("$")}
    assert len(asked) > 20
    assert asked - exported() == set()


def test_a_metric_that_is_not_exported_would_be_seen() -> None:
    query = (
        'sum by (name) (rate(trainingjob_lost_steps{name=~"$name"}[5m])) > 0.5 * rlp_updates_total offset 1h'
    )
    assert metric_names(query) == {"trainingjob_lost_steps", "rlp_updates_total"}
    assert metric_names(query) - exported() == {"trainingjob_lost_steps"}
