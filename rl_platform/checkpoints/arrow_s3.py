"""Amazon's object store and others that speak its protocol, through pyarrow where s3fs is not installed.

pyarrow comes with MLflow and asks for nothing else; s3fs needs an older python-dateutil than the client of
Kubernetes takes.
"""

from __future__ import annotations

import os
from typing import Any

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


def open_s3() -> Any:
    """An fsspec file system; credentials, region and endpoint as Amazon's own tools take them.

    Raises ImportError where pyarrow is missing.
    """
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import S3FileSystem

    given = {"endpoint_override": _first(ENDPOINTS), "region": _first(REGIONS)}
    return ArrowFSWrapper(S3FileSystem(**{name: value for name, value in given.items() if value}))


def _first(variables: tuple[str, ...]) -> str | None:
    return next((value for name in variables if (value := os.environ.get(name))), None)
