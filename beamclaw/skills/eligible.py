"""Which skills an agent has. Decisions without I/O."""

from collections.abc import Callable, Collection, Iterator

from beamclaw.config.schema import SkillEntryConfig
from beamclaw.contracts.secret import Secret
from beamclaw.contracts.variables import refusal
from beamclaw.skills.manifest import Manifest, Requires
from beamclaw.values import frozen

NO_ENTRY = SkillEntryConfig()


@frozen
class Facts:
    """What is so on this machine.

    Attributes:
        system: As OpenClaw calls it: ``linux`` or ``darwin``.
        has_program: Whether there is a program of this name.
        variables: Names of the node's own variables that are not empty.
        is_set: Whether a path of the configuration is set to something.
        everywhere: Names of variables that all commands get, as the configuration says.
    """

    system: str
    has_program: Callable[[str], bool]
    variables: Collection[str]
    is_set: Callable[[str], bool]
    everywhere: Collection[str] = ()


def why_not(
    skill: Manifest,
    entry: SkillEntryConfig,
    allowed: Collection[str] | None,
    facts: Facts,
) -> str:
    """Why an agent has not got *skill*, in words; empty: it has.

    Args:
        skill: Which.
        entry: What the configuration says of it.
        allowed: The names of those it may have; None: all.
        facts: What is so here.
    """
    given = variables_of(skill, entry)
    reasons = _policy(skill, entry, allowed, facts)
    if not skill.always:
        reasons = (*reasons, *_needs(skill.requires, given, facts))
    return next(filter(None, reasons), "")


def variables_of(skill: Manifest, entry: SkillEntryConfig) -> tuple[str, ...]:
    """The variables that commands get for *skill*, as the configuration has values."""
    return tuple(name for name, why in _judged(skill, entry) if why is None)


def unset_of(skill: Manifest, entry: SkillEntryConfig) -> tuple[tuple[str, str], ...]:
    """Those that commands do not get, though there is a value; with why, in words."""
    return tuple((name, why) for name, why in _judged(skill, entry) if why is not None)


def _judged(
    skill: Manifest, entry: SkillEntryConfig
) -> Iterator[tuple[str, str | None]]:
    named = [name for name, value in entry.env.items() if value]
    if entry.api_key and skill.primary_env and skill.primary_env not in named:
        named.append(skill.primary_env)
    for name in named:
        value = value_of(entry, name)
        yield name, refusal({name: value.reveal() if value else ""})


def value_of(entry: SkillEntryConfig, variable: str) -> Secret | None:
    """The value of one of them; None: the configuration has none any more."""
    value = entry.env.get(variable)
    return Secret(value) if value else entry.api_key


def _policy(
    skill: Manifest,
    entry: SkillEntryConfig,
    allowed: Collection[str] | None,
    facts: Facts,
) -> tuple[str, ...]:
    """What stands against it whatever is installed."""
    here = not skill.os or facts.system in skill.os
    return (
        "" if entry.enabled else "it is switched off (skills.entries)",
        ""
        if allowed is None or skill.name in allowed
        else "it is not among the skills that are allowed",
        "" if here else f"it is for {' and '.join(skill.os)}, not {facts.system}",
    )


def _needs(needs: Requires, given: Collection[str], facts: Facts) -> tuple[str, ...]:
    """What it lacks."""
    programs = [name for name in needs.bins if not facts.has_program(name)]
    one_of = needs.any_bins
    has_one = not one_of or any(map(facts.has_program, one_of))
    known = {*facts.variables, *facts.everywhere, *given}
    variables = [name for name in needs.env if name not in known]
    keys = [path for path in needs.config if not facts.is_set(path)]
    return (
        f"there is no program {' and no '.join(programs)}" if programs else "",
        "" if has_one else f"there is none of the programs {', '.join(one_of)}",
        f"the variable {' and '.join(variables)} is not set" if variables else "",
        f"{' and '.join(keys)} is not set in the configuration" if keys else "",
    )
