"""What is known of models: ``models.yaml`` beside this file, read when first asked for.

The configuration goes before it (``providers.<name>.models``), and a model that is in
neither works, with cautious defaults.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from beamclaw.config.schema import ModelInfo

MAX_OUTPUT: Final = 4096
"""Tokens of an answer where nothing is known of the model, and an API wants a limit."""

# What a dated form adds to the name: -20250929 or -2025-09-29.
_DATE = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")


@functools.cache
def load(path: Path | None = None) -> Mapping[str, ModelInfo]:
    """The table by model name; *path* names another file than our own."""
    import yaml  # noqa: PLC0415 - 20 ms that a start without this table does not need

    text = (path or Path(__file__).with_name("models.yaml")).read_text("utf-8")
    models: dict[str, dict[str, Any]] = yaml.safe_load(text)["models"]
    return {name: ModelInfo(**fields) for name, fields in models.items()}


def known(model: str, configured: Mapping[str, ModelInfo]) -> ModelInfo:
    """What is known of *model*; figures of the configuration go before our own."""
    name = _DATE.sub("", model)
    mine = configured.get(model) or configured.get(name) or ModelInfo()
    if mine.context_window is not None and mine.max_output is not None:
        return mine
    ours = load().get(name) or ModelInfo()
    return ModelInfo(
        context_window=mine.context_window or ours.context_window,
        max_output=mine.max_output or ours.max_output,
    )


def max_output(model: str, configured: Mapping[str, ModelInfo]) -> int:
    """The limit of output tokens to send for *model* where the request has none."""
    return known(model, configured).max_output or MAX_OUTPUT
