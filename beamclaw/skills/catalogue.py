"""The skills of an agent, each with its state, and how a model is told of them.

Decisions without I/O.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, cast

from beamclaw.config.schema import SkillEntryConfig
from beamclaw.skills.eligible import NO_ENTRY, Facts, unset_of, variables_of, why_not
from beamclaw.skills.manifest import Manifest
from beamclaw.skills.scan import Found
from beamclaw.values import frozen


@frozen
class Skill:
    """A skill of an agent.

    Attributes:
        found: What it is.
        why_not: Why the agent has not got it; empty: it has.
        unset: Variables that the configuration has for it, and that no command gets, each
            with why.
    """

    found: Found
    why_not: str = ""
    unset: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self.found.manifest.name


def catalogue(
    found: Iterable[Found],
    entries: Mapping[str, SkillEntryConfig],
    allowed: Collection[str] | None,
    facts: Facts,
) -> list[Skill]:
    """All of *found*, by name; of two with one name the first counts.

    Names that differ in upper and lower case alone are one.
    """
    taken: dict[str, Found] = {}
    skills: list[Skill] = []
    for each in found:
        name = each.manifest.name
        first = taken.setdefault(name.casefold(), each)
        if first is not each:
            skills.append(Skill(each, f"{first.file} goes before it"))
            continue
        entry = entries.get(name, NO_ENTRY)
        skills.append(
            Skill(
                each,
                why_not(each.manifest, entry, allowed, facts),
                _unset(each.manifest, entry, facts),
            )
        )
    return sorted(
        skills, key=lambda skill: (skill.name.casefold(), bool(skill.why_not))
    )


def _unset(
    skill: Manifest, entry: SkillEntryConfig, facts: Facts
) -> tuple[tuple[str, str], ...]:
    if not entry.enabled:
        return ()
    found = unset_of(skill, entry)
    return tuple(each for each in found if each[0] not in facts.everywhere)


def given(
    skills: Iterable[Skill], entries: Mapping[str, SkillEntryConfig]
) -> tuple[tuple[str, str], ...]:
    """The variables that commands get for the *skills* an agent has: each, and its skill.

    Of two skills with one variable the first counts.
    """
    found: dict[str, str] = {}
    for skill in skills:
        if not skill.why_not:
            entry = entries.get(skill.name, NO_ENTRY)
            for variable in variables_of(skill.found.manifest, entry):
                found.setdefault(variable, skill.name)
    return tuple(sorted(found.items()))


_INTRO: Final = """\
# Skills

Each skill below is a file that says how something is done well. When its description fits
what is asked, read that file first, all of it, and go by it; of several that fit, the most
particular one. When none fits, read none. Paths in a skill begin in its own folder, and
{baseDir} in it stands for that folder. A message that begins with / and the name of a skill
asks for that one; what follows is what it is to be done with."""


def told_skills(skills: Iterable[Skill], most: int, chars: int) -> tuple[str, int]:
    """What the model is told of them, and how many did not fit.

    Args:
        skills: Those of :func:`catalogue`.
        most: How many at most.
        chars: Characters at most.
    """
    has = [skill for skill in skills if not skill.why_not]
    listed = [_listed(skill) for skill in has if skill.found.manifest.listed]
    asked = [_asked(skill) for skill in has if _only_asked(skill)]
    if not (listed or asked):
        return "", 0
    shown = _fitting([*listed, *asked], most, chars - len(_INTRO))
    lines = [_INTRO]
    by_itself = shown[: len(listed)]
    if by_itself:
        lines += ["", "<available_skills>", *by_itself, "</available_skills>"]
    if more := shown[len(listed) :]:
        lines += ["", "Only for a message that begins with their name:", *more]
    left = len(listed) + len(asked) - len(shown)
    if left:
        lines += ["", f"({left} more skills do not fit here.)"]
    return "\n".join(lines), left


def _only_asked(skill: Skill) -> bool:
    manifest = skill.found.manifest
    return manifest.user and not manifest.listed


def _fitting(entries: list[str], most: int, chars: int) -> list[str]:
    kept: list[str] = []
    for entry in entries[:most]:
        chars -= len(entry) + 1
        if chars < 0:
            break
        kept.append(entry)
    return kept


def _listed(skill: Skill) -> str:
    manifest = skill.found.manifest
    return (
        "  <skill>\n"
        f"    <name>{escape(manifest.name)}</name>\n"
        f"    <description>{escape(manifest.description)}</description>\n"
        f"    <location>{escape(str(skill.found.file))}</location>\n"
        "  </skill>"
    )


def _asked(skill: Skill) -> str:
    return f"- /{skill.name}: {skill.found.file}"


def escape(text: str) -> str:
    """*text* between two tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def is_set(config: object) -> Callable[[str], bool]:
    """Whether a path of *config* leads to something that is set."""

    def found(path: str) -> bool:
        value: Any = config
        for key in path.split("."):
            if isinstance(value, Mapping):
                value = cast("Mapping[str, Any]", value).get(key)
            else:
                value = None if key.startswith("_") else getattr(value, key, None)
        return bool(value) and not callable(value)

    return found
