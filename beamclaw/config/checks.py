"""Rules that take more than one value, or more than its type, to check."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from beamclaw.config import (
    auth_checks,
    hook_checks,
    sandbox_checks,
    tool_checks,
    web_checks,
)
from beamclaw.config.document import child
from beamclaw.config.installed import PROVIDERS, found
from beamclaw.config.models import APIS
from beamclaw.config.problems import Problem, Where
from beamclaw.config.schema import (
    AgentToolsConfig,
    Config,
    GatewayConfig,
    ProviderConfig,
)
from beamclaw.config.script import ScriptError, read_script
from beamclaw.config.structure import nearest
from beamclaw.contracts import keys
from beamclaw.contracts.command_policy import BadRule, Rule
from beamclaw.contracts.subagents import ANY

SHORTEST_TOKEN: Final = auth_checks.SHORTEST_SECRET
_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VISIBLE = re.compile(r"[!-~]+")
_BASE_PATH = re.compile(r"/|(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?")
# First parts of paths that the gateway answers itself.
_TAKEN = frozenset(
    ("api", "health", "healthz", "hooks", "ready", "readyz", "startupz", "tools", "v1")
)

At = Callable[[str], Where]
Found = Iterator[tuple[str, str]]


def check(config: Config, at: At) -> list[Problem]:
    """Everything that is wrong with *config*, although each value has its type.

    Args:
        config: What was read.
        at: Where the value of a path was written.
    """
    parts = (_providers, _agents, _sessions, _gateway, _tools, _commands, _telemetry)
    rules = (*parts, web_checks.errors)
    return _told(config, at, rules)


def doubts(config: Config, at: At) -> list[Problem]:
    """What is probably a mistake, although it can be used."""
    return _told(config, at, (tool_checks.doubts, auth_checks.doubts))


def _told(
    config: Config, at: At, rules: Iterable[Callable[[Config], Found]]
) -> list[Problem]:
    return [
        Problem(at(path), path, message)
        for rule in rules
        for path, message in rule(config)
    ]


def _providers(config: Config) -> Found:
    for name, provider in config.providers.items():
        path = child("providers", name)
        if not _PROVIDER.fullmatch(name):
            yield path, "a provider's name has letters, digits and ._- only"
        yield from _api(path, provider)
        if provider.base_url is not None:
            yield from _url(f"{path}.base_url", provider.base_url)
        for key in provider.keys:
            yield from _credential(f"{path}.api_key", key.reveal())
        if isinstance(provider.api_key, tuple) and not provider.api_key:
            yield f"{path}.api_key", "is an empty list; leave it out, or write null"
        yield from _headers(f"{path}.headers", provider.headers)
        if provider.retry_first > provider.retry_most:
            yield f"{path}.retry_first", "is more than retry_most"
        if provider.breaker_first > provider.breaker_most:
            yield f"{path}.breaker_first", "is more than breaker_most"
        if provider.api != "demo" and provider.script is not None:
            yield f"{path}.script", "is for api: demo only"
        elif provider.script is not None:
            yield from _script(f"{path}.script", provider.script)


def _script(path: str, script: Path) -> Found:
    try:
        read_script(script)
    except ScriptError as error:
        yield path, f"cannot be used: {error}; put it right, or leave script out"


def _telemetry(config: Config) -> Found:
    wanted = config.telemetry.otlp
    if wanted.endpoint is not None:
        yield from _url("telemetry.otlp.endpoint", wanted.endpoint)
    yield from _headers("telemetry.otlp.headers", wanted.headers)


def _api(path: str, provider: ProviderConfig) -> Found:
    api = provider.api
    if api in APIS:
        return
    known = (*APIS, *found(PROVIDERS))
    if api not in known:
        hint = nearest(api, known)
        words = f"expected one of {', '.join(known)}, found the text {json.dumps(api)}"
        yield f"{path}.api", f"{words}{hint}"
    elif not provider.default_model:
        yield f"{path}.default_model", f"is missing; nobody knows one for api: {api}"


def _commands(config: Config) -> Found:
    for place, rule in enumerate(config.tools.exec.allow):
        try:
            Rule.parse(rule)
        except BadRule as error:
            yield f"tools.exec.allow[{place}]", str(error)


def _headers(path: str, headers: Mapping[str, str]) -> Found:
    for name, value in headers.items():
        if not _VISIBLE.fullmatch(name) or ":" in name:
            yield path, "a header's name has visible characters only"
        elif not re.fullmatch(r"[ -~]*", value):
            yield child(path, name), "expected one line of plain ASCII"


def _url(path: str, url: str) -> Found:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
        sound = sound and parts.port != 0 and bool(_VISIBLE.fullmatch(url))
    except ValueError:
        sound, parts = False, urlsplit("")
    if not sound:
        yield path, "expected an address like http://127.0.0.1:9999/v1"
    elif parts.username is not None or parts.password is not None:
        yield path, "must not hold a name or password; use api_key or headers"
    elif parts.query or parts.fragment:
        yield path, "must end with its path, without ? or #"


def _credential(path: str, value: str) -> Found:
    if not value:
        yield path, "is empty"
    elif not _VISIBLE.fullmatch(value):
        yield path, "has blanks, line breaks or characters that are not ASCII"


def _agents(config: Config) -> Found:
    for name, agent in config.agents.items():
        path = child("agents", name)
        try:
            keys.check_agent(name)
        except keys.BadKey as error:
            yield path, str(error)
        if agent.model is not None:
            yield from model_name(f"{path}.model", agent.model, config.providers)
        if agent.embeddings is not None:
            where = f"{path}.embeddings"
            yield from model_name(where, agent.embeddings, config.providers)
            if not agent.embeddings.partition("/")[2]:
                yield where, "must be provider/model"
        allowed = agent.subagents.allow_agents
        yield from _known(config, f"{path}.subagents.allow_agents", allowed)
        yield from _known(config, f"{path}.hand_over", agent.hand_over)
    reach = config.tools.sessions.agent_to_agent
    yield from _known(config, "tools.sessions.agent_to_agent", reach)


def _tools(config: Config) -> Found:
    yield from tool_checks.errors(config)
    yield from sandbox_checks.errors(config)
    for path, policy in tool_checks.policies(config):
        if isinstance(policy, AgentToolsConfig):
            for name in policy.by_provider:
                where = child(f"{path}.by_provider", name)
                yield from model_name(where, name, config.providers)


def _known(config: Config, path: str, agents: Iterable[str]) -> Found:
    for name in agents:
        if name not in config.agents and name != ANY:
            hint = nearest(name, config.agents)
            yield path, f"there is no agent {name!r}{hint}"


def _sessions(config: Config) -> Found:
    numbers, subagents = config.sessions, config.limits.subagents
    if subagents.depth and numbers.max_awake <= subagents.concurrent:
        yield (
            "sessions.max_awake",
            (
                "must be above limits.subagents.concurrent "
                f"({subagents.concurrent}): turns that wait for sub-agents keep their "
                "places, and these would never get one"
            ),
        )
    zone = numbers.time_zone
    if not zone:
        return
    # Few name one, and a node must be listening soon.
    from zoneinfo import ZoneInfo, available_timezones  # noqa: PLC0415

    try:
        ZoneInfo(zone)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        yield "sessions.time_zone", f"there is no time zone {zone!r}"
    except KeyError:
        hint = nearest(zone, available_timezones())
        words = f"there is no time zone {zone!r} on this system{hint}"
        yield "sessions.time_zone", words


def model_name(path: str, name: str, providers: Mapping[str, object]) -> Found:
    """What is wrong with a model's name, written as provider/model or provider."""
    provider, slash, model = name.partition("/")
    known = ", ".join(providers)
    if provider not in providers:
        hint = nearest(provider, providers)
        yield path, f"there is no provider {provider!r} (there are {known}){hint}"
    elif slash and not model:
        yield path, f"expected {provider}/ and the model's name"


def _gateway(config: Config) -> Found:
    host = config.gateway.host
    if not host or not _VISIBLE.fullmatch(host):
        yield "gateway.host", "expected an address to listen on, like 127.0.0.1"
        return
    yield from auth_checks.errors(config)
    yield from hook_checks.errors(config)
    base = config.gateway.control_ui.base_path
    if not _BASE_PATH.fullmatch(base):
        yield (
            "gateway.control_ui.base_path",
            "expected a path of letters, digits and ._~- between slashes, like /openclaw",
        )
    elif base.split("/")[1] in _TAKEN:
        yield "gateway.control_ui.base_path", f"{base} is the gateway's own path"
    yield from _control_ui(config.gateway)


def _control_ui(gateway: GatewayConfig) -> Found:
    host, port = gateway.control_ui.host, gateway.control_ui.port
    if host is not None and not _VISIBLE.fullmatch(host):
        yield (
            "gateway.control_ui.host",
            "expected an address to listen on, like 127.0.0.1",
        )
    if port and port == gateway.port:
        yield (
            "gateway.control_ui.port",
            "is gateway.port, too; leave it out",
        )
