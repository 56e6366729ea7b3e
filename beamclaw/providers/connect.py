"""From a provider's configuration to a connection."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import attrs

from beamclaw.config.schema import Config, ProviderConfig
from beamclaw.contracts.providers import Provider
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.tracing import Peer
from beamclaw.providers.catalogue import max_output, thinking
from beamclaw.providers.demo import Demo
from beamclaw.providers.errors import Failures, show_url
from beamclaw.providers.plugins import Plugins

if TYPE_CHECKING:
    from beamclaw.providers._wire import Wire

BASE_URLS: Final[Mapping[str, str]] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
}
_CHAT: Final = "/chat/completions"
_EMBEDDINGS: Final = "/embeddings"
_MESSAGES: Final = "/v1/messages"
_OFFICIAL = re.compile(r"https://([\w-]+\.)*openai\.com(/|$)")
# The version of its protocol that we speak.
_VERSION: Final = "2023-06-01"
# The environment that fills the provider of the same name.
_VARIABLES: Final[Mapping[str, str]] = {"openai": "OPENAI", "anthropic": "ANTHROPIC"}

_NO_PLUGINS = Plugins()


def connect(
    name: str,
    config: ProviderConfig,
    key: int = 0,
    plugins: Plugins = _NO_PLUGINS,
) -> Provider:
    """A connection to provider *name*; nothing is opened before the first call.

    *key* is which of its keys is used, 0 the first; *plugins* speak what is not ours.

    Settings that cannot work (an address that is none, a key with a line break) are
    told by each call, as :class:`~beamclaw.contracts.providers.ProviderError`.
    """
    if config.keys:
        # From here on it has one key.
        source = config.key_source or f"providers.{name}.api_key"
        nth = f" (key {key + 1} of {len(config.keys)})" if len(config.keys) > 1 else ""
        config = attrs.evolve(
            config, api_key=config.keys[key], key_source=f"{source}{nth}"
        )
    match config.api:
        case "demo":
            return Demo(name, delay=config.delay, script=config.script)
        case "openai":
            return _openai(name, config)
        case "anthropic":
            return _anthropic(name, config)
        case _:
            return plugins.connect(name, config)


# The HTTP client takes a tenth of a second to import; a node must be listening before
# that, and one with `demo` never needs it. Hence the imports inside.
_MODULES: Final = {
    "openai": "beamclaw.providers.openai",
    "anthropic": "beamclaw.providers.anthropic",
}


def loader(config: ProviderConfig) -> Callable[[], object] | None:
    """What loads all that connections to a provider are made of, which takes a while.

    None: there is nothing to load.
    """
    module = _MODULES.get(config.api)
    if module is None:
        return None
    return partial(_load, module, tls=_base(config).startswith("https:"))


def _load(module: str, *, tls: bool) -> None:
    from beamclaw.providers._wire import load  # noqa: PLC0415

    import_module(module)
    load(tls=tls)


def _openai(name: str, config: ProviderConfig) -> Provider:
    from beamclaw.providers.openai import OpenAI  # noqa: PLC0415

    base = _base(config)
    failures = _failures(name, config, base)
    mine = _proof_openai(config)
    return OpenAI(
        name,
        _wire(config, failures, f"{base}{_CHAT}", mine),
        failures,
        vectors=_wire(config, failures, f"{base}{_EMBEDDINGS}", mine),
        official=_OFFICIAL.match(base) is not None,
        returns=config.return_thinking,
    )


def _anthropic(name: str, config: ProviderConfig) -> Provider:
    from beamclaw.providers.anthropic import Anthropic  # noqa: PLC0415

    base = _base(config)
    failures = _failures(name, config, base)
    wire = _wire(config, failures, f"{base}{_MESSAGES}", _proof_anthropic(config))
    limit = partial(max_output, configured=config.models)
    form = partial(thinking, configured=config.models)
    return Anthropic(
        name,
        wire,
        failures,
        max_output=limit,
        thinking=form,
        retention=config.cache_retention,
    )


def _wire(
    config: ProviderConfig, failures: Failures, url: str, mine: Mapping[str, str]
) -> "Wire":
    from beamclaw.providers._wire import Deadlines, Wire  # noqa: PLC0415

    headers = {
        "accept": "text/event-stream",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": "beamclaw",
        **mine,
        **_named(config),
    }
    refuse = None
    if not _is_url(url):
        refuse = failures.unusable_url
    elif not _fits_header(_key(config)):
        refuse = failures.unusable_key
    elif not all(map(_fits_header, (*config.headers, *config.headers.values()))):
        refuse = failures.unusable_headers
    deadlines = Deadlines(
        connect=config.connect_timeout,
        idle=config.idle_timeout,
        whole=config.max_seconds,
    )
    return Wire(
        url=url, headers=headers, deadlines=deadlines, failures=failures, refuse=refuse
    )


def _failures(name: str, config: ProviderConfig, base: str) -> Failures:
    # Under another name than the API's, the environment does not reach it.
    prefix = _VARIABLES[config.api] if name == config.api else ""
    key = _key(config)
    return Failures(
        provider=name,
        address=show_url(base),
        key=Secret(key) if key else None,
        others=tuple(map(Secret, config.headers.values())),
        key_source=config.key_source or f"providers.{name}.api_key",
        key_variable=prefix and f"{prefix}_API_KEY",
        url_variable=prefix and f"{prefix}_BASE_URL",
    )


def models_question(config: ProviderConfig) -> tuple[str, Mapping[str, str]] | None:
    """A request that costs nothing, for the list of models: its address and headers.

    None: the API is none of ours, or has no list.
    """
    if config.api == "openai":
        address, proof = f"{_base(config)}/models", _proof_openai(config)
    elif config.api == "anthropic":
        address, proof = f"{_base(config)}/v1/models", _proof_anthropic(config)
    else:
        return None
    return address, {"user-agent": "beamclaw", **proof, **_named(config)}


def peers(config: Config) -> Mapping[str, Peer]:
    """Whom the providers of *config* stand for, by their names; without secrets."""
    return {name: _peer(each) for name, each in config.providers.items()}


def _peer(config: ProviderConfig) -> Peer:
    if config.api not in BASE_URLS or not _is_url(_base(config)):
        return Peer(config.api)
    base = show_url(_base(config))
    if config.api == "anthropic":
        return Peer("anthropic", f"{base}{_MESSAGES}")
    return Peer("openai", f"{base}{_CHAT}", f"{base}{_EMBEDDINGS}")


def _base(config: ProviderConfig) -> str:
    base = (config.base_url or BASE_URLS[config.api]).strip().rstrip("/")
    return base.removesuffix("/v1") if config.api == "anthropic" else base


def _proof_openai(config: ProviderConfig) -> Mapping[str, str]:
    key = _key(config)
    return {"authorization": f"Bearer {key}"} if key else {}


def _proof_anthropic(config: ProviderConfig) -> Mapping[str, str]:
    key = _key(config)
    return {"anthropic-version": _VERSION} | ({"x-api-key": key} if key else {})


def _named(config: ProviderConfig) -> Mapping[str, str]:
    return {name.lower(): value for name, value in config.headers.items()}


def _key(config: ProviderConfig) -> str:
    return config.keys[0].reveal().strip() if config.keys else ""


def _fits_header(value: str) -> bool:
    return value.isascii() and (not value or value.isprintable())


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
        )
    except ValueError:
        return False
