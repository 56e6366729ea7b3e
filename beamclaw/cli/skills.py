"""``beamclaw skills …``: works on the data folder, whether a node runs or not.

A node that runs sees what was done here when its next turn begins.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from beamclaw.cli.config import say
from beamclaw.cli.configured import configured
from beamclaw.cli.output import CommandError, counted, result, result_json, tell
from beamclaw.config.problems import ConfigError
from beamclaw.config.schema import Config
from beamclaw.contracts.outside import Outside
from beamclaw.skills.catalogue import Skill
from beamclaw.skills.install import NotInstalled, Store, store_of
from beamclaw.skills.look import look, setting_of, skills_of
from beamclaw.skills.manifest import Manifest
from beamclaw.skills.package import PackageRefused
from beamclaw.skills.pins import SHORT, Pin
from beamclaw.skills.scan import Refused

T = TypeVar("T")


def list_(options: argparse.Namespace) -> int:
    """Print the skills of an agent."""
    skills, _ = _found(options)
    shown = [skill for skill in skills if options.all or not skill.why_not]
    if options.json:
        result_json([_plain(skill) for skill in shown])
        return 0
    if not shown:
        result("there are none")
    width = max((len(skill.name) for skill in shown), default=0)
    for skill in shown:
        words = skill.why_not or skill.found.manifest.description
        state = "-" if skill.why_not else "+"
        result(f"{state} {skill.name:{width}}  {skill.found.origin:9}  {words}")
    return 0


def info(options: argparse.Namespace) -> int:
    """Print all of one skill."""
    skills, _ = _found(options)
    found = [skill for skill in skills if skill.name == options.name]
    if not found:
        names = ", ".join(sorted({skill.name for skill in skills}))
        raise CommandError(f"there is no skill {options.name!r} (there are {names})")
    skill = found[0]
    if options.json:
        result_json(_plain(skill))
        return 0
    lists = {"needs", "hidden"}
    for name, given in _plain(skill).items():
        value = ", ".join(given) if name in lists else given
        if value or isinstance(value, bool):
            result(f"{name}: {value}")
    return 0


def check(options: argparse.Namespace) -> int:
    """See whether something is wrong; 1 if so."""
    skills, refused = _found(options)
    hidden = [skill for skill in skills if skill.found.manifest.hidden]
    unset = [skill for skill in skills if skill.unset]
    wrong = bool(refused or hidden or unset)
    if options.json:
        result_json(
            {
                "ok": not wrong,
                "skills": len(skills),
                "refused": [_refusal(each) for each in refused],
                "hidden": {s.name: list(s.found.manifest.hidden) for s in hidden},
                "unset": {s.name: dict(s.unset) for s in unset},
            }
        )
    else:
        for each in refused:
            alarm = "CHANGED: " if each.tampered else ""
            tell(f"error: {alarm}{each.path}: {each.why}")
        for skill in hidden:
            names = ", ".join(skill.found.manifest.hidden)
            tell(f"error: {skill.found.file}: characters that cannot be seen: {names}")
        for skill in unset:
            for _, why in skill.unset:
                tell(f"error: skills.entries.{skill.name}: {_told_unset(why)}")
        if not wrong:
            result(f"{counted(len(skills), 'skill')}, and nothing is wrong")
    return int(wrong)


def _told_unset(why: str) -> str:
    return f"{why}; what tools.exec.env has is set for all commands"


def install(options: argparse.Namespace) -> int:
    """Install a skill."""
    return _take(options, Path(options.source), None)


def update(options: argparse.Namespace) -> int:
    """Install another version of one."""
    source = options.source
    if source is None:
        source = _done(lambda: _store(options).known(options.name)).source
    return _take(options, Path(source), options.name)


def remove(options: argparse.Namespace) -> int:
    """Take one away."""
    _done(lambda: _store(options).remove(options.name))
    return _said(options, {"removed": options.name}, f"{options.name} is removed")


def pin(options: argparse.Namespace) -> int:
    """Keep one as it is, or let it be updated."""
    held = not options.off
    found = _done(lambda: _store(options).hold(options.name, held=held))
    words = "is not updated any more" if held else "may be updated"
    plain = {"name": options.name, "sha256": found.sha256, "held": held}
    return _said(options, plain, f"{options.name} {words}")


def prompt(options: argparse.Namespace) -> int:
    """Print what an agent is told."""
    config = _config(options)
    _known_agent(config, options.agent)
    seen = _done(lambda: look(setting_of(config, options.agent), None))
    text = seen.personas[options.scope].text
    if options.json:
        parts = {part.name: {"chars": part.chars, "of": part.of} for part in seen.parts}
        result_json({"text": text, "parts": parts})
        return 0
    result(text)
    for part in seen.parts:
        tell(f"{part.chars:>7} of {part.of:>7} characters  {part.name}")
    return 0


# --- what they share


def _take(options: argparse.Namespace, source: Path, name: str | None) -> int:
    store = _store(options)
    manifest, found = _done(
        lambda: store.install(source, Outside().wall(), update=name)
    )
    if manifest.installs and not options.json:
        tell(
            f"{manifest.name} says how to install what it needs; that is not done for "
            "you, see its SKILL.md"
        )
    plain = {"name": manifest.name, **_plain_pin(found)}
    return _said(
        options,
        plain,
        f"{manifest.name}: {counted(found.files, 'file')}, "
        f"{counted(found.bytes, 'byte')}, sha256 {found.sha256[:SHORT]}",
    )


def _done(do: Callable[[], T]) -> T:
    """What *do* returns; what can go wrong with it is told in a sentence."""
    try:
        return do()
    except (PackageRefused, NotInstalled, ValueError) as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None


def _said(options: argparse.Namespace, plain: dict[str, Any], words: str) -> int:
    if options.json:
        result_json(plain)
    else:
        result(words)
    return 0


def _config(options: argparse.Namespace) -> Config:
    try:
        return configured(options)
    except ConfigError as error:
        say(error.problems, ())
        raise CommandError("the configuration cannot be used", 2) from None


def _store(options: argparse.Namespace) -> Store:
    return store_of(_config(options))


def _known_agent(config: Config, agent: str) -> None:
    if agent not in config.agents:
        names = ", ".join(sorted(config.agents))
        raise CommandError(f"there is no agent {agent!r} (there are {names})")


def _found(options: argparse.Namespace) -> tuple[list[Skill], list[Refused]]:
    config = _config(options)
    _known_agent(config, options.agent)
    skills, scan = _done(lambda: skills_of(setting_of(config, options.agent)))
    return skills, scan.refused


def _plain(skill: Skill) -> dict[str, Any]:
    manifest = skill.found.manifest
    return {
        "name": skill.name,
        "description": manifest.description,
        "eligible": not skill.why_not,
        "why_not": skill.why_not,
        "origin": skill.found.origin,
        "location": str(skill.found.file),
        "homepage": manifest.homepage,
        "emoji": manifest.emoji,
        "needs": _needs(manifest),
        "hidden": list(manifest.hidden),
        **({} if skill.found.pin is None else _plain_pin(skill.found.pin)),
    }


def _needs(manifest: Manifest) -> list[str]:
    needs = manifest.requires
    one_of = [f"one of {' '.join(needs.any_bins)}"] if needs.any_bins else []
    return [*manifest.os, *needs.bins, *one_of, *needs.env, *needs.config]


def _plain_pin(pin: Pin) -> dict[str, Any]:
    return {
        "sha256": pin.sha256,
        "files": pin.files,
        "bytes": pin.bytes,
        "source": pin.source,
        "installed_at": pin.at,
        "held": pin.held,
    }


def _refusal(each: Refused) -> dict[str, Any]:
    return {"path": str(each.path), "why": each.why, "changed": each.tampered}
