"""The patterns of texts in a manifest, each with a sentence that says what fits it."""

from __future__ import annotations

_MODULE = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
_SOLID = r"[^\x00-\x20\x7f]"  # not \S: the API server, written in Go, takes other characters for spaces

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
OBJECT_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
NO_SPACE = rf"^{_SOLID}+$"
TRACKING_URI = (
    rf"^(https?://[^/:\x00-\x20\x7f]{_SOLID}*|sqlite(\+[a-z]+)?:///{_SOLID}+"
    rf"|(postgresql|mysql|mssql)(\+[a-z0-9]+)?://{_SOLID}+|(databricks|databricks-uc|uc)(:{_SOLID}+)?)$"
)  # what MLflow keeps runs and models in; its own file store is refused by MLflow itself
ENTRYPOINT = rf"^{_MODULE}:{_MODULE}$"
MODULE_OR_ENTRYPOINT = rf"^{_MODULE}(:{_MODULE})?$"
LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
QUANTITY = r"^[0-9]+(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
MOUNT_PATH = r"^/[^:]*$"
ABSOLUTE_PATH = r"^/"
VERSION = r"^[0-9]+\.[0-9]+\.[0-9]+$"
MODEL_NAME = r"^[^/:@]+$"
ALIAS = r"^[A-Za-z_-][A-Za-z0-9_-]*$"
TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})$"
DIGEST = r"^[A-Za-z0-9:_-]+$"
REASON = r"^[A-Za-z][A-Za-z0-9]*$"

SENTENCES = {
    DNS_LABEL: "lower-case letters, digits and dashes are allowed, with a letter or digit at both ends",
    OBJECT_NAME: "lower-case letters, digits, dashes, dots are allowed, with a letter or digit at both ends",
    NO_SPACE: "it may not hold spaces",
    TRACKING_URI: "it must be a server, http://HOST:PORT, or a database, such as sqlite:///runs/mlflow.db",
    ENTRYPOINT: "it must be module:name, such as my_package.my_module:make",
    MODULE_OR_ENTRYPOINT: "it must be module or module:name, such as my_package.my_module",
    LABEL_VALUE: "letters, digits, dashes, dots, underscores are allowed, a letter or digit at both ends",
    QUANTITY: "it must be a quantity, such as 2, 500m or 8Gi",
    VARIABLE: "letters, digits and underscores are allowed, and no digit at the start",
    MOUNT_PATH: "it must be an absolute path without a colon, such as /data",
    ABSOLUTE_PATH: "it must be an absolute path, such as /app",
    VERSION: "it must be three numbers, such as 2.60.0",
    MODEL_NAME: "it may not hold /, : or @",
    ALIAS: "letters, digits, dashes and underscores are allowed, and no digit at the start",
    TIME: "it must be a time, such as 2026-01-31T12:00:00Z",
    DIGEST: "letters, digits, colons, dashes and underscores are allowed",
    REASON: "it must be one CamelCase word",
}
