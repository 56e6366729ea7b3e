"""What is known of models: a table from public documentation, made in November 2026.

The configuration goes before it (``providers.<name>.models``), and a model that is in
neither works, with cautious defaults. Models whose figures were not certain on the date
of the table are left out on purpose.
"""

import re
from collections.abc import Mapping
from typing import Final

import attrs

from beamclaw.config.schema import (
    CacheRetention,
    ModelInfo,
    ProviderConfig,
    ThinkingForm,
)
from beamclaw.contracts.budgets import Price

WINDOW: Final = 128_000
"""Tokens that a model reads and writes of which nothing is known."""

MAX_OUTPUT: Final = 4096
"""Tokens that a model is told to stop at of which nothing is known."""

# A name also covers its dated forms: -20250929 or -2025-09-29 behind it.
_DATE = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")

_Row = tuple[str, int, int, float, float, float, ThinkingForm | None]
_ROWS: Final[tuple[_Row, ...]] = (
    ("gpt-4.1", 1_047_576, 32_768, 2.0, 8.0, 0.5, None),
    ("gpt-4.1-mini", 1_047_576, 32_768, 0.4, 1.6, 0.1, None),
    ("gpt-4.1-nano", 1_047_576, 32_768, 0.1, 0.4, 0.025, None),
    ("gpt-4o", 128_000, 16_384, 2.5, 10.0, 1.25, None),
    ("gpt-4o-mini", 128_000, 16_384, 0.15, 0.6, 0.075, None),
    ("gpt-5", 400_000, 128_000, 1.25, 10.0, 0.125, None),
    ("gpt-5-mini", 400_000, 128_000, 0.25, 2.0, 0.025, None),
    ("gpt-5-nano", 400_000, 128_000, 0.05, 0.4, 0.005, None),
    ("gpt-5.1", 400_000, 128_000, 1.25, 10.0, 0.125, None),
    ("gpt-5.2", 400_000, 128_000, 1.75, 14.0, 0.175, None),
    ("gpt-5.4-mini", 400_000, 128_000, 0.75, 4.5, 0.075, None),
    ("gpt-5.4-nano", 400_000, 128_000, 0.2, 1.25, 0.02, None),
    ("claude-opus-4-1", 200_000, 32_000, 15.0, 75.0, 1.5, "budget"),
    ("claude-opus-4-5", 200_000, 64_000, 5.0, 25.0, 0.5, "budget"),
    ("claude-opus-4-6", 1_000_000, 128_000, 5.0, 25.0, 0.5, "either"),
    ("claude-opus-4-7", 1_000_000, 128_000, 5.0, 25.0, 0.5, "adaptive"),
    ("claude-opus-4-8", 1_000_000, 128_000, 5.0, 25.0, 0.5, "adaptive"),
    ("claude-opus-5", 1_000_000, 128_000, 5.0, 25.0, 0.5, "default"),
    ("claude-opus-5-5", 1_000_000, 128_000, 4.0, 20.0, 0.2, "always"),
    ("claude-sonnet-4-5", 200_000, 64_000, 3.0, 15.0, 0.3, "budget"),
    ("claude-sonnet-4-6", 1_000_000, 128_000, 3.0, 15.0, 0.3, "either"),
    ("claude-sonnet-5", 1_000_000, 128_000, 2.0, 10.0, 0.2, "default"),
    # It can only be told not to think ahead of its tools, in a way of its own.
    ("claude-sonnet-5-5", 1_000_000, 128_000, 2.0, 10.0, 0.2, "always"),
    ("claude-haiku-4-5", 200_000, 64_000, 1.0, 5.0, 0.1, "budget"),
    ("claude-fable-5", 1_000_000, 128_000, 10.0, 50.0, 1.0, "always"),
)

# What Anthropic asks for tokens that it keeps, in prices of those that it only reads.
_STORED: Final[Mapping[CacheRetention, float]] = {
    "none": 1.0,
    "short": 1.25,
    "long": 2.0,
}

MODELS: Final[Mapping[str, ModelInfo]] = {
    name: ModelInfo(
        context_window=window,
        max_output=output,
        input_price=reads,
        output_price=writes,
        cached_price=cached,
        thinking=thinking,
    )
    for name, window, output, reads, writes, cached, thinking in _ROWS
}
"""Tokens that a model reads and writes at most, and dollars for a million of them; and
how it is told to think."""


def known(model: str, configured: Mapping[str, ModelInfo]) -> ModelInfo:
    """What is known of *model*; figures of the configuration go before our own."""
    mine = _configured(model, configured)
    ours = MODELS.get(_DATE.sub("", model)) or ModelInfo()
    fields = [field.name for field in attrs.fields(ModelInfo)]
    given = {field: getattr(mine, field) for field in fields}
    return attrs.evolve(
        ours, **{field: value for field, value in given.items() if value is not None}
    )


def _configured(model: str, configured: Mapping[str, ModelInfo]) -> ModelInfo:
    name = _DATE.sub("", model)
    return configured.get(model) or configured.get(name) or ModelInfo()


def price(model: str, provider: ProviderConfig) -> Price | None:
    """What a call of *model* of *provider* costs; None where a price is not known."""
    found = known(model, provider.models)
    if found.input_price is None or found.output_price is None:
        return None
    stored = found.stored_price
    if stored is None and provider.api == "anthropic":
        stored = found.input_price * _STORED[provider.cache_retention]
    return Price(
        input=found.input_price,
        output=found.output_price,
        cached=found.cached_price,
        stored=stored,
    )


def max_output(model: str, configured: Mapping[str, ModelInfo]) -> int:
    """Tokens that *model* is told to stop at, where nobody says otherwise.

    Where only its window is configured, at most a quarter of that: else an answer would
    leave a small one no room for a conversation.
    """
    mine = _configured(model, configured)
    most = known(model, configured).max_output or MAX_OUTPUT
    if mine.max_output is None and mine.context_window is not None:
        return max(1, min(most, mine.context_window // 4))
    return most


def window(model: str, configured: Mapping[str, ModelInfo]) -> int:
    """Tokens that *model* reads and writes at most."""
    return known(model, configured).context_window or WINDOW


def thinking(model: str, configured: Mapping[str, ModelInfo]) -> ThinkingForm | None:
    """How *model* is told to think; None: nobody knows."""
    return known(model, configured).thinking
