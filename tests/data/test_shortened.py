"""Texts of others are kept in part where they are long, and say so."""

from __future__ import annotations

import pytest

from rl_platform.data.shortened import shortened


@pytest.mark.parametrize("text", ["", "short", "x" * 100])
def test_what_is_short_enough_stays_as_it_is(text: str) -> None:
    assert shortened(text, 100) == text


def test_of_a_long_text_both_ends_are_kept_and_what_was_cut_is_told() -> None:
    text = shortened("begin" + "x" * 5_000_000 + "end", 100)
    assert text.startswith("beginx")
    assert text.endswith("xend")
    assert "[4,999,908 characters are left out here]" in text
    assert len(text) < 150
