"""``make chart``: writes what is generated into helm/rl-platform."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from helm.authoring.rbac_rules import rbac_yaml
from helm.authoring.values_file import values_table, values_yaml
from helm.authoring.values_schema import values_schema_json

CHART = Path(__file__).resolve().parents[1] / "rl-platform"
TABLE = re.compile(r"(?<=<!-- values -->\n).*?(?=<!-- /values -->)", re.DOTALL)


def readme() -> str:
    """The chart's README with its table as it should be."""
    return TABLE.sub(lambda _: values_table(), (CHART / "README.md").read_text())


GENERATED: dict[str, Callable[[], str]] = {
    "values.yaml": values_yaml,
    "values.schema.json": values_schema_json,
    "files/rbac.yaml": rbac_yaml,
    "README.md": readme,
}


def main() -> None:
    for name, text in GENERATED.items():
        (CHART / name).write_text(text())


if __name__ == "__main__":
    main()
