"""What stands at the top of a SKILL.md. Decisions without I/O.

The format is OpenClaw's: a block of YAML between two lines ``---``, and where that is no
YAML, single lines of ``key: value``.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import yaml

from beamclaw.values import frozen

# Letters that look the same everywhere, as a skill is asked for by its name.
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_DESCRIPTION: Final = 1_024
# What a block of YAML may have.
MAX_FRONT: Final = 65_536
_FRONT = re.compile(
    r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE
)
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):[ \t]*(.*)")
# Joiners are letters' business in some scripts and in emoji.
_JOINERS = frozenset("\u200c\u200d")
_BLANKS = frozenset("\t\n\r")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_METADATA = ("openclaw", "beamclaw", "clawdbot")


class BadSkill(ValueError):  # noqa: N818 -- a situation
    """No skill can be made of this; the message says why."""


@frozen
class Requires:
    """What a skill does not work without.

    Attributes:
        bins: Programs, all of them; *any_bins*: one of them.
        env: Variables.
        config: Paths in the configuration that must be set to something.
    """

    bins: tuple[str, ...] = ()
    any_bins: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    config: tuple[str, ...] = ()


@frozen(kw_only=True)
class Manifest:
    """A skill, as its SKILL.md says.

    Attributes:
        listed: The model is told of it; else somebody has to ask for it by ``/name``.
        user: Somebody may.
        always: What it requires is not looked at, but for *os*.
        os: Systems it is for, as ``linux``; none: all.
        primary_env: The variable that ``api_key`` of its entry is for.
        installs: It says how to install what it needs. Nobody does that for it.
        hidden: Characters in it that cannot be seen or that turn text round, by name.
    """

    name: str
    description: str
    homepage: str = ""
    emoji: str = ""
    listed: bool = True
    user: bool = True
    always: bool = False
    os: tuple[str, ...] = ()
    requires: Requires = Requires()
    primary_env: str = ""
    installs: bool = False
    hidden: tuple[str, ...] = ()


def read_manifest(text: str) -> Manifest:
    """What *text*, a whole SKILL.md, says.

    Raises:
        BadSkill: It has no name, or something else nobody could go by.
    """
    front = _front(text)
    name = _text(front, "name")
    if not NAME.fullmatch(name):
        raise BadSkill(
            f"its name {name!r} is none: a letter or digit, then letters, digits and "
            "._- only, 64 at most"
            if name
            else "it has no name"
        )
    description = " ".join(_text(front, "description").split())
    if not description:
        raise BadSkill("it has no description: nobody would know when to use it")
    if len(description) > MAX_DESCRIPTION:
        raise BadSkill(f"its description is longer than {MAX_DESCRIPTION} characters")
    if found := hidden(description):
        raise BadSkill(
            f"its description has characters that cannot be seen: {', '.join(found)}"
        )
    more = _metadata(front.get("metadata"))
    needs = _mapping(more.get("requires"))
    return Manifest(
        name=name,
        description=description,
        homepage=_text(front, "homepage") or _text(more, "homepage"),
        emoji=_text(more, "emoji"),
        listed=not _flag(front, "disable-model-invocation", default=False),
        user=_flag(front, "user-invocable", default=True),
        always=_flag(more, "always", default=False),
        os=_texts(more.get("os")),
        requires=Requires(
            bins=_texts(needs.get("bins")),
            any_bins=_texts(needs.get("anyBins")),
            env=_texts(needs.get("env")),
            config=_texts(needs.get("config")),
        ),
        primary_env=_text(more, "primaryEnv"),
        installs=bool(more.get("install")),
        hidden=hidden(text),
    )


def hidden(text: str) -> tuple[str, ...]:
    """Which characters of *text* cannot be seen, or turn text round."""
    found = {
        each
        for each in text.removeprefix("\ufeff")
        if each not in _JOINERS
        and each not in _BLANKS
        and unicodedata.category(each) in _HIDDEN
    }
    return tuple(f"U+{ord(each):04X}" for each in sorted(found))


# --- the block at the top


def _front(text: str) -> Mapping[str, Any]:
    match = _FRONT.match(text)
    if match is None:
        raise BadSkill("it does not begin with a block between two lines ---")
    block = match.group(1)
    if len(block) > MAX_FRONT:
        raise BadSkill(f"the block at its top is longer than {MAX_FRONT} characters")
    try:
        found: object = yaml.safe_load(block)
    except (yaml.YAMLError, ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return cast("dict[str, Any]", found)
    return dict(_lines(block))


def _lines(block: str) -> Iterator[tuple[str, str]]:
    """Where it is no YAML (``description: this: that``): each line for itself."""
    for line in block.splitlines():
        if match := _LINE.fullmatch(line.rstrip()):
            value = match.group(2).strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            yield match.group(1), value


def _metadata(value: object) -> Mapping[str, Any]:
    """What is for us in ``metadata``: written as YAML, or as JSON in one line."""
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise BadSkill("its metadata is neither YAML nor JSON") from None
    given = _mapping(value)
    found = (given[key] for key in _METADATA if key in given)
    return _mapping(next(found, None))


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        return ()
    return tuple(item for item in cast("list[Any]", value) if isinstance(item, str))


def _flag(given: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = given.get(key, default)
    if isinstance(value, str):
        return value.strip().lower() in {"true", "yes", "1"}
    return bool(value)
