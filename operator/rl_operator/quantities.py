"""Kubernetes quantities as whole numbers."""

from __future__ import annotations

import math
import re
from decimal import Decimal

_FACTORS = {"m": Decimal(1) / 1000, "": Decimal(1), "k": Decimal(1000)}
_FACTORS |= {suffix: Decimal(1000) ** power for power, suffix in enumerate("MGTPE", start=2)}
_FACTORS |= {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)}


def value(quantity: str) -> Decimal:
    """Raises ValueError for what the spec's pattern does not allow either."""
    found = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity)
    if found is None or found[2] not in _FACTORS:
        raise ValueError(f"{quantity!r} is not a quantity")
    return Decimal(found[1]) * _FACTORS[found[2]]


def whole(quantity: str) -> int:
    """Rounded up, as KubeRay does with CPUs."""
    return math.ceil(value(quantity))


def whole_bytes(quantity: str) -> int:
    """Rounded down."""
    return int(value(quantity))
