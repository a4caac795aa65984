"""Log lines: what is in them, and what never is."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from rl_operator.logs import Redactor, start_logging
from rl_platform.spec.hiding import HIDDEN

TOKEN = "s3cr3t-api-token"
JOB_TOKEN = "rlp_" + "0123456789abcdef" * 4


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level, factory = root.handlers[:], root.level, logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)  # Ray sets one of its own
    yield root
    root.handlers[:], root.level = handlers, level
    logging.setLogRecordFactory(factory)


def lines(form: str) -> tuple[logging.Logger, io.StringIO]:
    redact, stream = Redactor(), io.StringIO()
    redact.add(lambda: (TOKEN, "short"))
    start_logging("info", form, redact, stream)
    return logging.getLogger("rl_operator.something"), stream


@pytest.mark.usefixtures("root")
def test_a_line_is_one_json_object_with_its_fields() -> None:
    log, stream = lines("json")
    log.info("took %d", 3, extra={"key": ("ns", "a"), "seconds": 1.5})
    log.debug("not told")
    try:
        raise KeyError("what\nnow")
    except KeyError:
        log.exception("failed")
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(it["level"], it["message"]) for it in told] == [("info", "took 3"), ("error", "failed")]
    assert (told[0]["key"], told[0]["seconds"], told[0]["logger"]) == ("ns/a", 1.5, "rl_operator.something")
    assert told[0]["time"].endswith("Z")
    assert "KeyError" in told[1]["exception"]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_is_in_any_part_of_a_line(form: str) -> None:
    log, stream = lines(form)
    log.warning("token %s and %s", TOKEN, JOB_TOKEN, extra={"header": f"Bearer {TOKEN}x", "short": "short"})
    log.warning("Authorization: Bearer some-unknown-token, and more")
    try:
        raise ValueError(f"bad header {TOKEN!r}")
    except ValueError:
        log.exception("sent {'Authorization': 'bearer another-unknown'}")
    text = stream.getvalue()
    for secret in (TOKEN, JOB_TOKEN, "some-unknown-token", "another-unknown"):
        assert secret not in text
    assert text.count(HIDDEN) >= 6
    assert "short" in text, "what is short is no secret: hiding it would hide words"


@pytest.mark.usefixtures("root")
def test_text_is_for_people() -> None:
    log, stream = lines("text")
    log.info("took it", extra={"key": ("ns", "a")})
    assert stream.getvalue().rstrip().endswith("INFO    took it key=ns/a")
