"""What is known of models: a table from public documentation, made in August 2026.

The configuration goes before it (``providers.<name>.models``), and a model that is in
neither works, with cautious defaults. Models whose figures were not certain on the date
of the table are left out on purpose.
"""

import re
from collections.abc import Mapping
from typing import Final

from beamclaw.config.schema import ModelInfo

MAX_OUTPUT: Final = 4096
"""Tokens of an answer where nothing is known of the model, and an API wants a limit."""

# A name also covers its dated forms: -20250929 or -2025-09-29 behind it.
_DATE = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")

MODELS: Final[Mapping[str, ModelInfo]] = {
    name: ModelInfo(context_window=window, max_output=output)
    for name, window, output in (
        ("gpt-4.1", 1_047_576, 32_768),
        ("gpt-4.1-mini", 1_047_576, 32_768),
        ("gpt-4.1-nano", 1_047_576, 32_768),
        ("gpt-4o", 128_000, 16_384),
        ("gpt-4o-mini", 128_000, 16_384),
        ("gpt-5", 400_000, 128_000),
        ("gpt-5-mini", 400_000, 128_000),
        ("gpt-5-nano", 400_000, 128_000),
        ("gpt-5.1", 400_000, 128_000),
        ("gpt-5.2", 400_000, 128_000),
        ("claude-opus-4-1", 200_000, 32_000),
        ("claude-opus-4-5", 200_000, 64_000),
        ("claude-sonnet-4-5", 200_000, 64_000),
        ("claude-haiku-4-5", 200_000, 64_000),
    )
}
"""Tokens that a model reads, and writes, at most."""


def known(model: str, configured: Mapping[str, ModelInfo]) -> ModelInfo:
    """What is known of *model*; figures of the configuration go before our own."""
    name = _DATE.sub("", model)
    mine = configured.get(model) or configured.get(name) or ModelInfo()
    ours = MODELS.get(name) or ModelInfo()
    return ModelInfo(
        context_window=mine.context_window or ours.context_window,
        max_output=mine.max_output or ours.max_output,
    )


def max_output(model: str, configured: Mapping[str, ModelInfo]) -> int:
    """Tokens to expect of *model* at most, where the request sets no limit."""
    return known(model, configured).max_output or MAX_OUTPUT
