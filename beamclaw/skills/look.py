"""One look at all that an agent is told: the files of its workspace, and its skills.

It blocks, and is done in a thread. A second look, where nothing has changed, asks the
disk for the state of each file and reads none.
"""

import os
import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, get_args

import attrs

from beamclaw.agents import workspace_of
from beamclaw.config.schema import Config, SkillEntryConfig, over, own_of
from beamclaw.contracts.skills import (
    Persona,
    Scope,
    Skills,
    SkillState,
    Unset,
    WorkspaceFile,
    WorkspaceFiles,
)
from beamclaw.paths import PathRefused, Roots
from beamclaw.skills.catalogue import Skill, catalogue, given, is_set, told_skills
from beamclaw.skills.eligible import NO_ENTRY, Facts
from beamclaw.skills.files import MOST_BYTES, NotWritten, contents, put, seed
from beamclaw.skills.marks import Mark, Marks, mark
from beamclaw.skills.prompt import FILES, Caps, Part, assemble, told_files
from beamclaw.skills.scan import Refused, Scan, Sizes
from beamclaw.skills.sources import sources_of
from beamclaw.values import frozen

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


@frozen
class Looked:
    """What a look has found.

    Attributes:
        personas: What the agent is told, by the sort of conversation.
        parts: What takes how much of it, in the main one.
        skills: All that were found, those that the agent has not got as well.
        refused: What is none, or not what was installed.
        marks: By which a change is seen.
        folders: In which one would be.
    """

    personas: Mapping[Scope, Persona]
    parts: tuple[Part, ...] = ()
    skills: tuple[Skill, ...] = ()
    refused: tuple[Refused, ...] = ()
    marks: Marks = attrs.field(factory=lambda: Marks({}))
    folders: tuple[str, ...] = ()


NOTHING: Final = Looked(dict.fromkeys(SCOPES, Persona()))


@frozen(kw_only=True)
class Setting:
    """What there is to look at, of one agent.

    Attributes:
        told: Whether it is told anything.
        reads: Whether it has a tool to read a skill with.
        strict: Its required files are made, and missed when they are not there.
    """

    config: Config
    agent: str
    told: bool = True
    reads: bool = True
    strict: bool = True

    @property
    def allowed(self) -> Collection[str] | None:
        """The skills it may have; None: all."""
        return over(self.config.skills.allow, own_of(self.config, self.agent).skills)


def setting_of(config: Config, agent: str, *, reads: bool = True) -> Setting:
    """By the configuration."""
    own = own_of(config, agent)
    return Setting(
        config=config,
        agent=agent,
        told=own.context != "none",
        reads=reads,
        strict=not own.skip_bootstrap,
    )


def look(setting: Setting, before: Looked | None) -> Looked:
    """What the agent is told now: *before* itself, if nothing has changed since.

    Raises:
        OSError: The workspace cannot be made.
    """
    if not setting.told:
        return NOTHING
    if before is not None and before.marks.unchanged:
        return before
    folder = workspace_of(setting.config, setting.agent)
    if setting.strict:
        seed(folder)
    return _read(setting, folder)


def shown_skills(setting: Setting) -> Skills:
    """All skills of an agent, for whoever asks."""
    entries = setting.config.skills.entries
    found, _ = skills_of(setting)
    return Skills(
        tuple(_state(skill, entries.get(skill.name, NO_ENTRY)) for skill in found)
    )


def _state(skill: Skill, entry: SkillEntryConfig) -> SkillState:
    manifest, needs = skill.found.manifest, skill.found.manifest.requires
    return SkillState(
        name=skill.name,
        description=manifest.description,
        file=str(skill.found.file),
        origin=skill.found.origin,
        why_not=skill.why_not,
        enabled=entry.enabled,
        listed=manifest.listed,
        user=manifest.user,
        always=manifest.always,
        emoji=manifest.emoji,
        homepage=manifest.homepage,
        primary_env=manifest.primary_env,
        bins=needs.bins,
        any_bins=needs.any_bins,
        env=needs.env,
        config=needs.config,
        os=manifest.os,
    )


def shown_files(setting: Setting) -> WorkspaceFiles:
    """What stands at the top of an agent's workspace, for whoever asks."""
    folder = workspace_of(setting.config, setting.agent)
    return WorkspaceFiles(
        str(folder),
        tuple(
            WorkspaceFile(
                name=each.name, text=each.text, size=each.chars, trouble=each.trouble
            )
            for each in contents(folder, setting.config.own_places)
        ),
    )


def set_file(setting: Setting, name: str, text: str) -> WorkspaceFiles | Unset:
    """Put *text* into one of them; then as :func:`shown_files`."""
    config = setting.config
    roots = Roots(workspace_of(config, setting.agent), closed=config.own_places)
    most = min(config.workspace.set_bytes, MOST_BYTES)
    try:
        put(roots, name, text, most)
    except (NotWritten, PathRefused) as refused:
        return Unset(str(refused))
    return shown_files(setting)


def skills_of(setting: Setting) -> tuple[list[Skill], Scan]:
    """All skills of an agent, and what was looked at."""
    config = setting.config
    limits = config.skills.limits
    scan = Scan(Sizes(limits.max_per_folder, limits.file_bytes))
    for source in sources_of(config, setting.agent):
        scan.add(source)
    # A program that is installed can be what a skill has waited for.
    for path in _program_folders():
        scan.marks[path] = mark(path)
    facts = Facts(
        system=sys.platform,
        has_program=lambda name: shutil.which(name) is not None,
        variables=frozenset(name for name, value in os.environ.items() if value),
        is_set=is_set(config),
        everywhere=[name for name, value in config.tools.exec.env.items() if value],
    )
    entries = config.skills.entries
    return catalogue(scan.found, entries, setting.allowed, facts), scan


def _folders(marks: Mapping[str, Mark]) -> tuple[str, ...]:
    programs = frozenset(_program_folders())
    there = (path for path, mark in marks.items() if mark and path not in programs)
    return tuple(path for path in there if Path(path).is_dir())


def _program_folders() -> list[str]:
    return [path for path in os.environ.get("PATH", "").split(os.pathsep) if path]


def _read(setting: Setting, folder: Path) -> Looked:
    config, limits = setting.config, setting.config.skills.limits
    # Before they are read: who writes meanwhile is seen the next time.
    marks: dict[str, Mark] = {}
    for path in (folder, *(folder / rule.name for rule in FILES)):
        marks[str(path)] = mark(path)
    found = list(contents(folder, setting.config.own_places))
    skills, scan = skills_of(setting)
    told, variables = "", ()
    if setting.reads:
        variables = given(skills, config.skills.entries)
        told, _ = told_skills(skills, limits.max_in_prompt, limits.prompt_chars)
    sizes = config.workspace
    caps = Caps(sizes.file_chars, sizes.user_chars, sizes.total_chars)
    personas: dict[Scope, Persona] = {}
    parts: list[Part] = []
    for scope in reversed(SCOPES):
        sections, parts = told_files(
            found, scope, caps, str(folder), strict=setting.strict
        )
        personas[scope] = Persona(assemble(str(folder), told, sections), variables)
    return Looked(
        personas=personas,
        parts=(Part("skills", len(told), len(told)), *parts),
        skills=tuple(skills),
        refused=tuple(scan.refused),
        marks=Marks({**marks, **scan.marks}),
        folders=_folders({**marks, **scan.marks}),
    )
