"""Texts of others, an exception's message for one, which may be of any length."""

from __future__ import annotations

MESSAGE_CHARACTERS = 2_000
TRACEBACK_CHARACTERS = 20_000


def shortened(text: str, most: int = MESSAGE_CHARACTERS) -> str:
    """The beginning and the end of a text of more than ``most`` characters, and how much is left out."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} [{len(text) - 2 * half:,} characters are left out here] {text[-half:]}"
