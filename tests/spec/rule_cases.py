"""For every rule between fields: specs that keep it and specs that break it, at least two of each.

Pydantic is asked in tests/spec, a real API server in tests/apiserver.
"""

from __future__ import annotations

from tests.spec.learning_rule_cases import LEARNING_RULE_CASES
from tests.spec.running_rule_cases import RUNNING_RULE_CASES

RULE_CASES = [*LEARNING_RULE_CASES, *RUNNING_RULE_CASES]
