"""What rules between fields are written with, in the language that the API server understands (CEL).

``self`` is the spec in all of them: at the root of an object the server's estimate of a rule's cost is not
multiplied by the length of lists. https://kubernetes.io/docs/reference/using-api/cel/
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from rl_platform.spec.fields import SpecModel

_VALUE = re.compile(r"<([^>]+)>")


class CelRule(NamedTuple):
    """A rule of ``x-kubernetes-validations``.

    ``message`` may hold CEL in angle brackets, such as ``<self.rollouts.replicas>``: its value is printed.
    ``path`` is the field that the message is about, from the spec: ``stop.envSteps``.
    """

    path: str
    rule: str
    message: str

    def schema(self) -> dict[str, Any]:
        """As the CustomResourceDefinition has it."""
        rule = {"rule": self.rule, "fieldPath": f".{self.path}"}
        parts = _VALUE.split(self.message)
        if len(parts) == 1:
            return {**rule, "message": self.message}
        # Not `+`: the server cannot bound the length of string(…), and then takes the cost to be endless.
        form = "%s".join(it.replace("%", "%%") for it in parts[::2])
        return {**rule, "messageExpression": f"{_quoted(form)}.format([{', '.join(parts[1::2])}])"}


def names_of(model: type[SpecModel]) -> list[str]:
    """The fields of a model as a manifest spells them."""
    return [info.alias or name for name, info in model.model_fields.items()]


def one_of(place: str, names: list[str]) -> str:
    """Whether exactly one of these optional fields is set."""
    return f"[{', '.join(f'has({place}.{name})' for name in names)}].exists_one(given, given)"


def names_set(place: str, names: list[str]) -> str:
    """A text that says which of the optional fields are set, where it is not exactly one."""
    given = " + ".join(f"(has({place}.{name}) ? [{_quoted(name)}] : [])" for name in names)
    return f"size({given}) == 0 ? 'none is set' : '%s are set'.format([{given}])"


def distinct(path: str) -> CelRule:
    """Names are unique within a list."""
    place = f"self.{path}"
    alone = f"{place}.exists_one(other, other.name == one.name)"
    return CelRule(
        path,
        f"{place}.all(one, {alone})",
        f"'<{place}.filter(one, !{alone})[0].name>' is given twice; every name once",
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
