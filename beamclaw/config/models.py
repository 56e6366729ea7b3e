"""Which model is asked when a configuration names only the provider.

Data, not a judgement: small, cheap and known to exist in August 2026. A
configuration replaces it by ``providers.<name>.default_model``, the environment by
``BEAMCLAW_MODEL``.
"""

from collections.abc import Mapping
from typing import Final, Literal

Api = Literal["openai", "anthropic", "demo"]

APIS: Final[tuple[Api, ...]] = ("openai", "anthropic", "demo")

DEFAULT_MODELS: Final[Mapping[str, str]] = {
    "openai": "gpt-5.4-mini",
    "anthropic": "claude-haiku-4-5",
    "demo": "demo",
}
