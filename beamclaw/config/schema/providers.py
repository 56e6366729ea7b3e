"""Model providers, and what is known of their models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

from beamclaw.config.models import DEFAULT_MODELS
from beamclaw.config.schema.fields import Count, Seconds, Wait, hidden, key, table
from beamclaw.contracts.secret import Secret
from beamclaw.values import frozen

CacheRetention = Literal["none", "short", "long"]
ThinkingForm = Literal["budget", "either", "adaptive", "default", "always"]
Keys = Secret | tuple[Secret, ...] | None


@frozen(kw_only=True)
class ModelInfo:
    """What is known of one model of a provider."""

    context_window: Count | None = key(
        None, "Tokens the model reads and writes at most, all in all."
    )
    max_output: Count | None = key(
        None,
        "Tokens the model writes at most. Without it what is known of the model, else\n"
        "4096, and at most a quarter of a context_window that is set here.",
    )
    input_price: Wait | None = key(None, "Dollars for a million tokens it reads.")
    output_price: Wait | None = key(None, "Dollars for a million tokens it writes.")
    cached_price: Wait | None = key(
        None, "Dollars for a million tokens that it had read before."
    )
    stored_price: Wait | None = key(
        None,
        "Dollars for a million tokens that it keeps to read them again. Without it, with\n"
        "api anthropic, 1.25 times the input_price for five minutes, 2 times for an hour.",
    )
    thinking: ThinkingForm | None = key(
        None,
        "How it is told to think (api anthropic): budget, by a number of tokens;\n"
        "adaptive, by an effort, and it takes no temperature; either; default, as\n"
        "adaptive, but it thinks unless it is told not to; always, it cannot be told.\n"
        "Without one, by a budget until it refuses that.",
    )


@frozen(kw_only=True)
class ProviderConfig:
    """A model provider under a name of your choice."""

    api: str = key(
        "demo",
        "Which protocol it speaks: openai, anthropic, demo, or one of a package that is\n"
        "installed. May be left out where the name says it.",
    )
    base_url: str | None = key(
        None,
        "Where it is, with the version: http://127.0.0.1:9999/v1. Without one, the\n"
        "provider's public address.",
    )
    api_key: Keys = key(
        None,
        "Its key. Better as ${VARIABLE} than written out here. A list of several is\n"
        "used in turns: each has the limits below for itself, and one that is limited\n"
        "or refused is passed over.",
    )
    default_model: str | None = key(
        None, "Which model is meant where only the provider is named."
    )
    max_concurrent: Count = key(1000, "Calls in progress at once, at most.")
    max_waiting: Count = key(
        10_000, "Calls that wait for their turn, at most; one more is refused."
    )
    requests_per_minute: Count | None = key(
        None, "Calls that begin within a minute, at most."
    )
    tokens_per_minute: Count | None = key(
        None,
        "Tokens that calls read and write within a minute, at most: by what they may\n"
        "need when they begin, by what they did need when they end.",
    )
    breaker_failures: Count = key(
        5,
        "Calls that fail one after the other as if the provider was ill: then it is\n"
        "left alone for a while.",
    )
    breaker_window: Seconds = key(60.0, "Seconds within which they fail.")
    breaker_first: Seconds = key(
        5.0,
        "Seconds that it is left alone; then one call is made as a probe. Doubled for\n"
        "each probe that fails.",
    )
    breaker_most: Seconds = key(120.0, "The longest such wait.")
    key_hold: Seconds = key(
        300.0,
        "Seconds that a key is left alone which was refused or has no credit left.",
    )
    connect_timeout: Seconds = key(10.0, "Seconds to connect.")
    idle_timeout: Seconds = key(
        120.0, "Seconds between two bytes of an answer (also before the first)."
    )
    max_seconds: Seconds = key(1800.0, "Seconds of a whole call.")
    max_attempts: Count = key(
        3, "How often a turn calls the model, if calls fail in a way that passes."
    )
    retry_first: Seconds = key(
        0.5, "Seconds before the second attempt; doubled for each further one."
    )
    retry_most: Seconds = key(
        30.0,
        "The longest wait before an attempt. A provider that asks for more is obeyed "
        "up to four times this; beyond, the turn ends and says so.",
    )
    headers: Mapping[str, str] = table(
        "Headers to send along, for a proxy that wants them.", repr=hidden
    )
    models: Mapping[str, ModelInfo] = table("What is known of its models, by name.")
    return_thinking: bool = key(
        True,  # noqa: FBT003 -- the default
        "api openai only: whether what a model has thought is sent back to it, in the\n"
        "field in which it came. Several want it; one that refuses it is asked again\n"
        "without.",
    )
    cache_retention: CacheRetention = key(
        "short",
        "api anthropic only: how long the provider keeps a conversation, which is then\n"
        "cheaper to read again: short, five minutes; long, an hour; none, it does not.",
    )
    script: Path | None = key(
        None, "api demo only: a file with what to answer, in place of its own."
    )
    delay: Wait = key(0.02, "api demo only: seconds between two words.")
    # Filled in by the loader, no key: says in an error message where the key is from.
    key_source: str = attrs.field(default="", metadata={"internal": True})

    @property
    def keys(self) -> tuple[Secret, ...]:
        """Its keys; there may be none."""
        keys = self.api_key
        return keys if isinstance(keys, tuple) else () if keys is None else (keys,)

    @property
    def key_count(self) -> int:
        """How many permit servers it has: without any key there is one, too."""
        return max(1, len(self.keys))

    @property
    def chosen_model(self) -> str:
        """The model that is meant where only the provider is named."""
        return self.default_model or DEFAULT_MODELS.get(self.api, "")
