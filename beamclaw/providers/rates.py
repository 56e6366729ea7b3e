"""What a provider's headers say is left of its limits. No I/O."""

import datetime as dt
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from beamclaw.contracts.providers import Rates

# How OpenAI and those like it name a kind of limit, and how Anthropic does.
_REQUESTS: Final = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
)
_TOKENS: Final = (
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
)
_PIECES: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

LONGEST: Final = 120.0
"""Seconds that such a header can hold up anybody; refusals say more, and are obeyed."""


def rates(headers: Mapping[str, str]) -> Rates | None:
    """What *headers* say; None: nothing that can be understood."""
    requests = _first(headers, _REQUESTS)
    tokens = _first(headers, _TOKENS)
    if requests is None and tokens is None:
        return None
    return Rates(
        requests=None if requests is None else requests[0],
        requests_reset=0.0 if requests is None else requests[1],
        tokens=None if tokens is None else tokens[0],
        tokens_reset=0.0 if tokens is None else tokens[1],
    )


def _first(
    headers: Mapping[str, str], pairs: tuple[tuple[str, str], ...]
) -> tuple[int, float] | None:
    for remaining, reset in pairs:
        left = headers.get(remaining, "").strip()
        seconds = _seconds(headers.get(reset, ""), headers.get("date", ""))
        if left.isascii() and left.isdecimal() and seconds is not None:
            return int(left), min(seconds, LONGEST)
    return None


def _seconds(text: str, date: str) -> float | None:
    """``1s``, ``6m0s``, ``20ms``, ``30`` or a moment, which counts from *date*."""
    text = text.strip()
    pieces = _PIECES.findall(text)
    if pieces and "".join(map("".join, pieces)) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in pieces)
    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return float(text)
    try:
        until = dt.datetime.fromisoformat(text)
        now = parsedate_to_datetime(date)
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None
