"""What the configuration says, and what of it does not work on this machine."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs
import httpx2

from beamclaw.agents import UnknownModel, resolve
from beamclaw.config.environment import KEYS
from beamclaw.config.loader import Loaded, load
from beamclaw.config.problems import ConfigError, Problem
from beamclaw.config.schema import Config
from beamclaw.config.token import FILE_NAME, usable
from beamclaw.contracts import tokens
from beamclaw.contracts.context import Window
from beamclaw.contracts.outside import Outside
from beamclaw.contracts.toolbox import Caller
from beamclaw.doctor.finding import Finding, Level
from beamclaw.providers import catalogue
from beamclaw.providers.connect import models_question
from beamclaw.skills.look import look, setting_of, skills_of
from beamclaw.toolbox import all_tools, chosen
from beamclaw.tools import Plugins
from beamclaw.tree import subagent_rules

Found = Iterator[Finding]
_SECONDS: Final = 10.0
_REFUSED: Final = (401, 403)
_ABSENT: Final = 404
_FAILED: Final = 500


def read(
    variables: Mapping[str, str], file: str | None, data: Path
) -> tuple[Loaded | None, list[Finding]]:
    """The configuration, and everything that is wrong with it.

    Secrets that stand elsewhere are fetched, as a start does: that may be what fails.
    """
    try:
        loaded = load(variables, file=file, data=data)
    except ConfigError as error:
        found = [_problem(each, "error") for each in error.problems]
        return None, [*found, *(_problem(each, "warning") for each in error.warnings)]
    where = "" if loaded.file is None else str(loaded.file)
    what = "it can be used" if where else "there is none: what holds without one"
    fine = Finding(check="config", level="ok", what=what, where=where)
    return loaded, [fine, *(_problem(each, "warning") for each in loaded.warnings)]


def _problem(problem: Problem, level: Level) -> Finding:
    key = f"{problem.path}: " if problem.path else ""
    return Finding(
        check="config",
        level=level,
        what=f"{key}{problem.message}",
        where=str(problem.where),
        advice="put it right there; see: beamclaw config check",
    )


def shared_secret(config: Config) -> tuple[str | None, str]:
    """The gateway's shared secret as it can be read here, and where it stands."""
    auth = config.gateway.auth
    if auth.mode == "password":
        secret, where = auth.password, "gateway.auth.password"
    else:
        secret, where = auth.token, "gateway.auth.token"
    if secret is not None:
        return secret.reveal(), where
    path = config.data / FILE_NAME
    try:
        return path.read_text("ascii", "replace").strip(), str(path)
    except OSError:
        return None, str(path)


def kept_token(config: Config) -> Found:
    """Whether the file that keeps the token has one."""
    auth = config.gateway.auth
    if auth.mode != "token" or auth.token is not None:
        return
    secret, where = shared_secret(config)
    if secret is not None and not usable(secret):
        yield Finding(
            check="token",
            level="error",
            what="it holds no usable token: a start is refused",
            where=where,
            advice="delete it, and a new one is made at the start",
            repair="token",
        )


def zone_known(name: str) -> bool:
    """Whether there is data of a time zone."""
    try:
        return not name or bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError):
        return False


def providers(config: Config, *, online: bool) -> Found:
    """Whether each has a key, and with *online* whether it can be reached."""
    used = [name for name, each in config.providers.items() if each.api != "demo"]
    if not used:
        yield Finding(
            check="provider",
            level="note",
            what="there is none but demo, which asks no model",
            advice="set OPENAI_API_KEY or ANTHROPIC_API_KEY, or name a provider in the "
            "configuration",
        )
    for name in used:
        provider = config.providers[name]
        where = f"providers.{name}"
        if provider.api_key is None and provider.base_url is None:
            yield Finding(
                check="provider",
                level="error",
                what="it has no key",
                where=f"{where}.api_key",
                advice=_how_to_set(provider.api),
            )
        else:
            what = (
                "it has a key" if provider.api_key else "it has no key, and an address"
            )
            yield Finding(check="provider", level="ok", what=what, where=where)
        question = models_question(provider) if online else None
        if question is not None:
            yield _reached(name, *question)


def _how_to_set(api: str) -> str:
    for known, (key, _) in KEYS.items():
        if api == known:
            return f"set {key} in the environment of the node, or the key in the configuration"
    return "set the key in the configuration"


def _reached(name: str, address: str, headers: Mapping[str, str]) -> Finding:
    """Ask for its models. What is wrong is told without the key in it."""
    where = f"providers.{name}"
    try:
        answer = httpx2.get(address, headers=headers, timeout=_SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        return Finding(
            check="provider",
            level="error",
            what=f"it cannot be reached: {type(error).__name__}",
            where=where,
            advice=f"look at the network, proxies and providers.{name}.base_url",
        )
    if answer.status_code in _REFUSED:
        return Finding(
            check="provider",
            level="error",
            what=f"it refuses the key ({answer.status_code})",
            where=f"{where}.api_key",
            advice="take another key",
        )
    if answer.status_code >= _FAILED:
        return Finding(
            check="provider",
            level="warning",
            what=f"it answers with {answer.status_code}: it is ill",
            where=where,
        )
    if answer.status_code == _ABSENT:
        return Finding(
            check="provider",
            level="warning",
            what="it answers, and has no list of models (404)",
            where=where,
            advice=f"look at {where}.base_url, unless it is a server that has none",
        )
    return Finding(check="provider", level="ok", what="it can be reached", where=where)


def skills(config: Config) -> Found:
    """Which agents know less than they could, and why."""
    for agent in config.agents:
        try:
            found, scan = skills_of(setting_of(config, agent))
        except (OSError, ValueError) as error:
            yield Finding(
                check="skills",
                level="warning",
                what=str(error),
                where=f"agents.{agent}",
            )
            continue
        for each in scan.refused:
            yield Finding(
                check="skills",
                level="error" if each.tampered else "warning",
                what=f"{'it was CHANGED: ' if each.tampered else ''}{each.why}",
                where=str(each.path),
                advice="see: beamclaw skills check",
            )
        usable = [skill for skill in found if not skill.why_not]
        yield Finding(
            check="skills",
            level="ok",
            what=f"{len(usable)} of {len(found)} can be used",
            where=f"agents.{agent}",
        )
        for skill in found:
            if skill.why_not:
                yield Finding(
                    check="skills",
                    level="note",
                    what=f"{skill.name} is not used: {skill.why_not}",
                    where=f"agents.{agent}",
                )


def windows(config: Config) -> Iterator[tuple[str, Window]]:
    """Each agent, and how its models are filled before anything is said.

    Nothing is made for that, and tools that other packages bring are not counted: their
    programs are not run here.
    """
    rules, outside = subagent_rules(config), Outside()
    boxes = chosen(
        config, rules, all_tools(config, outside, "default", rules, Plugins())
    )
    for agent in config.agents:
        try:
            definition = resolve(config, agent)
            looked = look(
                attrs.evolve(setting_of(config, agent), strict=False), before=None
            )
        except (UnknownModel, OSError, ValueError):
            continue  # it is told as what it is: of the configuration, or of the skills
        told = (definition.system or "", looked.personas["main"].text or "")
        system = sum(map(tokens.of_text, told))
        for provider, model in dict.fromkeys(
            definition.model_at(link) for link in range(1 + len(definition.fallbacks))
        ):
            caller = Caller(agent=agent, provider=provider, model=model, depth=0)
            known = config.providers[provider].models
            yield (
                agent,
                Window(
                    tokens=catalogue.window(model, known),
                    output=definition.max_tokens or catalogue.max_output(model, known),
                    overhead=system + boxes(caller).tokens,
                    system=system,
                    keep=config.sessions.keep_tokens,
                    model=f"{provider}/{model}",
                ),
            )
