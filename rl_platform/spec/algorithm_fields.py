"""Types of fields that several algorithms have."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Rate = Annotated[float, Field(gt=0, le=10)]
RateInTheEnd = Annotated[float, Field(ge=0, le=10)]
"""What a schedule may make of a `Rate`: that and 0, which a run reaches as it ends."""
Share = Annotated[float, Field(ge=0, le=1)]
Coefficient = Annotated[float, Field(ge=0, le=1e6)]
Norm = Annotated[float, Field(gt=0, le=1e9)]
Rows = Annotated[int, Field(ge=1, le=10**8)]
Ticks = Annotated[int, Field(ge=1, le=100_000)]
Count = Annotated[int, Field(ge=1, le=10**9)]
